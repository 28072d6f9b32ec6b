"""The worker processes of a node: each compiles schemas and parses keys once, and may die."""

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from queue import LifoQueue
from threading import Lock
from typing import Final, TypeVar

from adapters.home.home import Home
from adapters.run.worker import CONTEXT, Exhausted, Judgement, Judging, RaisedError, ReadAnswer, Task, Worker
from gateway.model.answer import CustomsAnswer
from gateway.model.decision import Decision
from gateway.model.faults import JudgementDeferred
from gateway.model.message import Receipt, Received
from gateway.model.pending_receipt import PendingReceipt
from gateway.monitor.observer import UNOBSERVED, Observer
from gateway.respond.answer import Unreadable
from gateway.run.ports import WorkerDied

T = TypeVar("T")

# Judgements claimed for each worker: enough to keep it at work during a commit, so that one commit has the
# decisions of many.
_WINDOW: Final = 16
_AGAIN_SECONDS: Final = 5.0  # between two attempts to start a worker
# Added to the seconds that any message may take. An idle machine reads 200 MB a second.
_BYTES_PER_SECOND: Final = 10_000_000
_SECONDS_TO_READ: Final = 10.0  # an answer of 32 MB takes half a second


# On a busy machine a worker gets less than a core; a worker that does nothing at all is ended too.
_PATIENCE: Final = 10.0  # seconds on the clock for each second of CPU time


class JudgementFailed(Exception):
    """The exception of a worker, as text: exceptions cannot be fully passed between processes."""


class _Pool:
    """Workers with the same judgement configuration."""

    def __init__(self, home: Home, judging: Judging, count: int, memory: int) -> None:
        """Raises `WorkerDied` if they do not start: then none is left."""
        self.certificate = judging.certificate
        self._new_worker = partial(Worker, home, judging, memory)
        self._count = count
        self.idle: LifoQueue[Worker | None] = LifoQueue()  # None: a worker still to be started
        # All workers are ready before anything is claimed for them: an attempt is counted at its claim, and a
        # node that is killed repeatedly while it starts must not use up the attempts of a sound message.
        started = [self._new_worker() for _ in range(count)]
        try:
            for worker in started:
                worker.wait()
        except WorkerDied:
            for worker in started:
                worker.end()
            raise
        for worker in started:
            self.idle.put(worker)

    def started(self) -> Worker:
        """Replaces a worker that died. If the new one cannot start, the message in work is not to blame."""
        worker = self._new_worker()
        try:
            worker.wait()
        except WorkerDied as error:
            worker.end()
            raise JudgementDeferred(str(error), _AGAIN_SECONDS) from None
        return worker

    def end(self) -> None:
        """Waits for work in progress."""
        for _ in range(self._count):
            worker = self.idle.get()
            if worker is not None:
                worker.end()


