"""The simulated customs as a back-end: it takes signed submissions, numbers declarations and answers them."""

from datetime import datetime
from pathlib import Path
from typing import Final

from adapters.home.file_modes import private
from adapters.sandbox.customs.courses import WaitReason, course_of
from adapters.sandbox.customs.ledger import Ledger, TakenSubmission
from adapters.sandbox.customs.papers import Paper, SubmissionKind, kind_of
from adapters.sandbox.customs.proceedings import Proceedings
from adapters.sandbox.customs.transit import has_form
from adapters.sandbox.inspection import InspectedSubmission, SubmissionRefused
from adapters.sandbox.simulated_backend import SimulatedBackend
from gateway.formats.submission import Envelope
from gateway.model.china import china_date
from gateway.model.clock import Clock

BOOK: Final = "customs.db"


class ReferenceCustoms(SimulatedBackend):
    """A `SimulatedBackend` with its ledger in `folder`/customs.db. It stores envelopes, not packages.

    Only submissions of declarations are answered. Copies for a second office, later documents and agreement
    notices are stored; copies and documents may let a waiting declaration continue.
    """

    def __init__(self, folder: Path, certificate_pem: str, clock: Clock) -> None:
        with private():
            folder.mkdir(parents=True, exist_ok=True)
            self._ledger = Ledger(folder / BOOK, clock)
        super().__init__(folder, self._ledger, certificate_pem, clock)

    def _take(self, submission: InspectedSubmission, now: datetime) -> None:
        kind = kind_of(submission.key, submission.envelope)
        if kind is SubmissionKind.DECLARATION:
            self._declare(submission, now)
        else:
            self._keep(kind, submission, now)

    def _declare(self, submission: InspectedSubmission, now: datetime) -> None:
        envelope = submission.envelope
        course = course_of(envelope.reference, envelope.operation)
        imported = course is None or course.imported
        seq_no, transit_no = self._numbers(envelope, now) if imported else ("", "")
        stored = course is None or course.stored
        record = TakenSubmission(
            key=submission.key,
            agent=envelope.sender["code"],
            trader=envelope.facts.get("trader_code", ""),
            reference=envelope.reference,
            operation=envelope.operation,
            seq_no=seq_no,
            entry_id=self._allot_entry_id(envelope, now) if stored else "",
            transit_no=transit_no,
            taken_at=now,
            envelope=submission.signed,
        )
        self._ledger.take(record)
        proceedings = Proceedings(self._ledger, record, now, envelope)
        if course is None:
            proceedings.begin()
        else:
            proceedings.play(course)

    def _keep(self, kind: SubmissionKind, submission: InspectedSubmission, now: datetime) -> None:
        about = ""
        if kind is SubmissionKind.COPY:
            about = submission.envelope.message
        elif kind is SubmissionKind.DOCUMENTS:
            about = self._ledger.papers.declaration_of(submission.envelope)
        self._ledger.papers.keep(
            Paper(
                key=submission.key,
                envelope=submission.envelope,
                about=about,
                taken_at=now,
                signed=submission.signed,
            )
        )
        waiting = self._ledger.waits(about)
        if waiting is None:
            return
        proceedings = Proceedings(self._ledger, waiting.submission, now)
        match kind, waiting.waits:
            case SubmissionKind.COPY, WaitReason.OFFICE:
                proceedings.copy_came()
            case SubmissionKind.DOCUMENTS, WaitReason.SUPPLEMENT:
                proceedings.documents_came()

    def _numbers(self, envelope: Envelope, now: datetime) -> tuple[str, str]:
        """The unified number and the number of the transit form, empty where there is none. A declaration
        that follows its temporary save keeps both."""
        seq_no, transit_no = self._ledger.numbers_of(envelope.sender["code"], envelope.reference)
        seq_no = seq_no or self._unified_number(envelope, now)
        if has_form(envelope.facts):
            shared = transit_no or envelope.facts.get("transit_seq_no", "")
            return seq_no, shared or self._unified_number(envelope, now)
        return seq_no, ""

    def _unified_number(self, envelope: Envelope, now: datetime) -> str:
        """18 characters: I or E, year, 13 digits."""
        year = china_date(now).year
        return f"{_direction(envelope)}{year}{self._ledger.next_serial(f'seq {year}'):013}"

    def _allot_entry_id(self, envelope: Envelope, now: datetime) -> str:
        """18 digits: declaration office, year, 1 import or 0 export, serial of 9."""
        office = envelope.facts.get("office", "")
        if not (len(office) == 4 and office.isdecimal()):
            raise SubmissionRefused("the declaration names no customs office")
        series = f"{office}{china_date(now).year}{1 if _direction(envelope) == 'I' else 0}"
        return f"{series}{self._ledger.next_serial(f'entry {series}'):09}"


def _direction(envelope: Envelope) -> str:
    direction = envelope.facts.get("direction", "")
    if direction not in ("I", "E"):
        raise SubmissionRefused("the declaration says neither import nor export")
    return direction
