"""Work on the log of a simulated back-end, in one thread: what waits at the same time shares a transaction,
so that the disk is waited for once for all of it."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from adapters.sandbox.answer_log import AnswerLog
from adapters.store.outcomes import Outcome, Outcomes

_T = TypeVar("_T")
_Write = Callable[[], Any]

_AT_ONCE: Final = 64  # pieces of work in one transaction
_PREPARED_WITHIN: Final = 0.05  # seconds; what is prepared after that belongs to the next transaction


@dataclass(frozen=True, slots=True)
class _Work:
    prepare: Callable[[], _Write]
    outcome: Outcome


class SharedCommits:
    """Work is done in the order in which it is given."""

    def __init__(self, log: AnswerLog, thread_name: str) -> None:
        self._log = log
        self._waiting = deque[_Work]()
        self._outcomes: Outcomes | None = None
        # One thread, so that of two submissions with the same key the second finds the first.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=thread_name)

    def close(self) -> None:
        """Waits for the work that was given."""
        self._thread.shutdown()

    async def alone(self, work: Callable[[], _T]) -> _T:
        """Does work that begins no transaction, or one of its own."""
        outcome = self._new_outcome()
        self._thread.submit(_do, work, outcome)
        result: _T = await outcome.future
        return result

    async def write(self, prepare: Callable[[], Callable[[], _T]]) -> _T:
        """Runs `prepare` outside of a transaction, then the function that it returns inside one, and returns
        its result once that is committed. An exception of either undoes only this piece of work."""
        outcome = self._new_outcome()
        self._waiting.append(_Work(prepare, outcome))
        self._thread.submit(self._commit_waiting)
        result: _T = await outcome.future
        return result

    def _new_outcome(self) -> Outcome:
        loop = asyncio.get_running_loop()
        if self._outcomes is None or self._outcomes.loop is not loop:
            self._outcomes = Outcomes(loop)
        return self._outcomes.new()

    def _commit_waiting(self) -> None:
        """Does nothing where an earlier call has done what was waiting for this one."""
        until = time.monotonic() + _PREPARED_WITHIN
        prepared: list[tuple[Outcome, _Write]] = []
        while self._waiting and len(prepared) < _AT_ONCE and time.monotonic() < until:
            work = self._waiting.popleft()
            if not work.outcome.set_running_or_notify_cancel():
                continue
            try:
                prepared.append((work.outcome, work.prepare()))
            except Exception as error:
                work.outcome.set_exception(error)
        if not prepared:
            return
        results: list[tuple[Outcome, Any, Exception | None]] = []
        try:
            with self._log.transaction():
                results = [(outcome, *self._attempt(write)) for outcome, write in prepared]
        except Exception as error:
            results = [(outcome, None, error) for outcome, _ in prepared]
        for outcome, result, failure in results:
            if failure is None:
                outcome.set_result(result)
            else:
                outcome.set_exception(failure)

    def _attempt(self, write: _Write) -> tuple[Any, Exception | None]:
        try:
            with self._log.undone_alone():
                return write(), None
        except Exception as error:
            if not self._log.in_transaction:
                raise  # SQLite has undone all of it, as it does where the disk is full
            return None, error


def _do(work: Callable[[], Any], outcome: Outcome) -> None:
    if outcome.set_running_or_notify_cancel():
        try:
            outcome.set_result(work())
        except Exception as error:
            outcome.set_exception(error)
