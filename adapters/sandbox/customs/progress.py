"""Rules for how a declaration proceeds: the notices after each event, and what it then waits for.

Pure. `journey` is None for goods that stay with one office.
"""

from dataclasses import dataclass, replace

from adapters.sandbox.customs.courses import CLEARED, DUTY, LET_GO, REVIEWED, STORED, Notice, WaitReason
from adapters.sandbox.customs.handling import Handled
from adapters.sandbox.customs.transit import Journey


@dataclass(frozen=True, slots=True)
class Next:
    """`waits` is None where customs has nothing more to do; `reason` says why it waits."""

    notices: tuple[Notice, ...]
    waits: WaitReason | None
    reason: str = ""

    def after(self, *notices: Notice) -> "Next":
        return replace(self, notices=(*notices, *self.notices))

    def because(self, reason: str) -> "Next":
        """The same with the reason in each notice, for the declarant, and in the queue."""
        return replace(self, notices=tuple(notice.because(reason) for notice in self.notices), reason=reason)


def stored(journey: Journey | None, handled: Handled) -> Next:
    if journey is None or journey.reviewed_first:
        return _judged(STORED, journey, handled)
    return Next((STORED,), WaitReason.OFFICE)


def _judged(first: Notice, journey: Journey | None, handled: Handled) -> Next:
    """What follows the handling; `first` is the first notice. A review by hand has no CHANNEL of its own, so
    `first` mentions it."""
    match handled.waits:
        case None:
            return in_order(journey).after(first, REVIEWED)
        case WaitReason.DUTY:
            return Next((first, REVIEWED, DUTY.because(handled.note)), WaitReason.DUTY, handled.reason)
        case by_hand:
            return Next((first.because(handled.note),), by_hand, handled.reason)


def released(journey: Journey | None) -> Next:
    """What follows a release by hand."""
    following = in_order(journey)
    return following if following.notices else following.after(REVIEWED)


def in_order(journey: Journey | None) -> Next:
    """What follows once the review is passed and the duty paid."""
    if journey is None:
        return Next((LET_GO, CLEARED), None)
    if journey.reviewed_first:
        return Next((), WaitReason.OFFICE)
    return Next((journey.let_go(LET_GO), CLEARED), WaitReason.WRITE_OFF)


def departed(journey: Journey) -> Next:
    return Next((journey.departed(),), WaitReason.ARRIVAL)


def arrived(journey: Journey, handled: Handled) -> Next:
    if journey.reviewed_first:
        return Next((journey.arrived(), journey.let_go(LET_GO), CLEARED), WaitReason.WRITE_OFF)
    return _judged(journey.arrived(), journey, handled)


def written_off(journey: Journey) -> Next:
    return Next((journey.written_off(),), None)
