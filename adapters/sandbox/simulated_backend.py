"""The base of the simulated back-ends: it checks submissions, takes each once, and gives answers until they
are acknowledged."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, TypeVar

from adapters.sandbox.answer_log import AnswerLog
from adapters.sandbox.inspection import InspectedSubmission, SubmissionRefused, inspect, scratch
from adapters.sandbox.shared_commits import SharedCommits
from gateway.formats.submission import write_zip
from gateway.model.answer import Answer
from gateway.model.clock import Clock
from gateway.model.delivery import Outcome
from gateway.model.message import Submission
from gateway.model.parties import RegisteredCertificate
from gateway.run.crash_points import crash_point

_T = TypeVar("_T")
_Write = Callable[[], tuple[Outcome, str]]


class SimulatedBackend(ABC):
    """Implements `ports.Backend`. `certificate_pem` is the gateway's certificate, with which envelopes are
    verified.

    A submission and its answers are in the log before `submit` returns; every call of `submit` is in its
    table `calls`. Calls at the same time share a transaction. `folder` holds large packages while they are
    checked.
    """

    def __init__(self, folder: Path, log: AnswerLog, certificate_pem: str, clock: Clock) -> None:
        self._folder = folder
        self._log = log
        self._certificates: tuple[RegisteredCertificate, ...] = (RegisteredCertificate(pem=certificate_pem),)
        self._clock = clock
        self._commits = SharedCommits(log, type(self).__name__)
        self._queued = asyncio.Event()  # answers may have been queued since `until_due` returned

    def trust(self, certificate_pem: str) -> None:
        """Accepts envelopes that are signed with this certificate of the gateway too."""
        registered = RegisteredCertificate(pem=certificate_pem)
        if registered not in self._certificates:
            self._certificates = (*self._certificates, registered)

    @abstractmethod
    def _take(self, submission: InspectedSubmission, now: datetime) -> None:
        """Takes a new submission, and records it and its answers in the caller's transaction. Raises
        `SubmissionRefused` where it does not take it; what it has recorded is undone then."""

    async def submit(self, submission: Submission, opened: Callable[[str], IO[bytes]]) -> tuple[Outcome, str]:
        return await self._submit(partial(self._written, submission, opened))

    async def submit_zip(self, key: str, zipped: IO[bytes]) -> tuple[Outcome, str]:
        """As `submit`, for the zip of `submission.write_zip` in a seekable stream."""
        return await self._submit(partial(self._inspected, key, zipped))

    async def ask(self, key: str) -> tuple[Outcome, str]:
        return Outcome.TAKEN if await self._run(lambda: self._log.has(key)) else Outcome.LATER, ""

    async def answers(self, limit: int) -> Sequence[Answer]:
        return await self._run(lambda: self._log.answers(limit))

    @crash_point("a-sandbox-hears-that-answers-are-filed")
    async def acknowledge(self, ids: Sequence[str]) -> None:
        await self._commits.write(lambda: partial(self._log.acknowledge, ids))

    async def until_due(self, longest: float) -> None:
        """Returns when an answer may be due: after a submission, or at the time of the next answer. Returns
        after `longest` seconds too, since other processes queue answers in the same log."""
        pause = await self._run(lambda: self._log.next_due(self._clock()))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._queued.wait(), longest if pause is None else min(longest, pause))
        self._queued.clear()

    def close(self) -> None:
        """Waits for the calls in progress. The back-end must not be used afterwards."""
        self._commits.close()
        self._log.close()

    async def _run(self, work: Callable[[], _T]) -> _T:
        return await self._commits.alone(work)

    @crash_point("a-sandbox-takes-a-submission")
    async def _submit(self, prepare: Callable[[], _Write]) -> tuple[Outcome, str]:
        outcome = await self._commits.write(prepare)
        self._queued.set()
        return outcome

    def _written(self, submission: Submission, opened: Callable[[str], IO[bytes]]) -> _Write:
        with scratch(self._folder) as zipped:
            write_zip(submission, opened, zipped)
            return self._inspected(submission.key, zipped)

    def _inspected(self, key: str, zipped: IO[bytes]) -> _Write:
        """Checks a submission; returns what notes the outcome."""
        now = self._clock()
        if self._log.has(key):
            return lambda: self._note(key, Outcome.TAKEN, "taken before", now)
        try:
            inspected = inspect(key, zipped, self._certificates, now, self._folder)
        except SubmissionRefused as trouble:
            reason = str(trouble)
            return lambda: self._note(key, Outcome.NEVER, reason, now)
        return lambda: self._taken(inspected, now)

    def _taken(self, submission: InspectedSubmission, now: datetime) -> tuple[Outcome, str]:
        if self._log.has(submission.key):  # by a call that shares the transaction
            return self._note(submission.key, Outcome.TAKEN, "taken before", now)
        try:
            with self._log.undone_alone():
                self._take(submission, now)
        except SubmissionRefused as trouble:
            return self._note(submission.key, Outcome.NEVER, str(trouble), now)
        return self._note(submission.key, Outcome.TAKEN, "", now)

    def _note(self, key: str, outcome: Outcome, reason: str, now: datetime) -> tuple[Outcome, str]:
        self._log.note_call(key, outcome, reason, now)
        return outcome, reason
