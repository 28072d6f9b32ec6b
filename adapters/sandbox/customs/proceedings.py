"""Applies one event to one declaration: records the answers and what it then waits for in the ledger.

Only the ledger is needed, so that an operator's command can do this while a node's back-end answers from the
same ledger. Every function works inside the caller's transaction.
"""

from datetime import datetime
from decimal import Decimal

from adapters.sandbox.customs import progress
from adapters.sandbox.customs.answers import answers_of, notice_of, technical
from adapters.sandbox.customs.courses import SUPPLEMENT_BY_HAND, DeclarationCourse, WaitReason, forced
from adapters.sandbox.customs.decisions import FITS, SAID, OfficerAct
from adapters.sandbox.customs.handling import Handled, duty_due, handle
from adapters.sandbox.customs.ledger import Ledger, TakenSubmission
from adapters.sandbox.customs.progress import Next
from adapters.sandbox.customs.transit import journey_of
from gateway.formats.submission import Envelope, read_envelope
from gateway.formats.xml import trusted
from gateway.model.china import china_date


class Proceedings:
    """The proceedings of one declaration at the time `now`. Its envelope was verified when it was taken."""

    def __init__(
        self, ledger: Ledger, submission: TakenSubmission, now: datetime, envelope: Envelope | None = None
    ) -> None:
        self._ledger = ledger
        self._submission = submission
        self._now = now
        self._envelope = envelope or read_envelope(trusted(submission.envelope))
        self._facts = self._envelope.facts
        played = forced(submission.reference) is not None
        self._journey = None if played else journey_of(submission.reference, self._facts)

    def play(self, course: DeclarationCourse) -> None:
        """Records all answers of a forced course."""
        self._ledger.queue_due(self._submission.key, answers_of(self._submission, course, self._facts))
        self._wait(course.waits)

    def begin(self) -> None:
        """Imports and stores the declaration, and lets it proceed until it has to wait."""
        self._ledger.queue_due(self._submission.key, [technical(self._submission, DeclarationCourse())])
        self._follow(progress.stored(self._journey, self._handled()))

    def allows(self, act: OfficerAct, waits: WaitReason) -> bool:
        # In transit the goods are released where they arrive, and the writing-off follows the release.
        return waits in FITS[act] and not (act is OfficerAct.LET_GO and self._journey is not None)

    def decided(self, act: OfficerAct, reason: str) -> None:
        """A person decided on `act`, which `allows` must permit; the first notices include the reason."""
        self._follow(self._after(act).because(reason))

    def paid(self) -> None:
        """The duty that it waited for is paid."""
        self._follow(progress.in_order(self._journey))

    def documents_came(self) -> None:
        """The supplement that it waited for has come."""
        if self._submission.reference.startswith(SUPPLEMENT_BY_HAND):
            self._follow(Next((), WaitReason.REVIEW, "the documents that were asked for have come"))
        else:
            self._follow(progress.in_order(self._journey))

    def copy_came(self) -> None:
        """The copy for the office of entry or exit, which it waited for, has come."""
        self._follow(Next((), WaitReason.OFFICE))

    def _after(self, act: OfficerAct) -> Next:
        if act is OfficerAct.RELEASE:
            return progress.released(self._journey)
        if self._journey is not None:
            match act:
                case OfficerAct.DEPART:
                    return progress.departed(self._journey)
                case OfficerAct.ARRIVE:
                    return progress.arrived(self._journey, self._handled())
                case OfficerAct.WRITE_OFF:
                    return progress.written_off(self._journey)
        return SAID[act]

    def _follow(self, step: Next) -> None:
        """Queues the notices of this step and of the automatic steps after it, and records what is waited for
        then."""
        following: Next | None = step
        while following is not None:
            step = following
            notices = [notice_of(self._submission, notice, self._facts, self._now) for notice in step.notices]
            self._ledger.queue_due(self._submission.key, notices)
            following = self._by_itself(step.waits)
        self._wait(step.waits, step.reason)

    def _by_itself(self, waits: WaitReason | None) -> Next | None:
        if self._journey is None:
            return None
        by_hand = self._journey.by_hand
        match waits:
            case WaitReason.OFFICE if self._ledger.papers.has(
                f"{self._submission.key}-{self._facts['ie_port']}"
            ):
                return Next((), WaitReason.DEPARTURE)
            case WaitReason.DEPARTURE if not by_hand:
                return progress.departed(self._journey)
            case WaitReason.ARRIVAL if not by_hand:
                return progress.arrived(self._journey, self._handled())
            case WaitReason.WRITE_OFF if not by_hand:
                return progress.written_off(self._journey)
        return None

    def _handled(self) -> Handled:
        today = china_date(self._now)
        return handle(self._envelope.hint, self._facts, self._ledger.records, self._submission.names, today)

    def _wait(self, waits: WaitReason | None, reason: str = "") -> None:
        due = duty_due(self._facts, self._ledger.records) if waits is WaitReason.DUTY else Decimal(0)
        self._ledger.wait(self._submission.key, waits, self._now, reason, due)


def let_go_what_is_paid(ledger: Ledger, now: datetime) -> list[TakenSubmission]:
    """Lets the declarations continue whose duty is paid, and returns them. Where the ledger has no duty for
    one (a forced course, a decision by hand), any payment is enough."""
    gone = []
    for each in ledger.waiting():
        paid = ledger.records.paid(each.submission.names) if each.waits is WaitReason.DUTY else Decimal(0)
        if paid > 0 and paid >= each.due:
            Proceedings(ledger, each.submission, now).paid()
            gone.append(each.submission)
    return gone
