"""The gateway's own notices about declarations and the use of agreements. Pure.

Schemas: `schemas/gateway/1/declaration_notice.xsd` and `agreement_use.xsd`. The notices are signed later and
several at a time, in the worker processes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from lxml import etree

from gateway.formats.agreement_texts import use_texts
from gateway.formats.submission import NAMESPACE
from gateway.formats.xml import LANG
from gateway.model.addressee import Addressee
from gateway.model.agreements import Act, AgreementUse
from gateway.model.message import Receipt, ReceiptKind
from gateway.model.receipt_names import receipt_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A notice that is not signed yet. `says` is its receipt class, or the act on an agreement."""

    account: str
    name: str
    says: str
    root: etree._Element

    @property
    def document(self) -> bytes:
        return etree.tostring(self.root, encoding="UTF-8", xml_declaration=True)

    def receipt(self, signed: bytes) -> Receipt:
        return Receipt(
            account=self.account, name=self.name, kind=ReceiptKind.NOTICE, body=signed, verdict=self.says
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Goods:
    """The values by which premises identify the goods; empty where the declaration does not state them."""

    bill_no: str
    packages: str
    gross_weight: str
    containers: Sequence[str]


def declaration_notice(
    to: Addressee,
    *,
    name: str,
    message: str,
    reference: str,
    seq_no: str,
    entry_id: str,
    office: str,
    class_: str,
    code: str,
    at: datetime | None,
    note: str,
    texts: Mapping[str, str],
    goods: Goods | None,
    created_at: datetime,
) -> Draft:
    """A DeclarationNotice. Empty values are left out; `texts` are by language."""
    root = _root("DeclarationNotice", message, to)
    _text(root, "Reference", reference)
    _text(root, "SeqNo", seq_no)
    _text(root, "EntryId", entry_id)
    _text(root, "Office", office)
    _text(root, "Class", class_)
    _text(root, "Code", code)
    _text(root, "At", "" if at is None else _instant(at))
    _text(root, "Note", note)
    for language, text in texts.items():
        _put(root, "Text", {LANG: language}).text = text
    if goods is not None:
        element = _put(root, "Goods")
        _text(element, "BillNo", goods.bill_no)
        _text(element, "Packages", goods.packages)
        _text(element, "GrossWeight", goods.gross_weight)
        for container in goods.containers:
            _text(element, "Container", container)
    _text(root, "CreatedAt", _instant(created_at))
    return Draft(account=to.account.name, name=name, says=class_, root=root)


def agreement_use(
    to: Addressee,
    *,
    used: AgreementUse,
    act: Act,
    message: str,
    reference: str,
    entry_id: str,
    at: datetime,
) -> Draft:
    """An AgreementUse. Its name has the message in it, since many declarations use one mandate, some at the
    same moment."""
    root = _root("AgreementUse", message, to)
    _text(root, "Number", used.number)
    _text(root, "Kind", used.kind)
    _text(root, "Act", act)
    _text(root, "Reference", reference)
    _text(root, "EntryId", entry_id)
    _text(root, "At", _instant(at))
    for language, text in use_texts(used.kind, used.number, act, reference, entry_id).items():
        _put(root, "Text", {LANG: language}).text = text
    name = receipt_name("Notice", f"{used.number}_{message}", at)
    return Draft(account=to.account.name, name=name, says=act, root=root)


def _root(tag: str, message: str, to: Addressee) -> etree._Element:
    root = etree.Element(f"{{{NAMESPACE}}}{tag}", nsmap={None: NAMESPACE})
    _text(root, "MessageId", message)
    party = to.party
    named = {"account": to.account.name, "code": party.code, "scc": party.scc, "as": to.concern.value}
    _put(root, "To", named)
    return root


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _put(parent: etree._Element, tag: str, attributes: dict[str, str] | None = None) -> etree._Element:
    return etree.SubElement(parent, f"{{{NAMESPACE}}}{tag}", attributes or {})


def _text(parent: etree._Element, tag: str, value: str) -> None:
    if value:
        _put(parent, tag).text = value
