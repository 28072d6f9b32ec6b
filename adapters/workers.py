"""Judgement and signing in worker processes: each compiles schemas and parses keys once, and may be lost."""

import asyncio
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from importlib.resources import files
from multiprocessing.connection import Connection
from queue import LifoQueue
from threading import Lock
from time import perf_counter
from typing import Any, Final, Literal, Self, TypeVar

from adapters.blobs.filesystem import FilesystemBlobs
from adapters.home import Home
from adapters.spending import Spending
from adapters.stores.database import sqlite_engine
from adapters.stores.register import SqlRegister
from gateway.answers import NoAnswer, Told, Unreadable, read
from gateway.decision import Decision
from gateway.families import Families
from gateway.faults import Deferred, Rejected
from gateway.message import Receipt, Received
from gateway.observing import UNOBSERVED, Observer
from gateway.pipeline import Rules, judge, pending_receipt, too_costly
from gateway.policy import Policy
from gateway.ports import Untold, WorkerDied
from gateway.settings import BadSettings
from gateway.signing import XadesSigner
from gateway.stages.route import Routes
from gateway.xml import trusted

T = TypeVar("T")

_Task = (
    tuple[Literal["judge"], Received, datetime]
    | tuple[Literal["too_costly"], Received, datetime, str, str]
    | tuple[Literal["told"], bytes]
    | tuple[Literal["pending_receipt"], Untold, datetime]
    | tuple[Literal["sign"], tuple[bytes, ...]]
)

# Workers are forked from a clean process that has imported the pipeline once, so that they share its memory
# and none of the node's threads and locks.
_CONTEXT: Final = multiprocessing.get_context("forkserver")

_ENDS_WITHIN: Final = 5.0  # seconds until the end of a process is known, after it closed its pipe
_AGAIN_SECONDS: Final = 5.0  # between two tries to start a worker
# Beside the seconds that any message may take. A machine with nothing else to do reads 200 MB a second.
_BYTES_PER_SECOND: Final = 10_000_000
_SECONDS_TO_READ: Final = 10.0  # an answer of 32 MB takes half a second


# A machine that is busy gives a worker less than a core; one that does nothing at all is ended too.
_PATIENCE: Final = 10.0  # seconds on the clock for each second of CPU time


class Exhausted(WorkerDied):
    """A worker spent all that it may on one piece of work; of the bound it is told in both languages."""

    def __init__(self, limit: str, limit_zh: str) -> None:
        super().__init__(f"it took more than {limit}")
        self.limit = limit
        self.limit_zh = limit_zh


class JudgementFailed(Exception):
    """What a worker raised, as text: exceptions do not travel whole between processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """What a worker judges by and signs with. It is handed over, not read again: a file that is edited while
    the node runs must neither split the workers' judgement nor keep a new one from starting."""

    policy: Policy
    routes: Routes
    key: bytes = field(repr=False)
    certificate: str

    @classmethod
    def of(cls, home: Home, policy: Policy, routes: Routes) -> Self:
        """With the pair of the home as it is now. Raises `BadSettings` for one that cannot be used."""
        key, certificate = home.signing_key.read_bytes(), home.certificate.read_text()
        try:
            XadesSigner(key, certificate)
        except (TypeError, ValueError) as error:  # TypeError: it has a pass phrase
            raise BadSettings(f"keys/gateway.key, keys/gateway.crt: {error}") from None
        return cls(policy=policy, routes=routes, key=key, certificate=certificate)


