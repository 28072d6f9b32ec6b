"""The worker processes of a node: each compiles schemas and parses keys once, and may die."""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from queue import LifoQueue
from threading import Lock
from typing import Final, TypeVar

import structlog

from adapters.home.home import Home
from adapters.run.fork_server import ForkServer
from adapters.run.worker import (
    Exhausted,
    Judgement,
    JudgementFailed,
    Judging,
    RaisedError,
    Task,
    Worker,
)
from gateway.model.decision import Decision
from gateway.model.faults import JudgementDeferred
from gateway.model.message import Receipt, Received
from gateway.model.pending_receipt import PendingReceipt
from gateway.monitor.observer import UNOBSERVED, Observer
from gateway.respond.decide_answers import unreadable
from gateway.respond.ports import DecidedAnswers, ReceivedAnswer
from gateway.run.ports import WorkerDied

T = TypeVar("T")

# Judgements claimed for each worker: enough to keep it at work during a commit, so that one commit has the
# decisions of many.
_WINDOW: Final = 32
# Small messages that are judged for the first time go to a worker together. A larger one, and one whose
# judgement came to no end before, goes alone: whatever ends the worker is its doing.
_BATCH: Final = 8
_SMALL: Final = 64 * 1024  # bytes of the package
_AGAIN_SECONDS: Final = 5.0  # between two attempts to start a worker
# Added to the seconds that any message may take. An idle machine reads 200 MB a second.
_BYTES_PER_SECOND: Final = 10_000_000
_SECONDS_TO_READ: Final = 10.0  # an answer of 32 MB takes half a second


# On a busy machine a worker gets less than a core; a worker that does nothing at all is ended too.
_PATIENCE: Final = 10.0  # seconds on the clock for each second of CPU time


