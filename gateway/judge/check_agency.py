"""Checks a broker's authority to declare: the agreement that it shows, or a mandate of the parties (R13)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from gateway.judge.authorise import Authority
from gateway.model.agreements import AgreementState, RegisteredAgreement
from gateway.model.china import china_date
from gateway.model.decision import MustWait, Wait
from gateway.model.faults import Fault, Finding, MessageRejected, Severity, finding
from gateway.model.message import DeclarationRecord, Received, made_at
from gateway.model.parties import Party
from gateway.model.policy import Policy
from gateway.model.register import Register
from gateway.model.waits import Awaited, waits_for
from gateway.rules.agency_coverage import (
    Reason,
    Shipment,
    covering,
    not_registered,
    refusal,
    why_none,
    why_not,
    why_not_under,
)

_NAMED: Final = 5  # mandates that do not fit which a refusal names: those with the highest numbers


def check_agency(
    received: Received,
    authority: Authority,
    shown: Sequence[str],
    party: Party,
    register: Register,
    policy: Policy,
) -> RegisteredAgreement | None:
    """The agreement or mandate that covers the declaration on the day of receipt; if several agreements are
    shown, the first that does. None where the trader declares for itself.

    Raises `MessageRejected` where there is none, or none of those that are shown covers it, and `MustWait`
    where one may still come: it is not known here, or not confirmed.
    """
    if not authority.brokered:
        return None
    values, trader = authority.facts.values, authority.trader
    shipment = _shipment(received.arrival.id, values, trader, party.code, received.arrival.received_at)
    if not shown:
        return _mandate(received, shipment, trader, register, policy)
    unfit, missing = [], {}
    for number in shown:
        registered = register.agreement(number)
        if registered is None or registered.agreement.state is AgreementState.PROPOSED:
            missing[number] = 0 if registered is None else registered.revision
            continue
        under, reasons = _reasons(registered, shipment, trader, register, policy)
        if not reasons:
            return replace(registered, under=under)
        unfit.append(refusal(registered.agreement, reasons))
    if missing:
        raise _must_wait(Awaited.agreements(tuple(missing)), sum(missing.values()), received, policy)
    raise MessageRejected(unfit)


def _reasons(
    registered: RegisteredAgreement,
    shipment: Shipment,
    trader: Party | None,
    register: Register,
    policy: Policy,
) -> tuple[int, list[Reason]]:
    """The revision of the mandate that an agreement stands under, and the reasons why the agreement does not
    cover the declaration."""
    under = registered.agreement.mandate
    # A mandate that the association never notified is left to the association.
    mandate = register.agreement(under) if under else None
    reasons = list(why_not(registered.agreement, shipment))
    if mandate is not None:
        may_go_beyond = policy.agreement.beyond_mandate == "accept"
        reasons += why_not_under(mandate.agreement, shipment, may_go_beyond=may_go_beyond)
    if trader is None and not reasons:
        reasons.append(not_registered(shipment.trader))
    return 0 if mandate is None else mandate.revision, reasons


def _mandate(
    received: Received, shipment: Shipment, trader: Party | None, register: Register, policy: Policy
) -> RegisteredAgreement:
    mandates = register.mandates(shipment.trader, shipment.broker)
    mandate = None if trader is None else covering(mandates, shipment)
    if mandate is not None:
        return mandate
    if any(each.agreement.state is AgreementState.PROPOSED for each in mandates):
        seen = sum(each.revision for each in mandates)
        raise _must_wait(Awaited.mandate(shipment.trader, shipment.broker), seen, received, policy)
    reasons = list(why_none((each.agreement for each in mandates[-_NAMED:]), shipment))
    if trader is None:
        reasons.append(not_registered(shipment.trader))
    raise MessageRejected(
        finding(
            Fault.AGREEMENT_MISSING,
            detail="; ".join(
                (f"trader {shipment.trader}, broker {shipment.broker}", *(r.en for r in reasons))
            ),
            detail_zh="；".join(
                (f"境内收发货人 {shipment.trader}，申报单位 {shipment.broker}", *(r.zh for r in reasons))
            ),
        )
    )


def chosen(shown: Sequence[str], use: RegisteredAgreement | None) -> tuple[Finding, ...]:
    """The finding that tells the sender which of several shown agreements was used."""
    if use is None or len(shown) < 2:
        return ()
    number = use.agreement.number
    return (finding(Fault.AGREEMENT_CHOSEN, detail=number, severity=Severity.WARNING),)


def covered_by(shown: Sequence[str], declared: DeclarationRecord, register: Register, policy: Policy) -> bool:
    """Whether one of these agreements covers an accepted declaration, on the day of its receipt."""
    values = declared.facts
    trader, agent = (
        register.party_called(values.get(f"{side}_code") or values.get(f"{side}_scc", ""))
        for side in ("trader", "agent")
    )
    broker = "" if agent is None else agent.code
    shipment = _shipment(declared.id, values, trader, broker, made_at(declared.id))
    agreements = [registered for number in shown if (registered := register.agreement(number)) is not None]
    return any(not _reasons(found, shipment, trader, register, policy)[1] for found in agreements)


def _shipment(
    message: str, values: Mapping[str, str], trader: Party | None, broker: str, received_at: datetime
) -> Shipment:
    total = values.get("total")
    return Shipment(
        message=message,
        trader=values.get("trader_code", "") if trader is None else trader.code,
        broker=broker,
        goods=tuple(values.get("goods", "").split()),
        direction=values.get("direction", ""),
        office=values.get("office", ""),
        value=None if total is None else Decimal(total),
        currency=values.get("currency", ""),
        day=china_date(received_at),
    )


def _must_wait(awaited: Awaited, seen: int, received: Received, policy: Policy) -> MustWait:
    until = received.arrival.received_at + timedelta(hours=policy.agreement.wait_hours)
    return MustWait(Wait(awaited=awaited, seen=seen, until=until), waits_for(awaited, until))
