"""The gateway's own notices about declarations and the use of agreements. Pure.

Schemas: `schemas/gateway/1/declaration_notice.xsd` and `agreement_use.xsd`. The notices are signed
in the worker processes that draft them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from lxml import etree

from gateway.formats.agreement_texts import use_texts
from gateway.formats.markup import document, element, escaped, text
from gateway.formats.submission import NAMESPACE
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
    content = [
        *_head(message, to),
        _stated("Reference", reference),
        _stated("SeqNo", seq_no),
        _stated("EntryId", entry_id),
        _stated("Office", office),
        _stated("Class", class_),
        _stated("Code", code),
        _stated("At", "" if at is None else _instant(at)),
        _stated("Note", note),
        *_texts(texts),
        "" if goods is None else _goods(goods),
        _stated("CreatedAt", _instant(created_at)),
    ]
    root = document("DeclarationNotice", NAMESPACE, content)
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
    content = [
        *_head(message, to),
        _stated("Number", used.number),
        _stated("Kind", used.kind),
        _stated("Act", act),
        _stated("Reference", reference),
        _stated("EntryId", entry_id),
        _stated("At", _instant(at)),
        *_texts(use_texts(used.kind, used.number, act, reference, entry_id)),
    ]
    root = document("AgreementUse", NAMESPACE, content)
    name = receipt_name("Notice", f"{used.number}_{message}", at)
    return Draft(account=to.account.name, name=name, says=act, root=root)


def _head(message: str, to: Addressee) -> tuple[str, str]:
    party = to.party
    named = {"account": to.account.name, "code": party.code, "scc": party.scc, "as": to.concern.value}
    return _stated("MessageId", message), element("To", named)


def _texts(texts: Mapping[str, str]) -> list[str]:
    return [element("Text", {"xml:lang": language}, escaped(words)) for language, words in texts.items()]


def _goods(goods: Goods) -> str:
    content = [
        _stated("BillNo", goods.bill_no),
        _stated("Packages", goods.packages),
        _stated("GrossWeight", goods.gross_weight),
        *(_stated("Container", container) for container in goods.containers),
    ]
    return element("Goods", content="".join(content))


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _stated(tag: str, value: str) -> str:
    return text(tag, value) if value else ""
