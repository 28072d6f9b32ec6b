"""Agency mandates and agreements (docs/reform.md, R13): their terms, their states as one table, and changes
by notices.

A mandate (委托书) stands between trader and broker for a time; an agreement (委托协议) is for one shipment
under it and is used once. Both come from the brokers' association.
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
    """The state of a mandate or agreement. Being out of date is not a state: the day of the declaration
    decides that."""

    PROPOSED = "proposed"
    IN_FORCE = "in_force"
    USED = "used"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    TERMINATED = "terminated"


class Act(StrEnum):
    """What happens to an agreement. The association notifies all acts but the last two, which are ours."""

    AMENDED = "amended"  # its terms changed before it was used; its state stays
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
        # The declaration that used it keeps it, but it cannot be released again.
        Act.TERMINATED: AgreementState.TERMINATED,
    },
    AgreementState.REFUSED: {},
    AgreementState.WITHDRAWN: {},
    AgreementState.TERMINATED: {
        # The declaration that used it was refused after it had been terminated.
        Act.FREED: AgreementState.TERMINATED,
    },
}


# How an agreement in that state is described.
STATES_ZH: Final = {
    AgreementState.PROPOSED: "尚未确认",
    AgreementState.IN_FORCE: "有效",
    AgreementState.USED: "已使用",
    AgreementState.REFUSED: "对方已拒绝",
    AgreementState.WITHDRAWN: "已撤回",
    AgreementState.TERMINATED: "已终止",
}


# States in which nothing can be declared under it any more.
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
    """A mandate or an agreement. A field that is empty or None sets no restriction: the messages do not give
    every term.

    `trader` and `broker` are customs codes, `goods` tariff code prefixes, `offices` 4-digit codes, `value`
    the highest total of a declaration in `currency`, `services` the letters of the paper form,
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


NoticeAct: TypeAlias = Act | Literal["proposed"]
PROPOSED: Final = "proposed"


class AgreementSide(StrEnum):
    """Which of the two sides proposed an agreement."""

    TRADER = "trader"
    BROKER = "broker"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementNotice:
    """The association's notice of one mandate or agreement, with its terms after the act.

    `act` is what happened; for a new agreement it is "proposed". `reason` is empty where the association
    gives none. A notice does not say who used an agreement, so `used_by` of `agreement` is None.
    """

    id: str
    act: NoticeAct
    at: datetime
    agreement: Agreement
    proposed_by: AgreementSide
    reason: str = ""


def state_after(act: NoticeAct) -> AgreementState:
    """The state of an agreement after this act. Each act leads to one state only, except an amendment: an
    agreement that is known as proposed stays proposed (`changed`)."""
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
    under, as a judgement saw it; 0 where there is no mandate, or none that the association notified."""

    agreement: Agreement
    revision: int
    message: str
    name: str
    sha256: str
    size: int
    under: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementUse:
    """The agreement that a declaration was accepted under, for notices to others."""

    number: str
    kind: AgreementKind


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementChange:
    """A change to the register by a notice: `after` is the new entry, written only if the revision is still
    the one that was `seen` (0: there was no entry)."""

    after: Agreement
    act: NoticeAct
    at: datetime
    reason: str
    seen: int


class OtherParties(Exception):
    """The notice has another kind or other parties than the agreement."""


class OtherTerms(Exception):
    """A second confirmation has other terms than those that were confirmed."""


def changed(registered: RegisteredAgreement | None, notice: AgreementNotice) -> AgreementChange | None:
    """The change by a notice; None where it says nothing new.

    The terms are those of the notice that confirmed or amended the agreement; other notices do not change
    them. For an unknown agreement the notice is taken as it stands: earlier ones may have taken another
    route. Raises `IllegalAct` for an act that is not possible any more, `OtherParties`, and
    `OtherTerms`.
    """
    stated, seen = notice.agreement, 0
    if stated.kind is AgreementKind.LONG_TERM and notice.act is Act.USED:
        stated = replace(stated, state=AgreementState.IN_FORCE)  # it is not used up
    if registered is not None:
        present, seen = registered.agreement, registered.revision
        if _between(stated) != _between(present):
            raise OtherParties(f"{' '.join(_between(present))}; {' '.join(_between(stated))}")
        if notice.act is Act.AMENDED and present.state is AgreementState.PROPOSED:
            stated = replace(stated, state=AgreementState.PROPOSED)
        same_terms = _terms(stated) == _terms(present)
        if notice.act is Act.CONFIRMED and stated.state is present.state and not same_terms:
            raise OtherTerms(f"an agreement that is {present.state} is amended, not confirmed anew")
        amends = notice.act is Act.AMENDED and not same_terms
        if (stated.state is present.state and not amends) or not isinstance(notice.act, Act):
            return None  # known already, or outdated by a later act
        terms = stated if notice.act in (Act.CONFIRMED, Act.AMENDED) else present
        stated = replace(terms, state=after(present.state, notice.act), used_by=present.used_by)
    return AgreementChange(after=stated, act=notice.act, at=notice.at, reason=notice.reason, seen=seen)


def _terms(agreement: Agreement) -> Agreement:
    """The agreement in a form that is equal where the terms are the same."""
    goods, offices = tuple(sorted(agreement.goods)), tuple(sorted(agreement.offices))
    return replace(agreement, state=AgreementState.IN_FORCE, used_by=None, goods=goods, offices=offices)


def _between(agreement: Agreement) -> tuple[str, str, str]:
    return agreement.kind, agreement.trader, agreement.broker
