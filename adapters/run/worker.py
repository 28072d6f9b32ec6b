"""One worker process: it judges, reads and signs what it is given, until it has exceeded its limits."""

import gc
import signal
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Any, Literal, Self

from adapters.blobs.packages import Packages
from adapters.home.clock import utc_now
from adapters.home.home import Home
from adapters.run.fork_server import ForkServer
from adapters.run.worker_limits import Spending
from adapters.store.prepared import PreparedConnection
from adapters.store.read.answered_declarations import SqlDeclarations
from adapters.store.read.register import SqlRegister
from gateway.config.bad_settings import BadSettings
from gateway.formats.certificates import Unusable
from gateway.formats.signing import XadesSigner
from gateway.formats.xml import trusted
from gateway.judge.pipeline import Rules, judge, pending_receipt, too_costly
from gateway.model.decision import Decision
from gateway.model.faults import JudgementDeferred
from gateway.model.message import Received
from gateway.model.pending_receipt import PendingReceipt
from gateway.model.policy import Policy
from gateway.model.routes import Routes
from gateway.respond.decide_answers import AnswerRules, decided
from gateway.respond.ports import ReceivedAnswer
from gateway.run.ports import WorkerDied

Task = (
    tuple[Literal["judge"], tuple[tuple[Received, datetime, float], ...]]
    | tuple[Literal["too_costly"], Received, datetime, str, str]
    | tuple[Literal["answers"], tuple[ReceivedAnswer, ...]]
    | tuple[Literal["pending_receipt"], PendingReceipt, datetime]
    | tuple[Literal["sign"], tuple[bytes, ...]]
)


class Exhausted(WorkerDied):
    """A worker exceeded a limit on one piece of work; the message names the limit in both languages."""

    def __init__(self, limit: str, limit_zh: str) -> None:
        super().__init__(f"it took more than {limit}")
        self.limit = limit
        self.limit_zh = limit_zh


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """The configuration and keys of a worker. They are passed on, not read again: a file that is edited while
    the node runs must neither make the workers judge differently nor keep a new one from starting."""

    policy: Policy
    routes: Routes
    key: bytes = field(repr=False)
    certificate: str

    @classmethod
    def from_home(cls, home: Home, policy: Policy, routes: Routes) -> Self:
        """With the present key pair of the home. Raises `BadSettings` if it cannot be used."""
        key, certificate = home.signing_key.read_bytes(), home.certificate.read_text("ascii", "replace")
        try:
            XadesSigner(key, certificate, utc_now)
        except Unusable as error:
            pair = "keys/gateway.key, keys/gateway.crt"
            raise BadSettings(f"{pair}: {error}", f"{pair}：{error.zh}") from None
        return cls(policy=policy, routes=routes, key=key, certificate=certificate)


class Worker:
    """A process that is starting; `do` may be called once `wait` has returned."""

    def __init__(self, forks: ForkServer, home: Home, judging: Judging, memory: int) -> None:
        """Raises `WorkerDied` if it cannot be forked, as after the end of the process that does so."""
        self._memory = memory
        try:
            self._process = forks.start(_serve, home, judging, memory)
        except OSError as error:
            raise WorkerDied(f"it did not start: {error}") from None
        self._connection = self._process.connection

    def wait(self) -> None:
        """Returns when the process has its schemas and keys; raises `WorkerDied` if it cannot get them."""
        try:
            self._connection.recv()
        except (EOFError, OSError):
            raise WorkerDied("it did not start") from None

    def do(self, task: Task, seconds: float, patience: float) -> Any:
        """Blocks. Raises `Exhausted` when the work takes more than `seconds` of CPU time or too much memory,
        and `WorkerDied` when the process ends otherwise, or sends nothing for `seconds * patience`."""
        try:
            self._connection.send((task, seconds))
            if not self._connection.poll(seconds * patience):
                raise WorkerDied(f"it took longer than {seconds * patience:.0f} s")
            outcome = self._connection.recv()
        except (EOFError, OSError):
            if self._process.end() == -signal.SIGXCPU:
                spent = f"{round(seconds, 1):g}"
                raise Exhausted(f"{spent} s of CPU time", f"处理时间 {spent} 秒") from None
            raise WorkerDied("its worker ended") from None
        if isinstance(outcome, _Spent):
            raise Exhausted(f"{self._memory} MB of memory", f"内存 {self._memory} MB")
        return outcome

    def end(self) -> None:
        self._process.end()


