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
from adapters.stores.database import sqlite_engine
from adapters.stores.register import SqlRegister
from gateway.answers import NoAnswer, Told, Unreadable, read
from gateway.decision import Decision
from gateway.families import Families
from gateway.faults import Deferred, Rejected
from gateway.message import Receipt, Received
from gateway.observing import UNOBSERVED, Observer
from gateway.pipeline import Rules, judge, pending_receipt
from gateway.policy import Policy
from gateway.ports import Untold, WorkerDied
from gateway.settings import BadSettings
from gateway.signing import XadesSigner
from gateway.stages.route import Routes
from gateway.xml import trusted

T = TypeVar("T")

_Task = (
    tuple[Literal["judge"], Received, datetime]
    | tuple[Literal["told"], bytes]
    | tuple[Literal["pending_receipt"], Untold, datetime]
    | tuple[Literal["sign"], tuple[bytes, ...]]
)

# Workers are forked from a clean process that has imported the pipeline once, so that they share its memory
# and none of the node's threads and locks.
_CONTEXT: Final = multiprocessing.get_context("forkserver")

_AGAIN_SECONDS: Final = 5.0  # between two tries to start a worker
# Beside the seconds that any message may take. A machine with nothing else to do reads 200 MB a second.
_BYTES_PER_SECOND: Final = 10_000_000
_SECONDS_TO_READ: Final = 10.0  # an answer of 32 MB takes half a second


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

    def __init__(self, home: Home, judging: "Judging") -> None:
        ours, theirs = _CONTEXT.Pipe()
        self._connection = ours
        self._process = _CONTEXT.Process(target=_serve, args=(home, judging, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def wait(self) -> None:
        """Returns when it has its schemas and keys; raises `WorkerDied` where it cannot get them."""
        try:
            self._connection.recv()
        except (EOFError, OSError):
            raise WorkerDied("it did not start") from None

    def do(self, task: _Task, seconds: float) -> Any:
        """Blocks. Raises `WorkerDied` when the process ends or takes longer than `seconds`."""
        try:
            self._connection.send(task)
            if not self._connection.poll(seconds):
                raise WorkerDied(f"it took longer than {seconds:.0f} s")
            return self._connection.recv()
        except (EOFError, OSError):
            raise WorkerDied("its worker ended") from None

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
class _Raised:
    deferred: bool
    text: str


class _Pool:
    """Workers that judge by the same."""

    def __init__(self, home: Home, judging: Judging, count: int) -> None:
        """Raises `WorkerDied` where they do not start: then none is left."""
        self.certificate = judging.certificate
        self._new_worker = partial(_Worker, home, judging)
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
        observer: Observer = UNOBSERVED,
        seconds_to_read: float = _SECONDS_TO_READ,
    ) -> None:
        # multiprocessing has every worker import the program's main module, and what explains refusals is
        # imported when first needed: here they are loaded once for all.
        _CONTEXT.set_forkserver_preload(["adapters.workers", "cli", "gateway.schema_faults"])
        self._home = home
        self._count = workers or os.cpu_count() or 1
        self._seconds = seconds
        self._seconds_to_read = seconds_to_read
        self._observer = observer
        self.ailing = ""  # why the last worker that was to be started did not, where it did not
        self._threads = ThreadPoolExecutor(max_workers=self._count, thread_name_prefix="judge")
        self._pool = _Pool(home, judging, self._count)
        self._changing = Lock()

    def prepare(self, judging: Judging) -> Callable[[], Callable[[], None]]:
        """Starts workers that judge by something else, and waits for them. Raises `WorkerDied` where they do
        not start.

        What it returns gives them every judgement that begins from then on, at once; those in hand are ended
        by the workers that have them. What that returns waits for these, and ends the workers before.
        """
        pool = _Pool(self._home, judging, self._count)

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
        judgement = await self._ask(("judge", received, now), _Judgement, seconds)
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

    async def _ask(self, task: _Task, kind: type[T], seconds: float) -> T:
        loop = asyncio.get_running_loop()
        outcome = await loop.run_in_executor(self._threads, self._do, task, seconds)
        if isinstance(outcome, kind):
            return outcome
        if isinstance(outcome, _Raised) and outcome.deferred:
            raise Deferred(outcome.text)
        raise JudgementFailed(str(outcome))

    def _do(self, task: _Task, seconds: float) -> object:
        with self._changing:
            # There is one: those who work here are no more than a pool has workers.
            pool = self._pool
            worker = pool.idle.get_nowait()
        try:
            worker = worker or self._started(pool)
            return worker.do(task, seconds)
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


def _serve(home: Home, judging: Judging, connection: Connection) -> None:
    """The life of a worker: ends when the node closes the pipe or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    families = Families.load(files("schemas"))
    rules = Rules(families=families, policy=judging.policy, routes=judging.routes)
    signer = XadesSigner(judging.key, judging.certificate)
    register = SqlRegister.of_one_thread(sqlite_engine(home.database, read_only=True))
    blobs = FilesystemBlobs(home.blobs)
    connection.send(None)
    while True:
        try:
            task: _Task = connection.recv()
        except EOFError:
            return
        try:
            match task:
                case ("judge", received, now):
                    blob = partial(blobs.open, received.arrival.sha256)
                    stages = _Stages()
                    decision = judge(received, blob, rules, register, signer, now, stages.mark)
                    connection.send(_Judgement(decision, tuple(stages.taken)))
                case ("told", answer):
                    connection.send(_read(answer, rules.families))
                case ("pending_receipt", untold, now):
                    connection.send(pending_receipt(untold, rules, register, signer, now))
                case ("sign", documents):
                    connection.send(tuple(signer.sign(trusted(document)) for document in documents))
        except Deferred as deferred:
            connection.send(_Raised(True, str(deferred)))
        except Exception as error:
            # Where it happened, but not the exception's own words: they may quote the message.
            where = "".join(traceback.format_tb(error.__traceback__, limit=-5))
            connection.send(_Raised(False, f"{type(error).__name__}\n{where}"))


def _read(answer: bytes, families: Families) -> _Read:
    try:
        return _Read(read(answer, families))
    except NoAnswer:
        return _Read(None)
    except Rejected as refused:
        return _Read(None, str(refused))
