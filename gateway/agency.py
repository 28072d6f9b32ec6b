"""Whether a mandate or agreement covers a brokered declaration (REFORM R13; FORMATS 4)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from gateway.agreements import Agreement, AgreementKind, AgreementState, Registered
from gateway.faults import Fault, Finding, finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """What of a brokered declaration an agreement must cover. `goods` are the tariff codes of its lines,
    `currency` is empty where they have several."""

    message: str
    trader: str
    broker: str
    goods: tuple[str, ...]
    direction: str
    office: str
    value: Decimal | None
    currency: str
    day: date


DECLARING: Final = "A"  # of the services: fill in and declare (FORMATS 4.3)


def why_not(agreement: Agreement, shipment: Shipment) -> Iterator[str]:
    """What keeps an agreement from covering a shipment, in words; nothing where it covers it."""
    if (agreement.trader, agreement.broker) != (shipment.trader, shipment.broker):
        yield "other parties"
    spent = agreement.state is AgreementState.USED and agreement.used_by != shipment.message
    if spent:
        yield "used by another declaration"
    elif agreement.state not in (AgreementState.IN_FORCE, AgreementState.USED):
        yield str(agreement.state)
    if agreement.services and DECLARING not in agreement.services:
        yield f"services {agreement.services}"
    yield from _out_of_date(agreement, shipment)
    if agreement.direction and agreement.direction != shipment.direction:
        yield f"direction {agreement.direction}"
    if agreement.offices and shipment.office not in agreement.offices:
        yield f"customs office {', '.join(agreement.offices)}"
    # If several goods are on one entry, only the one with the highest tax is named (FORMATS 4.3).
    if agreement.goods and not any(
        line.startswith(prefix) for line in shipment.goods for prefix in agreement.goods
    ):
        yield f"goods {', '.join(agreement.goods)}"
    if agreement.value is not None and not _within(agreement.value, agreement.currency, shipment):
        yield f"value {agreement.value} {agreement.currency}".rstrip()


def _within(limit: Decimal, currency: str, shipment: Shipment) -> bool:
    """A total that is not told, or in another currency, shows nothing: else any limit would be got round so."""
    if shipment.value is None or (currency and currency != shipment.currency):
        return False
    return shipment.value <= limit


def _out_of_date(agreement: Agreement, shipment: Shipment) -> Iterator[str]:
    if shipment.day < agreement.valid_from:
        yield f"not before {agreement.valid_from}"
    if agreement.valid_until is not None and shipment.day > agreement.valid_until:
        yield f"until {agreement.valid_until}"


def why_not_under(mandate: Agreement, shipment: Shipment) -> Iterator[str]:
    """What keeps a mandate from bearing an agreement for this shipment, in words."""
    if (mandate.trader, mandate.broker) != (shipment.trader, shipment.broker):
        yield f"mandate {mandate.number}: other parties"
    if mandate.state is not AgreementState.IN_FORCE:
        yield f"mandate {mandate.number}: {mandate.state}"
    for reason in _out_of_date(mandate, shipment):
        yield f"mandate {mandate.number}: {reason}"


def covering(candidates: Iterable[Registered], shipment: Shipment) -> Registered | None:
    """The first long-term mandate that covers a shipment for which no agreement is named."""
    return next(
        (
            each
            for each in candidates
            if each.agreement.kind is AgreementKind.LONG_TERM and not any(why_not(each.agreement, shipment))
        ),
        None,
    )


def refusal(agreement: Agreement, reasons: Iterable[str]) -> Finding:
    """The fault of a shipment that names an agreement which does not cover it."""
    return finding(Fault.AGREEMENT_UNFIT, detail="; ".join(reasons), value=agreement.number)
