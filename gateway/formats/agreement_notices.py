"""Reads and writes the association's notices about agency mandates and agreements. Pure.

The format is ours (`schemas/gateway/1/agreement_notice.xsd`), since the association's own is not public.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

from lxml import etree

from gateway.formats.agreement_texts import notice_texts
from gateway.formats.submission import NAMESPACE
from gateway.formats.xml import LANG
from gateway.model.agreements import (
    PROPOSED,
    Act,
    Agreement,
    AgreementKind,
    AgreementNotice,
    AgreementSide,
    AgreementState,
    NoticeAct,
    state_after,
)

_ROOT: Final = f"{{{NAMESPACE}}}AgreementNotice"
_IN: Final = {None: NAMESPACE}


def build_notice(notice: AgreementNotice) -> etree._Element:
    """The AgreementNotice element, unsigned.

    Raises `ValueError` where the agreement's state is not the one that the act leads to, and for an act that
    the association never notifies.
    """
    agreement = notice.agreement
    if notice.act is Act.FREED or agreement.state is not state_after(notice.act):
        raise ValueError(
            f"the association does not tell that an agreement which is {agreement.state} was {notice.act}"
        )
    root = etree.Element(_ROOT, nsmap=_IN)
    _put(root, "NoticeId", notice.id)
    _put(root, "Act", str(notice.act))
    _put(root, "At", notice.at.astimezone(UTC).isoformat())
    element = etree.SubElement(root, f"{{{NAMESPACE}}}Agreement")
    _put(element, "Number", agreement.number)
    _put(element, "Kind", agreement.kind.value)
    _put(element, "Trader", agreement.trader)
    _put(element, "Broker", agreement.broker)
    _put(element, "ProposedBy", notice.proposed_by.value)
    _put(element, "ValidFrom", agreement.valid_from.isoformat())
    if agreement.valid_until is not None:
        _put(element, "ValidUntil", agreement.valid_until.isoformat())
    for prefix in agreement.goods:
        _put(element, "Goods", prefix)
    for office in agreement.offices:
        _put(element, "Office", office)
    _put(element, "Direction", agreement.direction)
    if agreement.value is not None:
        _put(element, "Value", f"{agreement.value:f}").set("currency", agreement.currency)
    _put(element, "Mandate", agreement.mandate)
    _put(element, "Services", agreement.services)
    _put(root, "Reason", notice.reason.strip())
    for language, text in notice_texts(notice).items():
        _put(root, "Text", text).set(LANG, language)
    return root


def read_notice(root: etree._Element) -> AgreementNotice:
    """The values of a notice that its schema accepts. A signature in it is ignored."""
    element = _child(root, "Agreement")
    act: NoticeAct = PROPOSED if (word := _text(root, "Act")) == PROPOSED else Act(word)
    until, value = _text(element, "ValidUntil"), element.find("Value", _IN)
    return AgreementNotice(
        id=_text(root, "NoticeId"),
        act=act,
        at=datetime.fromisoformat(_text(root, "At")).astimezone(UTC),
        agreement=Agreement(
            number=_text(element, "Number"),
            kind=AgreementKind(_text(element, "Kind")),
            trader=_text(element, "Trader"),
            broker=_text(element, "Broker"),
            state=state_after(act),
            valid_from=date.fromisoformat(_text(element, "ValidFrom")),
            valid_until=date.fromisoformat(until) if until else None,
            goods=_texts(element, "Goods"),
            offices=_texts(element, "Office"),
            direction=_text(element, "Direction"),
            value=None if value is None else Decimal((value.text or "").strip()),
            currency="" if value is None else value.attrib["currency"].strip(),
            services=_text(element, "Services"),
            mandate=_text(element, "Mandate"),
        ),
        proposed_by=AgreementSide(_text(element, "ProposedBy")),
        reason=_text(root, "Reason"),
    )


def agreement_of_request(facts: Mapping[str, str], number: str, day: date, days_after: int) -> Agreement:
    """The agreement for one shipment that an accepted request asks for.

    It is valid from `day` until `days_after` days after the date of import or export, or after `day` if that
    is later. It covers the goods that the request names, up to their value if the request states a currency.
    Terms that the request does not state are unrestricted.
    """
    moved_on = facts["ie_date"]
    moved = date(int(moved_on[:4]), int(moved_on[4:6]), int(moved_on[6:8]))
    last = max(moved, day).toordinal() + days_after
    currency = facts.get("currency", "")
    return Agreement(
        number=number,
        kind=AgreementKind.PER_SHIPMENT,
        trader=facts["trader_code"],
        broker=facts["agent_code"],
        state=AgreementState.PROPOSED,
        valid_from=day,
        valid_until=date.fromordinal(min(last, date.max.toordinal())),
        goods=(facts["goods_code"],),
        value=Decimal(facts["total"]) if currency else None,
        currency=currency,
    )


def proposer_of_request(facts: Mapping[str, str]) -> AgreementSide:
    """The side that sent an accepted request (its CopCusCode is the code of one of the two parties)."""
    return AgreementSide.TRADER if facts["cop_code"] == facts["trader_code"] else AgreementSide.BROKER


def _put(parent: etree._Element, tag: str, text: str) -> etree._Element:
    """Appends a child with this text, unless the text is empty; returns the element either way."""
    child = etree.Element(f"{{{NAMESPACE}}}{tag}")
    child.text = text
    if text:
        parent.append(child)
    return child


def _child(parent: etree._Element, tag: str) -> etree._Element:
    child = parent.find(tag, _IN)
    if child is None:
        raise KeyError(tag)
    return child


def _texts(parent: etree._Element, tag: str) -> tuple[str, ...]:
    return tuple((child.text or "").strip() for child in parent.findall(tag, _IN))


def _text(parent: etree._Element, tag: str) -> str:
    """The text of a child without white space around it; empty where it is absent."""
    return (parent.findtext(tag, "", _IN) or "").strip()