class WorkerJudges:
    """gateway.run.ports.Judges and gateway.model.signers.Signers. A worker that dies takes one judgement with
    it and is replaced."""

    def __init__(
        self,
        home: Home,
        judging: Judging,
        workers: int,
        seconds: float,
        memory: int,
        observer: Observer = UNOBSERVED,
        seconds_to_read: float = _SECONDS_TO_READ,
        patience: float = _PATIENCE,
    ) -> None:
        """`seconds` of CPU time for a message of size zero, `memory` in MB."""
        # multiprocessing has every worker import the program's main module, and the module that explains
        # refusals is imported when first needed: here both are loaded once for all workers.
        CONTEXT.set_forkserver_preload(["adapters.run.worker", "cli", "gateway.families.schema_faults"])
        self._home = home
        self._count = workers or os.cpu_count() or 1
        self._seconds = seconds
        self._seconds_to_read = seconds_to_read
        self._memory = memory
        self._patience = patience
        self._observer = observer
        self.ailing = ""  # why the last worker did not start; empty if it did
        self._threads = ThreadPoolExecutor(max_workers=self._count, thread_name_prefix="judge")
        # No more judgements than these lie before the workers, so that an answer of customs, for which a
        # declaration waits already, is read and signed after at most two.
        self._next = asyncio.Semaphore(2 * self._count)
        self._pool = _Pool(home, judging, self._count, memory)
        self._changing = Lock()

    def prepare(self, judging: Judging) -> Callable[[], Callable[[], None]]:
        """Starts workers with another configuration, and waits until they are ready. Raises `WorkerDied` if
        they do not start.

        The returned function switches every judgement that begins from then on to them, at once; judgements
        in progress are finished by their workers. The function that it returns in turn waits for these, and
        ends the old workers.
        """
        pool = _Pool(self._home, judging, self._count, self._memory)

        def take() -> Callable[[], None]:
            with self._changing:
                before, self._pool = self._pool, pool
            return before.end

        return take

    @property
    def certificate(self) -> str:
        """The certificate with which the gateway signs now, PEM."""
        return self._pool.certificate

    @property
    def slots(self) -> int:
        return _WINDOW * self._count

    @property
    def workers(self) -> int:
        return self._count

    async def judge(self, received: Received, now: datetime) -> Decision:
        async with self._next:
            return await self._judged(received, now)

    async def _judged(self, received: Received, now: datetime) -> Decision:
        seconds = self._seconds + received.arrival.size / _BYTES_PER_SECOND
        task: Task = ("judge", received, now)
        try:
            judgement = await self._ask(task, Judgement, seconds)
        except Exhausted:
            # Perhaps earlier work left too little memory in that worker: try once more with a new one.
            try:
                judgement = await self._ask(task, Judgement, seconds, alone=True)
            except Exhausted as spent:
                refused: Task = ("too_costly", received, now, spent.limit, spent.limit_zh)
                return await self._ask(refused, Decision, self._seconds)
        self._observer.timed(received.arrival.id, judgement.timings)
        return judgement.decision

    async def parsed(self, answer: bytes) -> CustomsAnswer | None:
        try:
            read = await self._ask(("told", answer), ReadAnswer, self._seconds_to_read)
        except WorkerDied as died:
            raise Unreadable(str(died)) from None
        if read.unreadable:
            raise Unreadable(read.unreadable)
        return read.parsed

    async def pending_receipt(self, pending: PendingReceipt, now: datetime) -> Receipt:
        return await self._ask(("pending_receipt", pending, now), Receipt, self._seconds)

    async def signed(self, documents: Sequence[bytes]) -> Sequence[bytes]:
        # A worker that dies here costs no message, so the caller may simply ask again.
        return await self._ask(("sign", tuple(documents)), tuple, self._seconds) if documents else ()

    def close(self) -> None:
        self._threads.shutdown()
        self._pool.end()

    async def _ask(self, task: Task, kind: type[T], seconds: float, *, alone: bool = False) -> T:
        loop = asyncio.get_running_loop()
        outcome = await loop.run_in_executor(self._threads, self._do, task, seconds, alone)
        if isinstance(outcome, kind):
            return outcome
        if isinstance(outcome, RaisedError) and outcome.again is not None:
            raise JudgementDeferred(outcome.text, outcome.again)
        raise JudgementFailed(str(outcome))

    def _do(self, task: Task, seconds: float, alone: bool) -> object:
        with self._changing:
            # A worker is always free: no more threads work here than a pool has workers.
            pool = self._pool
            worker = pool.idle.get_nowait()
        try:
            if worker is not None and alone:
                worker.end()
                worker = None
            worker = worker or self._started(pool)
            return worker.do(task, seconds, self._patience)
        except WorkerDied:
            if worker is not None:
                worker.end()
            worker = None
            raise
        finally:
            pool.idle.put(worker)

    def _started(self, pool: _Pool) -> Worker:
        try:
            worker = pool.started()
        except JudgementDeferred as error:
            self.ailing = str(error)
            raise
        self.ailing = ""
        return worker
