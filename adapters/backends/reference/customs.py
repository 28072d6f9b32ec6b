"""The reference customs as a Backend: takes what is whole and signed, numbers it, answers by its course."""

from datetime import datetime
from pathlib import Path

from adapters.backends.desk import Desk
from adapters.backends.inspection import Refused
from adapters.backends.reference.answers import answers_of
from adapters.backends.reference.courses import course_of
from adapters.backends.reference.ledger import Ledger, Taken
from gateway.china import china_date
from gateway.message import Submission
from gateway.ports import Clock, Outcome
from gateway.submission import Envelope


class ReferenceCustoms(Desk):
    """ports.Backend, as `Desk`, with its ledger in `folder`/customs.db. It keeps envelopes, not packages."""

    def __init__(self, folder: Path, certificate_pem: str, clock: Clock) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._ledger = Ledger(folder / "customs.db", clock)
        super().__init__(folder, self._ledger, certificate_pem, clock)

    def _take(self, submission: Submission, envelope: Envelope, now: datetime) -> None:
        course = course_of(envelope.reference, envelope.operation)
        with self._ledger.transaction():
            seq_no = self._allot_seq_no(envelope, now) if course.imported else ""
            entry_id = self._allot_entry_id(envelope, now) if course.stored else ""
            taken = Taken(
                key=submission.key,
                agent=envelope.sender["code"],
                reference=envelope.reference,
                operation=envelope.operation,
                seq_no=seq_no,
                entry_id=entry_id,
                taken_at=now,
                envelope=submission.envelope,
            )
            self._ledger.note_call(submission.key, Outcome.TAKEN, "", now)
            self._ledger.take(taken, answers_of(taken, course, envelope.facts))
            self._ledger.wait(submission.key, course.waits, now)

    def _allot_seq_no(self, envelope: Envelope, now: datetime) -> str:
        """18 characters: I or E, year, 13 digits. A declaration that follows its save keeps the number."""
        known = self._ledger.seq_no_of(envelope.sender["code"], envelope.reference)
        if known is not None:
            return known
        year = china_date(now).year
        return f"{_direction(envelope)}{year}{self._ledger.next_serial(f'seq {year}'):013}"

    def _allot_entry_id(self, envelope: Envelope, now: datetime) -> str:
        """18 digits: declaration office, year, 1 import or 0 export, serial of 9."""
        office = envelope.facts.get("office", "")
        if not (len(office) == 4 and office.isdecimal()):
            raise Refused("the declaration names no customs office")
        series = f"{office}{china_date(now).year}{1 if _direction(envelope) == 'I' else 0}"
        return f"{series}{self._ledger.next_serial(f'entry {series}'):09}"


def _direction(envelope: Envelope) -> str:
    direction = envelope.facts.get("direction", "")
    if direction not in ("I", "E"):
        raise Refused("the declaration says neither import nor export")
    return direction
