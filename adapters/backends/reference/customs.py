"""The reference customs as a Backend: takes what is whole and signed, numbers it, answers by its course."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import IO, TypeVar

from adapters.backends.reference.courses import Course, course_of
from adapters.backends.reference.inspection import Refused, inspect, scratch
from adapters.backends.reference.ledger import Ledger, Taken
from adapters.backends.reference.notices import CHINA, dec_result, import_response
from gateway.message import Submission
from gateway.parties import RegisteredCertificate
from gateway.ports import Answer, Clock, Outcome
from gateway.submission import Envelope, write_zip

_T = TypeVar("_T")


class ReferenceCustoms:
    """ports.Backend. `certificate_pem` is the gateway's, by which envelopes are verified.

    What it took and has to say stands in `folder`/customs.db before `submit` returns; every call of `submit`
    is counted there, table `calls`. It keeps envelopes, not packages.
    """

    def __init__(self, folder: Path, certificate_pem: str, clock: Clock) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._certificates = (RegisteredCertificate(pem=certificate_pem),)
        self._clock = clock
        self._ledger = Ledger(folder / "customs.db")
        # One thread: one after the other is what makes "the same key again" a question with one answer.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reference-customs")

    async def submit(
        self, submission: Submission, package: AbstractContextManager[IO[bytes]]
    ) -> tuple[Outcome, str]:
        return await self._run(lambda: self._submit(submission, package))

    async def ask(self, key: str) -> Outcome:
        return Outcome.TAKEN if await self._run(lambda: self._ledger.has(key)) else Outcome.LATER

    async def answers(self, limit: int) -> Sequence[Answer]:
        return await self._run(lambda: self._ledger.answers(limit))

    async def acknowledge(self, ids: Sequence[str]) -> None:
        await self._run(lambda: self._acknowledge(ids))

    def close(self) -> None:
        """Waits for what is under way. Nothing may be asked of it afterwards."""
        self._thread.shutdown()
        self._ledger.close()

    async def _run(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _submit(
        self, submission: Submission, package: AbstractContextManager[IO[bytes]]
    ) -> tuple[Outcome, str]:
        now = self._clock()
        if self._ledger.has(submission.key):
            return self._note(submission.key, Outcome.TAKEN, "taken before", now)
        try:
            with scratch(self._folder) as sent:
                with package as stream:
                    write_zip(submission.envelope, stream, submission.package_name, sent)
                envelope = inspect(sent, self._certificates, now, self._folder)
            if envelope.message != submission.key:
                raise Refused("the envelope belongs to another message")
            self._take(submission, envelope, now)
        except Refused as trouble:
            return self._note(submission.key, Outcome.NEVER, str(trouble), now)
        return Outcome.TAKEN, ""

    def _note(self, key: str, outcome: Outcome, reason: str, now: datetime) -> tuple[Outcome, str]:
        with self._ledger.transaction():
            self._ledger.note_call(key, outcome, reason, now)
        return outcome, reason

    def _acknowledge(self, ids: Sequence[str]) -> None:
        with self._ledger.transaction():
            self._ledger.acknowledge(ids)

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
            self._ledger.take(taken, _answers(taken, course, envelope.facts))

    def _allot_seq_no(self, envelope: Envelope, now: datetime) -> str:
        """18 characters: I or E, year, 13 digits. A declaration that follows its save keeps the number."""
        known = self._ledger.seq_no_of(envelope.sender["code"], envelope.reference)
        if known is not None:
            return known
        year = now.astimezone(CHINA).year
        return f"{_direction(envelope)}{year}{self._ledger.next_serial(f'seq {year}'):013}"

    def _allot_entry_id(self, envelope: Envelope, now: datetime) -> str:
        """18 digits: declaration office, year, 1 import or 0 export, serial of 9."""
        office = envelope.facts.get("office", "")
        if not (len(office) == 4 and office.isdecimal()):
            raise Refused("the declaration names no customs office")
        series = f"{office}{now.astimezone(CHINA).year}{1 if _direction(envelope) == 'I' else 0}"
        return f"{series}{self._ledger.next_serial(f'entry {series}'):09}"


def _direction(envelope: Envelope) -> str:
    direction = envelope.facts.get("direction", "")
    if direction not in ("I", "E"):
        raise Refused("the declaration says neither import nor export")
    return direction


def _answers(taken: Taken, course: Course, facts: dict[str, str]) -> list[tuple[str, bytes]]:
    response = import_response(
        code=course.response, error=course.error, client_reference=taken.reference, seq_no=taken.seq_no
    )
    notices = [
        (
            f"Receipt_{taken.key}_{notice.channel}.xml",
            dec_result(
                seq_no=taken.seq_no,
                entry_id=taken.entry_id,
                channel=notice.channel,
                note=notice.note,
                office=facts.get("office", ""),
                moved_on=facts.get("ie_date", ""),
                at=taken.taken_at,
            ),
        )
        for notice in course.notices
    ]
    return [(f"{'Successed' if course.imported else 'Failed'}_{taken.key}.xml", response), *notices]
