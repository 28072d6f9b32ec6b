"""Work on the log of a simulated back-end, in one thread: what waits at the same time shares a transaction,
so that the disk is waited for once for all of it."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from adapters.sandbox.answer_log import AnswerLog

_T = TypeVar("_T")
_Write = Callable[[], Any]

_AT_ONCE: Final = 64  # pieces of work in one transaction
_PREPARED_WITHIN: Final = 0.05  # seconds; what is prepared after that belongs to the next transaction


@dataclass(frozen=True, slots=True)
class _Work:
    prepare: Callable[[], _Write]
    done: Future[Any] = field(default_factory=Future)


class SharedCommits:
    """Work is done in the order in which it is given."""

    def __init__(self, log: AnswerLog, thread_name: str) -> None:
        self._log = log
        self._waiting = deque[_Work]()
        # One thread, so that of two submissions with the same key the second finds the first.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=thread_name)

    def close(self) -> None:
        """Waits for the work that was given."""
        self._thread.shutdown()

    async def alone(self, work: Callable[[], _T]) -> _T:
        """Does work that begins no transaction, or one of its own."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def write(self, prepare: Callable[[], Callable[[], _T]]) -> _T:
        """Runs `prepare` outside of a transaction, then the function that it returns inside one, and returns
        its result once that is committed. An exception of either undoes only this piece of work."""
        work = _Work(prepare)
        self._waiting.append(work)
        self._thread.submit(self._commit_waiting)
        result: _T = await asyncio.wrap_future(work.done)
        return result

    def _commit_waiting(self) -> None:
        """Does nothing where an earlier call has done what was waiting for this one."""
        until = time.monotonic() + _PREPARED_WITHIN
        prepared: list[tuple[_Work, _Write]] = []
        while self._waiting and len(prepared) < _AT_ONCE and time.monotonic() < until:
            work = self._waiting.popleft()
            if not work.done.set_running_or_notify_cancel():
                continue
            try:
                prepared.append((work, work.prepare()))
            except BaseException as error:
                work.done.set_exception(error)
        if prepared:
            self._commit(prepared)

    def _commit(self, prepared: list[tuple[_Work, _Write]]) -> None:
        results: list[tuple[_Work, Any]] = []
        try:
            with self._log.transaction():
                for work, write in prepared:
                    try:
                        with self._log.undone_alone():
                            result = write()
                    except Exception as error:
                        work.done.set_exception(error)
                        if not self._log.in_transaction:
                            raise  # SQLite has undone all of it, as it does where the disk is full
                    else:
                        results.append((work, result))
        except BaseException as error:
            for work, _ in prepared:
                if not work.done.done():
                    work.done.set_exception(error)
        else:
            for work, result in results:
                work.done.set_result(result)
