"""Agency mandates and agreements: their life as one table, and whether one covers a declaration (REFORM R13).

A mandate (委托书) stands between trader and broker for a time; an agreement (委托协议) is for one shipment
under it and is used once. Both come from the brokers' association. FORMATS 4.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from gateway.faults import Fault, Finding, finding


class AgreementKind(StrEnum):
    LONG_TERM = "long-term"
    PER_SHIPMENT = "per-shipment"


class AgreementState(StrEnum):
    """What a mandate or agreement is at rest. Being out of date is not a state: the day of the declaration
    decides it."""

    PROPOSED = "proposed"
    IN_FORCE = "in_force"
    USED = "used"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    TERMINATED = "terminated"


class Act(StrEnum):
    """What happens to one. The association tells of all but the last two, which are ours."""

    CONFIRMED = "confirmed"  # the other side accepted, or confirms automatically
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"  # by the side that proposed it, before the other answered
    TERMINATED = "terminated"  # by either side, while in force
    USED = "used"  # a declaration was accepted under it
    FREED = "freed"  # that declaration was refused


LIFE: Mapping[AgreementState, Mapping[Act, AgreementState]] = {
    AgreementState.PROPOSED: {
        Act.CONFIRMED: AgreementState.IN_FORCE,
        Act.REFUSED: AgreementState.REFUSED,
        Act.WITHDRAWN: AgreementState.WITHDRAWN,
    },
    AgreementState.IN_FORCE: {
        Act.USED: AgreementState.USED,
        Act.TERMINATED: AgreementState.TERMINATED,
    },
    AgreementState.USED: {
        Act.FREED: AgreementState.IN_FORCE,
        # It stays with the declaration that used it; it can only not come free again.
        Act.TERMINATED: AgreementState.TERMINATED,
    },
    AgreementState.REFUSED: {},
    AgreementState.WITHDRAWN: {},
    AgreementState.TERMINATED: {
        # The declaration that used it was refused after it had been terminated.
        Act.FREED: AgreementState.TERMINATED,
    },
}


class IllegalAct(Exception):
    """An act that the present state does not allow; the agreement stays as it was."""

    def __init__(self, state: AgreementState, act: Act) -> None:
        super().__init__(f"an agreement that is {state} cannot be {act}")


def after(state: AgreementState, act: Act) -> AgreementState:
    """The state after `act`; raises `IllegalAct` for every pair that the table leaves out."""
    try:
        return LIFE[state][act]
    except KeyError:
        raise IllegalAct(state, act) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A mandate or an agreement. What is empty or None is unrestricted: the messages do not say everything.

    `trader` and `broker` are customs codes, `goods` tariff code prefixes, `offices` 4-digit codes, `value`
    the highest total of a declaration in `currency`. `used_by` is the message that used it.
    """

    number: str
    kind: AgreementKind
    trader: str
    broker: str
    state: AgreementState
    valid_from: date
    valid_until: date | None = None
    goods: tuple[str, ...] = ()
    offices: tuple[str, ...] = ()
    direction: str = ""
    value: Decimal | None = None
    currency: str = ""
    used_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """What of a brokered declaration an agreement must cover. `goods` are the tariff codes of its lines."""

    message: str
    trader: str
    broker: str
    goods: tuple[str, ...]
    direction: str
    office: str
    value: Decimal | None
    currency: str
    day: date


def why_not(agreement: Agreement, shipment: Shipment) -> Iterator[str]:
    """What keeps an agreement from covering a shipment, in words; nothing where it covers it."""
    if (agreement.trader, agreement.broker) != (shipment.trader, shipment.broker):
        yield "other parties"
    spent = agreement.state is AgreementState.USED and agreement.used_by != shipment.message
    if spent:
        yield "used by another declaration"
    elif agreement.state not in (AgreementState.IN_FORCE, AgreementState.USED):
        yield str(agreement.state)
    if shipment.day < agreement.valid_from:
        yield f"not before {agreement.valid_from}"
    if agreement.valid_until is not None and shipment.day > agreement.valid_until:
        yield f"until {agreement.valid_until}"
    if agreement.direction and agreement.direction != shipment.direction:
        yield f"direction {agreement.direction}"
    if agreement.offices and shipment.office not in agreement.offices:
        yield f"customs office {', '.join(agreement.offices)}"
    # If several goods are on one entry, only the one with the highest tax is named (FORMATS 4.3).
    if agreement.goods and not any(
        line.startswith(prefix) for line in shipment.goods for prefix in agreement.goods
    ):
        yield f"goods {', '.join(agreement.goods)}"
    same_currency = not agreement.currency or agreement.currency == shipment.currency
    limit = agreement.value if same_currency else None
    if limit is not None and shipment.value is not None and shipment.value > limit:
        yield f"value {limit}"


def covering(candidates: Iterable[Agreement], shipment: Shipment) -> Agreement | None:
    """The first long-term mandate that covers a shipment for which no agreement is named."""
    return next(
        (
            each
            for each in candidates
            if each.kind is AgreementKind.LONG_TERM and not any(why_not(each, shipment))
        ),
        None,
    )


def refusal(agreement: Agreement, shipment: Shipment) -> Finding:
    """The fault of a shipment that names an agreement which does not cover it."""
    return finding(
        Fault.AGREEMENT_UNFIT, detail="; ".join(why_not(agreement, shipment)), value=agreement.number
    )
