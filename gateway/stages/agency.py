"""By whose agency a broker declares: the agreement that it shows, or a mandate found by the parties (R13)."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from gateway.agency import Shipment, covering, refusal, why_not, why_not_under
from gateway.agreements import AgreementState, Registered
from gateway.awaited import awaited
from gateway.china import china_date
from gateway.decision import Lack, Lacking
from gateway.faults import Fault, Rejected, finding
from gateway.message import Declared, Received, made_at
from gateway.parties import Party
from gateway.policy import Policy
from gateway.ports import Register
from gateway.stages.authorise import Authority


def agency(
    received: Received, authority: Authority, party: Party, register: Register, policy: Policy
) -> Registered | None:
    """The agreement or mandate that covers the declaration on the day of its receipt; None where the trader
    declares itself.

    Raises `Rejected` where there is none, or the one that is shown does not cover it, and `Lacking` where it
    is not there yet: not told of, or not confirmed.
    """
    if not authority.brokered:
        return None
    values, trader = authority.facts.values, authority.trader
    shipment = _shipment(received.arrival.id, values, trader, party.code, received.arrival.received_at)
    number = values.get("agreement", "")
    if number:
        found = register.agreement(number)
        if found is None or found.agreement.state is AgreementState.PROPOSED:
            seen = 0 if found is None else found.revision
            raise _lacking(f"agreement {number}", seen, received, policy)
        under = found.agreement.mandate
        # A mandate that was never told of is the association's own business.
        mandate = register.agreement(under) if under else None
        reasons = list(why_not(found.agreement, shipment))
        if mandate is not None:
            reasons += why_not_under(mandate.agreement, shipment)
        if reasons:
            raise Rejected(refusal(found.agreement, reasons))
        return replace(found, under=0 if mandate is None else mandate.revision)
    mandates = register.mandates(shipment.trader, shipment.broker)
    found = covering(mandates, shipment)
    if found is not None:
        return found
    pair = f"{shipment.trader} {shipment.broker}"
    if any(each.agreement.state is AgreementState.PROPOSED for each in mandates):
        seen = sum(each.revision for each in mandates)
        raise _lacking(f"mandate {pair}", seen, received, policy)
    raise Rejected(
        finding(
            Fault.AGREEMENT_MISSING,
            detail=f"trader {shipment.trader}, broker {shipment.broker}",
            detail_zh=f"境内收发货人 {shipment.trader}，申报单位 {shipment.broker}",
        )
    )


def covered_by(number: str, declared: Declared, register: Register) -> bool:
    """Whether the agreement of this number covers an accepted declaration, on the day of its receipt."""
    found = register.agreement(number) if number else None
    if found is None:
        return False
    values = declared.facts
    trader, agent = (
        register.party_called(values.get(f"{side}_code") or values.get(f"{side}_scc", ""))
        for side in ("trader", "agent")
    )
    broker = "" if agent is None else agent.code
    shipment = _shipment(declared.id, values, trader, broker, made_at(declared.id))
    return not any(why_not(found.agreement, shipment))


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


def _lacking(thing: str, seen: int, received: Received, policy: Policy) -> Lacking:
    until = received.arrival.received_at + timedelta(hours=policy.agreement.wait_hours)
    return Lacking(Lack(thing=thing, seen=seen, until=until), awaited(thing, until))