log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A message that waits to be judged."""

    received: Received
    now: datetime
    decision: asyncio.Future[Decision]

    @property
    def shares(self) -> bool:
        """Whether it is judged together with others."""
        return self.received.arrival.size <= _SMALL and self.received.attempts == 1

    def end(self, decision: Decision) -> None:
        if not self.decision.done():
            self.decision.set_result(decision)

    def fail(self, error: Exception) -> None:
        if not self.decision.done():
            self.decision.set_exception(error)


class _Pool:
    """Workers with the same judgement configuration."""

    def __init__(self, forks: ForkServer, home: Home, judging: Judging, count: int, memory: int) -> None:
        """Raises `WorkerDied` if they do not start: then none is left."""
        self.certificate = judging.certificate
        self._new_worker = partial(Worker, forks, home, judging, memory)
        self._count = count
        self.idle: LifoQueue[Worker | None] = LifoQueue()  # None: a worker still to be started
        # All workers are ready before anything is claimed for them: an attempt is counted at its claim, and a
        # node that is killed repeatedly while it starts must not use up the attempts of a sound message.
        started = list[Worker]()
        try:
            started += (self._new_worker() for _ in range(count))
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
        try:
            worker = self._new_worker()
            try:
                worker.wait()
            except WorkerDied:
                worker.end()
                raise
        except WorkerDied as error:
            raise JudgementDeferred(str(error), _AGAIN_SECONDS) from None
        return worker

    def end(self) -> None:
        """Waits for work in progress."""
        for _ in range(self._count):
            worker = self.idle.get()
            if worker is not None:
                worker.end()


class WorkerJudges:
    """gateway.run.ports.Judges, gateway.respond.ports.AnswerDeciders and gateway.model.signers.Signers. A
    worker that dies takes one judgement with it and is replaced; what it had besides is judged again."""

    def __init__(
        self,
        forks: ForkServer,
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
        self._forks = forks
        self._home = home
        self._count = workers or os.cpu_count() or 1
        self._seconds = seconds
        self._seconds_to_read = seconds_to_read
        self._memory = memory
        self._patience = patience
        self._observer = observer
        self.ailing = ""  # why the last worker did not start; empty if it did
        self._threads = ThreadPoolExecutor(max_workers=self._count, thread_name_prefix="judge")
        self._waiting: deque[_Waiting] = deque()
        self._batches: set[asyncio.Task[None]] = set()  # with the workers, or next for them
        self._pool = _Pool(forks, home, judging, self._count, memory)
        self._changing = Lock()

    def prepare(self, judging: Judging) -> Callable[[], Callable[[], None]]:
        """Starts workers with another configuration, and waits until they are ready. Raises `WorkerDied` if
        they do not start.

        The returned function switches every judgement that begins from then on to them, at once; judgements
        in progress are finished by their workers. The function that it returns in turn waits for these, and
        ends the old workers.
        """
        pool = _Pool(self._forks, self._home, judging, self._count, self._memory)

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
        waiting = _Waiting(received, now, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._hand_on()
        return await waiting.decision

    def _hand_on(self) -> None:
        # No more batches than these lie before the workers, so that an answer of customs, for which a
        # declaration waits already, is decided after at most two.
        while self._waiting and len(self._batches) < 2 * self._count:
            # The workers share what waits.
            most = min(_BATCH, -(-len(self._waiting) // self._count))
            batch = [self._waiting.popleft()]
            while batch[0].shares and len(batch) < most and self._waiting[0].shares:
                batch.append(self._waiting.popleft())
            task = asyncio.create_task(self._judge(batch))
            self._batches.add(task)
            task.add_done_callback(self._handed)

    def _handed(self, batch: asyncio.Task[None]) -> None:
        self._batches.discard(batch)
        self._hand_on()

    async def _judge(self, batch: Sequence["_Waiting"]) -> None:
        if len(batch) > 1:
            try:
                outcomes = await self._outcomes(batch)
            except Exception as error:
                # One of them is to blame; so that it harms no other, each is judged alone.
                log.warning("judged one by one", messages=len(batch), why=type(error).__name__)
            else:
                for each, outcome in zip(batch, outcomes, strict=True):
                    self._end(each, outcome)
                return
        for each in batch:
            try:
                self._end(each, await self._alone(each))
            except Exception as error:
                each.fail(error)

    async def _outcomes(
        self, batch: Sequence["_Waiting"], *, fresh: bool = False
    ) -> Sequence[Judgement | RaisedError]:
        given = [(each.received, each.now, self._seconds_for(each.received)) for each in batch]
        seconds = sum(seconds for _received, _now, seconds in given)
        outcomes: Sequence[Judgement | RaisedError]
        outcomes = await self._ask(("judge", tuple(given)), list, seconds, fresh=fresh)
        return outcomes

    def _seconds_for(self, received: Received) -> float:
        return self._seconds + received.arrival.size / _BYTES_PER_SECOND

    async def _alone(self, waiting: "_Waiting") -> Judgement | RaisedError:
        try:
            (outcome,) = await self._outcomes([waiting])
        except Exhausted:
            # Perhaps earlier work left too little memory in that worker: try once more with a new one.
            try:
                (outcome,) = await self._outcomes([waiting], fresh=True)
            except Exhausted as spent:
                refused: Task = ("too_costly", waiting.received, waiting.now, spent.limit, spent.limit_zh)
                return Judgement(await self._ask(refused, Decision, self._seconds), ())
        return outcome

    def _end(self, waiting: "_Waiting", outcome: Judgement | RaisedError) -> None:
        if isinstance(outcome, RaisedError):
            waiting.fail(outcome.exception())
        else:
            self._observer.timed(waiting.received.arrival.id, outcome.timings)
            waiting.end(outcome.decision)

    async def decided(self, answers: Sequence[ReceivedAnswer]) -> DecidedAnswers:
        try:
            return await self._ask(("answers", tuple(answers)), DecidedAnswers, self._seconds_to_read)
        except WorkerDied as died:
            if len(answers) == 1:
                return DecidedAnswers(chains=((unreadable(answers[0], str(died)),),))
        # One of them is to blame, and is found by halving.
        middle = len(answers) // 2
        first, rest = [await self.decided(half) for half in (answers[:middle], answers[middle:])]
        return DecidedAnswers(
            chains=first.chains + rest.chains, no_answers=first.no_answers + rest.no_answers
        )

    async def pending_receipt(self, pending: PendingReceipt, now: datetime) -> Receipt:
        return await self._ask(("pending_receipt", pending, now), Receipt, self._seconds)

    async def signed(self, documents: Sequence[bytes]) -> Sequence[bytes]:
        # A worker that dies here costs no message, so the caller may simply ask again.
        return await self._ask(("sign", tuple(documents)), tuple, self._seconds) if documents else ()

    def close(self) -> None:
        self._threads.shutdown()
        self._pool.end()

    async def _ask(self, task: Task, kind: type[T], seconds: float, *, fresh: bool = False) -> T:
        loop = asyncio.get_running_loop()
        outcome = await loop.run_in_executor(self._threads, self._do, task, seconds, fresh)
        if isinstance(outcome, kind):
            return outcome
        if isinstance(outcome, RaisedError):
            raise outcome.exception()
        raise JudgementFailed(str(outcome))

    def _do(self, task: Task, seconds: float, fresh: bool) -> object:
        with self._changing:
            # A worker is always free: no more threads work here than a pool has workers.
            pool = self._pool
            worker = pool.idle.get_nowait()
        try:
            if worker is not None and fresh:
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