class _Worker:
    """A process that is starting; it can `do` once `wait` has returned."""

    def __init__(self, home: Home, judging: "Judging", memory: int) -> None:
        ours, theirs = _CONTEXT.Pipe()
        self._connection = ours
        self._memory = memory
        self._process = _CONTEXT.Process(target=_serve, args=(home, judging, memory, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def wait(self) -> None:
        """Returns when it has its schemas and keys; raises `WorkerDied` where it cannot get them."""
        try:
            self._connection.recv()
        except (EOFError, OSError):
            raise WorkerDied("it did not start") from None

    def do(self, task: _Task, seconds: float, patience: float) -> Any:
        """Blocks. Raises `Exhausted` when the work takes more than `seconds` of CPU time, or its memory, and
        `WorkerDied` when the process ends otherwise, or says nothing for `seconds * patience`."""
        try:
            self._connection.send((task, seconds))
            if not self._connection.poll(seconds * patience):
                raise WorkerDied(f"it took longer than {seconds * patience:.0f} s")
            outcome = self._connection.recv()
        except (EOFError, OSError):
            self._process.join(_ENDS_WITHIN)
            if self._process.exitcode == -signal.SIGXCPU:
                spent = f"{round(seconds, 1):g}"
                raise Exhausted(f"{spent} s of CPU time", f"处理时间 {spent} 秒") from None
            raise WorkerDied("its worker ended") from None
        if isinstance(outcome, _Spent):
            raise Exhausted(f"{self._memory} MB of memory", f"内存 {self._memory} MB")
        return outcome

    def end(self) -> None:
        self._connection.close()
        self._process.kill()
        self._process.join()


@dataclass(frozen=True, slots=True)
class _Judgement:
    decision: Decision
    timings: tuple[tuple[str, float], ...]  # of `Observer.timed`


@dataclass(frozen=True, slots=True)
class _Read:
    told: Told | None
    unreadable: str = ""


@dataclass(frozen=True, slots=True)
class _Spent:
    """More memory than it may: nothing that came of the work counts."""


@dataclass(frozen=True, slots=True)
class _Raised:
    deferred: bool
    text: str


class _Pool:
    """Workers that judge by the same."""

    def __init__(self, home: Home, judging: Judging, count: int, memory: int) -> None:
        """Raises `WorkerDied` where they do not start: then none is left."""
        self.certificate = judging.certificate
        self._new_worker = partial(_Worker, home, judging, memory)
        self._count = count
        self.idle: LifoQueue[_Worker | None] = LifoQueue()  # None: one that is to be started
        # All of them can work before anything is claimed for them: an attempt is counted at its claim, and a
        # node that is killed again and again while it starts must not use up those of a sound message.
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

    def started(self) -> _Worker:
        """A worker for one that died. Where it cannot start, that is not the fault of the message at hand."""
        worker = self._new_worker()
        try:
            worker.wait()
        except WorkerDied as error:
            worker.end()
            raise Deferred(str(error), _AGAIN_SECONDS) from None
        return worker

    def end(self) -> None:
        """Waits for what is in hand."""
        for _ in range(self._count):
            worker = self.idle.get()
            if worker is not None:
                worker.end()


class WorkerJudges:
    """ports.Judges. A worker that dies takes one judgement with it and is replaced."""

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
        """`seconds` of CPU time for one message of no size, `memory` in MB."""
        # multiprocessing has every worker import the program's main module, and what explains refusals is
        # imported when first needed: here they are loaded once for all.
        _CONTEXT.set_forkserver_preload(["adapters.workers", "cli", "gateway.schema_faults"])
        self._home = home
        self._count = workers or os.cpu_count() or 1
        self._seconds = seconds
        self._seconds_to_read = seconds_to_read
        self._memory = memory
        self._patience = patience
        self._observer = observer
        self.ailing = ""  # why the last worker that was to be started did not, where it did not
        self._threads = ThreadPoolExecutor(max_workers=self._count, thread_name_prefix="judge")
        self._pool = _Pool(home, judging, self._count, memory)
        self._changing = Lock()

    def prepare(self, judging: Judging) -> Callable[[], Callable[[], None]]:
        """Starts workers that judge by something else, and waits for them. Raises `WorkerDied` where they do
        not start.

        What it returns gives them every judgement that begins from then on, at once; those in hand are ended
        by the workers that have them. What that returns waits for these, and ends the workers before.
        """
        pool = _Pool(self._home, judging, self._count, self._memory)

        def take() -> Callable[[], None]:
            with self._changing:
                before, self._pool = self._pool, pool
            return before.end

        return take

    @property
    def certificate(self) -> str:
        """The gateway's certificate that is signed with now, PEM."""
        return self._pool.certificate

    @property
    def slots(self) -> int:
        return 2 * self._count  # one in hand and one in the queue for each worker

    async def judge(self, received: Received, now: datetime) -> Decision:
        seconds = self._seconds + received.arrival.size / _BYTES_PER_SECOND
        task: _Task = ("judge", received, now)
        try:
            judgement = await self._ask(task, _Judgement, seconds)
        except Exhausted:
            # Perhaps what others left in that worker was too much: once more, with all of a new one.
            try:
                judgement = await self._ask(task, _Judgement, seconds, alone=True)
            except Exhausted as spent:
                refused: _Task = ("too_costly", received, now, spent.limit, spent.limit_zh)
                return await self._ask(refused, Decision, self._seconds)
        self._observer.timed(received.arrival.id, judgement.timings)
        return judgement.decision

    async def told(self, answer: bytes) -> Told | None:
        try:
            read = await self._ask(("told", answer), _Read, self._seconds_to_read)
        except WorkerDied as died:
            raise Unreadable(str(died)) from None
        if read.unreadable:
            raise Unreadable(read.unreadable)
        return read.told

    async def pending_receipt(self, untold: Untold, now: datetime) -> Receipt:
        return await self._ask(("pending_receipt", untold, now), Receipt, self._seconds)

    async def signed(self, documents: Sequence[bytes]) -> Sequence[bytes]:
        # A worker that dies takes no message with it here, so whoever asked may simply ask again.
        return await self._ask(("sign", tuple(documents)), tuple, self._seconds) if documents else ()

    def close(self) -> None:
        self._threads.shutdown()
        self._pool.end()

    async def _ask(self, task: _Task, kind: type[T], seconds: float, *, alone: bool = False) -> T:
        loop = asyncio.get_running_loop()
        outcome = await loop.run_in_executor(self._threads, self._do, task, seconds, alone)
        if isinstance(outcome, kind):
            return outcome
        if isinstance(outcome, _Raised) and outcome.deferred:
            raise Deferred(outcome.text)
        raise JudgementFailed(str(outcome))

    def _do(self, task: _Task, seconds: float, alone: bool) -> object:
        with self._changing:
            # There is one: those who work here are no more than a pool has workers.
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

    def _started(self, pool: _Pool) -> _Worker:
        try:
            worker = pool.started()
        except Deferred as error:
            self.ailing = str(error)
            raise
        self.ailing = ""
        return worker


class _Stages:
    """A stop-watch for one judgement."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, float]] = []
        self._last = perf_counter()

    def mark(self, stage: str) -> None:
        now = perf_counter()
        self.taken.append((stage, now - self._last))
        self._last = now


def _serve(home: Home, judging: Judging, memory: int, connection: Connection) -> None:
    """The life of a worker: ends when the node closes the pipe or dies, or it has spent too much."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    desk = _Desk(home, judging)
    spending = Spending(memory * 1024 * 1024)
    connection.send(None)
    while True:
        try:
            task, seconds = connection.recv()
        except EOFError:
            return
        spending.begin(seconds)
        outcome = _outcome(desk, task)
        if isinstance(outcome, _Spent) or spending.exceeded:
            connection.send(_Spent())
            return
        connection.send(outcome)


class _Desk:
    """What a worker works with, made once."""

    def __init__(self, home: Home, judging: Judging) -> None:
        self.families = Families.load(files("schemas"))
        self.rules = Rules(families=self.families, policy=judging.policy, routes=judging.routes)
        self.signer = XadesSigner(judging.key, judging.certificate)
        self.register = SqlRegister.of_one_thread(sqlite_engine(home.database, read_only=True))
        self.blobs = FilesystemBlobs(home.blobs)


def _outcome(desk: _Desk, task: _Task) -> object:
    at_it = (desk.rules, desk.register, desk.signer)
    try:
        match task:
            case ("judge", received, now):
                blob = partial(desk.blobs.open, received.arrival.sha256)
                stages = _Stages()
                decision = judge(received, blob, *at_it, now, stages.mark)
                return _Judgement(decision, tuple(stages.taken))
            case ("too_costly", received, now, limit, limit_zh):
                return too_costly(received, limit, limit_zh, *at_it, now)
            case ("told", answer):
                return _read(answer, desk.families)
            case ("pending_receipt", untold, now):
                return pending_receipt(untold, *at_it, now)
            case ("sign", documents):
                return tuple(desk.signer.sign(trusted(document)) for document in documents)
    except Deferred as deferred:
        return _Raised(True, str(deferred))
    except MemoryError:
        return _Spent()
    except Exception as error:
        # Where it happened, but not the exception's own words: they may quote the message.
        where = "".join(traceback.format_tb(error.__traceback__, limit=-5))
        return _Raised(False, f"{type(error).__name__}\n{where}")


def _read(answer: bytes, families: Families) -> _Read:
    try:
        return _Read(read(answer, families))
    except NoAnswer:
        return _Read(None)
    except Rejected as refused:
        return _Read(None, str(refused))
