"""The base of the simulated back-ends: it checks submissions, takes each once, and gives answers until they
are acknowledged."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import IO, TypeVar

from adapters.sandbox.answer_log import AnswerLog
from adapters.sandbox.inspection import SubmissionRefused, inspect, scratch
from gateway.formats.submission import Envelope, write_zip
from gateway.model.answer import Answer
from gateway.model.clock import Clock
from gateway.model.delivery import Outcome
from gateway.model.message import Submission
from gateway.model.parties import RegisteredCertificate
from gateway.run.crash_points import crash_point

_T = TypeVar("_T")


class SimulatedBackend(ABC):
    """Implements `ports.Backend`. `certificate_pem` is the gateway's certificate, with which envelopes are
    verified.

    A submission and its answers are in the log before `submit` returns; every call of `submit` is in its
    table `calls`. `folder` holds large packages while they are checked.
    """

    def __init__(self, folder: Path, log: AnswerLog, certificate_pem: str, clock: Clock) -> None:
        self._folder = folder
        self._log = log
        self._certificates: tuple[RegisteredCertificate, ...] = (RegisteredCertificate(pem=certificate_pem),)
        self._clock = clock
        # One thread, so that of two submissions with the same key the second finds the first.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=type(self).__name__)

    def trust(self, certificate_pem: str) -> None:
        """Accepts envelopes that are signed with this certificate of the gateway too."""
        registered = RegisteredCertificate(pem=certificate_pem)
        if registered not in self._certificates:
            self._certificates = (*self._certificates, registered)

    @abstractmethod
    def _take(self, submission: Submission, envelope: Envelope, now: datetime) -> None:
        """Takes a new submission that is complete and signed, and records it, the call and the answers in one
        transaction. Raises `SubmissionRefused`, and records nothing, where it does not take it."""

    @crash_point("a-sandbox-takes-a-submission")
    async def submit(self, submission: Submission, opened: Callable[[str], IO[bytes]]) -> tuple[Outcome, str]:
        return await self._run(lambda: self._submit(submission, opened))

    async def ask(self, key: str) -> tuple[Outcome, str]:
        return Outcome.TAKEN if await self._run(lambda: self._log.has(key)) else Outcome.LATER, ""

    async def answers(self, limit: int) -> Sequence[Answer]:
        return await self._run(lambda: self._log.answers(limit))

    @crash_point("a-sandbox-hears-that-answers-are-filed")
    async def acknowledge(self, ids: Sequence[str]) -> None:
        await self._run(lambda: self._acknowledge(ids))

    def close(self) -> None:
        """Waits for the calls in progress. The back-end must not be used afterwards."""
        self._thread.shutdown()
        self._log.close()

    async def _run(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _submit(self, submission: Submission, opened: Callable[[str], IO[bytes]]) -> tuple[Outcome, str]:
        now = self._clock()
        if self._log.has(submission.key):
            return self._note(submission.key, Outcome.TAKEN, "taken before", now)
        try:
            with scratch(self._folder) as copy:
                write_zip(submission, opened, copy)
                envelope = inspect(copy, self._certificates, now, self._folder)
            if submission.key not in (envelope.message, f"{envelope.message}-{envelope.office}"):
                raise SubmissionRefused("the envelope belongs to another message")
            self._take(submission, envelope, now)
        except SubmissionRefused as trouble:
            return self._note(submission.key, Outcome.NEVER, str(trouble), now)
        return Outcome.TAKEN, ""

    def _note(self, key: str, outcome: Outcome, reason: str, now: datetime) -> tuple[Outcome, str]:
        with self._log.transaction():
            self._log.note_call(key, outcome, reason, now)
        return outcome, reason

    def _acknowledge(self, ids: Sequence[str]) -> None:
        with self._log.transaction():
            self._log.acknowledge(ids)