@dataclass(frozen=True, slots=True)
class Judgement:
    decision: Decision
    timings: tuple[tuple[str, float], ...]  # of `Observer.timed`


@dataclass(frozen=True, slots=True)
class _Spent:
    """The work took too much memory: its result does not count."""


class JudgementFailed(Exception):
    """The exception of a worker, as text: exceptions cannot be fully passed between processes."""


@dataclass(frozen=True, slots=True)
class RaisedError:
    """`again`: the seconds after which it is tried again, if it was only deferred."""

    text: str
    again: float | None = None

    def exception(self) -> Exception:
        if self.again is None:
            return JudgementFailed(self.text)
        return JudgementDeferred(self.text, self.again)


class _Stages:
    """Measures the stages of one judgement."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, float]] = []
        self._last = perf_counter()

    def mark(self, stage: str) -> None:
        now = perf_counter()
        self.taken.append((stage, now - self._last))
        self._last = now


def _serve(home: Home, judging: Judging, memory: int, connection: Connection) -> None:
    """The main loop of a worker: ends when the node closes the pipe or dies, or a limit was exceeded."""
    context = _WorkerContext(home, judging)
    spending = Spending(memory * 1024 * 1024)
    gc.freeze()  # what is loaded stays, and need not be walked for garbage again and again
    connection.send(None)
    while True:
        try:
            task, seconds = connection.recv()
        except EOFError:
            return
        spending.begin(seconds)
        outcome = _outcome(context, task, spending)
        if outcome is None or spending.exceeded:
            connection.send(_Spent())
            return
        connection.send(outcome)


class _WorkerContext:
    """What a worker works with, created once."""

    def __init__(self, home: Home, judging: Judging) -> None:
        families = home.families()
        self._connection = PreparedConnection(home.reader())
        self.rules = Rules(families=families, policy=judging.policy, routes=judging.routes)
        self.signer = XadesSigner(judging.key, judging.certificate, utc_now)
        self.register = SqlRegister.over(self._connection)
        self.blobs = Packages.of(home, lambda: nullcontext(self._connection))
        self.answer_rules = AnswerRules(
            families=families,
            policy=judging.policy,
            declarations=SqlDeclarations(self._connection),
            parties=self.register,
            signer=self.signer,
            clock=utc_now,
        )

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All that is read meanwhile is of one moment, which also costs less for each query."""
        self._connection.exec_driver_sql("BEGIN")
        try:
            with self.register.unchanged():
                yield
        finally:
            self._connection.exec_driver_sql("ROLLBACK")


def _outcome(context: _WorkerContext, task: Task, spending: Spending) -> object:
    """None where it took too much memory."""
    at_it = (context.rules, context.register, context.signer)
    try:
        match task:
            case ("judge", batch):
                return _judged(context, batch, spending)
            case ("too_costly", received, now, limit, limit_zh):
                return too_costly(received, limit, limit_zh, *at_it, now)
            case ("answers", answers):
                with context.snapshot():
                    return decided(answers, context.answer_rules)
            case ("pending_receipt", pending, now):
                return pending_receipt(pending, *at_it, now)
            case ("sign", documents):
                return tuple(context.signer.sign(trusted(document)) for document in documents)
    except MemoryError:
        return None
    except Exception as error:
        return _raised(error)


def _judged(
    context: _WorkerContext, batch: Sequence[tuple[Received, datetime, float]], spending: Spending
) -> object:
    outcomes = list[Judgement | RaisedError]()
    # A large message may take long, and the store's log cannot be cut before the snapshot ends.
    with context.snapshot() if len(batch) > 1 else nullcontext():
        for received, now, seconds in batch:
            spending.begin(seconds)
            stages = _Stages()
            try:
                blob = partial(context.blobs.open, received.arrival.sha256)
                decision = judge(
                    received, blob, context.rules, context.register, context.signer, now, stages.mark
                )
                outcomes.append(Judgement(decision, tuple(stages.taken)))
            except MemoryError:
                raise
            except Exception as error:
                outcomes.append(_raised(error))
    return outcomes


def _raised(error: Exception) -> RaisedError:
    if isinstance(error, JudgementDeferred):
        return RaisedError(str(error), error.seconds)
    # The place of the error, but not the exception's text: that may quote the message.
    where = "".join(traceback.format_tb(error.__traceback__, limit=-5))
    return RaisedError(f"{type(error).__name__}\n{where}")
