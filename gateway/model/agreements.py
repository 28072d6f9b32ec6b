"""Agency mandates and agreements: what they are, their life as one table, what a notice makes of one (R13).

A mandate (委托书) stands between trader and broker for a time; an agreement (委托协议) is for one shipment
under it and is used once. Both come from the brokers' association. FORMATS 4.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal, TypeAlias


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

    AMENDED = "amended"  # it has other terms, before it was used; it stays what it was
    CONFIRMED = "confirmed"  # the other side accepted, or confirms automatically
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"  # by the side that proposed it, before the other answered
    TERMINATED = "terminated"  # by either side, while in force
    USED = "used"  # a declaration was accepted under it
    FREED = "freed"  # that declaration was refused


LIFE: Mapping[AgreementState, Mapping[Act, AgreementState]] = {
    AgreementState.PROPOSED: {
        Act.AMENDED: AgreementState.PROPOSED,
        Act.CONFIRMED: AgreementState.IN_FORCE,
        Act.REFUSED: AgreementState.REFUSED,
        Act.WITHDRAWN: AgreementState.WITHDRAWN,
    },
    AgreementState.IN_FORCE: {
        Act.AMENDED: AgreementState.IN_FORCE,
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


# Said of an agreement in that state.
STATES_ZH: Final = {
    AgreementState.PROPOSED: "尚未确认",
    AgreementState.IN_FORCE: "有效",
    AgreementState.USED: "已使用",
    AgreementState.REFUSED: "对方已拒绝",
    AgreementState.WITHDRAWN: "已撤回",
    AgreementState.TERMINATED: "已终止",
}


# It came to nothing; nothing can be declared under it any more.
ENDED: Final = (AgreementState.REFUSED, AgreementState.WITHDRAWN, AgreementState.TERMINATED)


class IllegalAct(Exception):
    """An act that the present state does not allow; the agreement stays as it was."""

    def __init__(self, state: AgreementState, act: Act) -> None:
        super().__init__(f"an agreement that is {state} cannot be {act}")
        self.state = state


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
    the highest total of a declaration in `currency`, `services` the letters of the paper form (FORMATS 4.3),
    `mandate` the number of the one that an agreement stands under. `used_by` is the message that used it.
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
    services: str = ""
    mandate: str = ""
    used_by: str | None = None


Told: TypeAlias = Act | Literal["proposed"]
PROPOSED: Final = "proposed"


class Side(StrEnum):
    """Who of the two proposed an agreement."""

    TRADER = "trader"
    BROKER = "broker"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementNotice:
    """What the association tells of one mandate or agreement, as it stands after it.

    `act` is what happened; that of an agreement which is new is "proposed". `reason` is empty where the
    association does not say. Who used an agreement is not told, so `used_by` of `agreement` is None.
    """

    id: str
    act: Told
    at: datetime
    agreement: Agreement
    proposed_by: Side
    reason: str = ""


def state_after(act: Told) -> AgreementState:
    """The state that an agreement is in once this has happened to it. An act leads to one state only, but for
    an amendment: what is known to be only proposed stays so (`changed`)."""
    if not isinstance(act, Act):
        return AgreementState.PROPOSED
    if act is Act.AMENDED:
        return AgreementState.IN_FORCE
    (state,) = {acts[act] for acts in LIFE.values() if act in acts}
    return state


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredAgreement:
    """An agreement as the register has it. `revision` counts its changes from 1; the others say where the
    association's last notice of it is kept: the message it came in (empty where it was handed in when the
    gateway was set up), and that message's package. `under` is the revision of the mandate that it stands
    under, as a judgement saw it; 0 where it stands under none, or one that was never told of."""

    agreement: Agreement
    revision: int
    message: str
    name: str
    sha256: str
    size: int
    under: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementUse:
    """The agreement that a declaration was accepted under, as others are told of it."""

    number: str
    kind: AgreementKind


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementChange:
    """What a notice makes of the register: `after` is what it then has, provided that the revision is still
    the one that was `seen` (0: it had none)."""

    after: Agreement
    act: Told
    at: datetime
    reason: str
    seen: int


class OtherParties(Exception):
    """A notice that tells another kind or other parties than the agreement has."""


class OtherTerms(Exception):
    """A second confirmation that tells other terms than those which were confirmed."""


def changed(registered: RegisteredAgreement | None, notice: AgreementNotice) -> AgreementChange | None:
    """What a notice changes; None where it tells what is known already.

    The terms are those of the notice that confirmed or amended it: what another one says of them changes
    nothing. Of an agreement that is not known the notice is believed as it stands: the ones before it may
    have gone another way. Raises `IllegalAct` for what cannot happen to it any more, `OtherParties`, and
    `OtherTerms`.
    """
    told, seen = notice.agreement, 0
    if told.kind is AgreementKind.LONG_TERM and notice.act is Act.USED:
        told = replace(told, state=AgreementState.IN_FORCE)  # it is not used up
    if registered is not None:
        present, seen = registered.agreement, registered.revision
        if _between(told) != _between(present):
            raise OtherParties(f"{' '.join(_between(present))}; {' '.join(_between(told))}")
        if notice.act is Act.AMENDED and present.state is AgreementState.PROPOSED:
            told = replace(told, state=AgreementState.PROPOSED)
        same_terms = _terms(told) == _terms(present)
        if notice.act is Act.CONFIRMED and told.state is present.state and not same_terms:
            raise OtherTerms(f"an agreement that is {present.state} is amended, not confirmed anew")
        amends = notice.act is Act.AMENDED and not same_terms
        if (told.state is present.state and not amends) or not isinstance(notice.act, Act):
            return None  # known, or overtaken by what happened since
        terms = told if notice.act in (Act.CONFIRMED, Act.AMENDED) else present
        told = replace(terms, state=after(present.state, notice.act), used_by=present.used_by)
    return AgreementChange(after=told, act=notice.act, at=notice.at, reason=notice.reason, seen=seen)


def _terms(agreement: Agreement) -> Agreement:
    """Without what may differ where the terms are the same."""
    goods, offices = tuple(sorted(agreement.goods)), tuple(sorted(agreement.offices))
    return replace(agreement, state=AgreementState.IN_FORCE, used_by=None, goods=goods, offices=offices)


def _between(agreement: Agreement) -> tuple[str, str, str]:
    return agreement.kind, agreement.trader, agreement.broker
