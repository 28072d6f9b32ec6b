"""Acts on the messages of a home: what each writes, and an undertaking done message by message."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Final, Self, TypeVar

from rich.console import Console
from rich.progress import track

from adapters.home.clock import utc_now
from adapters.home.home import Home
from adapters.store.database import Database, Transaction
from adapters.store.read.register import SqlRegister
from adapters.store.write import operations
from adapters.store.write.bulk_requests import carry_out, end, open_messages, undertaking
from adapters.store.write.operations import NOTHING, reject, stopped
from gateway.formats.signing import XadesSigner
from gateway.judge.pipeline import Rules
from gateway.model.ports import Superseded
from gateway.model.states import State
from gateway.operate.bulk_requests import Progress, Request, Undertaking
from gateway.operate.dismissal import dismissal
from gateway.operate.message_actions import Act, Impossible

Change = Callable[[Transaction], State]
_T = TypeVar("_T")

_TRIES: Final = 5  # a message that changes between reading and writing is read again
_AT_ONCE: Final = (
    32  # messages handed to the store together: they share a sync, and a node beside gets its turn
)


class Hand:
    """What acts on one home. Judgement's rules and the home's key are read when a receipt
    is to be signed."""

    def __init__(self, home: Home, database: Database) -> None:
        self.home = home
        self.database = database

    @classmethod
    @contextmanager
    def on(cls, home: Home) -> Iterator[Self]:
        with home.store() as database:
            yield cls(home, database)

    @cached_property
    def rules(self) -> Rules:
        return self.home.rules()

    @cached_property
    def signer(self) -> XadesSigner:
        return self.home.signer()

    @cached_property
    def register(self) -> SqlRegister:
        return SqlRegister(self.database.engine)

    def once(self, request: Request, message: str) -> State:
        """Does it to one message, and returns its state. Raises `Impossible`, and `Superseded` where the
        message never stood still."""
        return _retried(lambda: self.database.submit(self._change(request, message, NOTHING)).result())

    def carry_on(self, wanted: str) -> None:
        """Does what is open of an undertaking; nothing of one that is not `OPEN`. Killed in between, the next
        call goes on. Raises `KeyError`, and `Superseded` where a message never stood still."""
        with self.database.engine.connect() as reader:
            known = undertaking(reader, wanted)
            open_ = open_messages(reader, wanted)
        if known.progress is not Progress.OPEN:
            return
        for some in _shown(known, open_):
            done = [self._begin(known, message) for message in some]
            for finished in done:
                finished()
        self.database.submit(lambda to: end(to, wanted, utc_now())).result()

    def _begin(self, known: Undertaking, message: str) -> Callable[[], None]:
        """Hands one message to the store; what it returns waits for the commit."""

        def hand_over() -> Callable[[], None]:
            now = utc_now()
            try:
                change = self._change(known.request, message, known.told)
            except Impossible as error:
                change = _failing(error)
            return self.database.submit(lambda to: carry_out(to, known, message, change, now)).result

        first = hand_over()

        def finish() -> None:
            try:
                first()
            except Superseded:
                _retried(lambda: hand_over()())

        return finish

    def _change(self, request: Request, message: str, told: Mapping[str, str]) -> Change:
        """What the act writes. A rejection is signed here, with the home's key, and committed together with
        the state: there is no moment at which the message is rejected and its sender has no receipt."""
        now, who, reason = utc_now(), request.actor, request.reason
        match request.act:
            case Act.HOLD:
                return lambda to: operations.hold(to, message, who, reason, now, told)
            case Act.RELEASE:
                return lambda to: operations.release(to, message, who, reason, now, told)
            case Act.REPLAY:
                return lambda to: operations.replay(to, message, who, reason, now, told, request.stage)
            case Act.REJECT:
                with self.database.engine.connect() as reader:
                    seen = stopped(reader, message)
                said = dismissal(seen, reason, self.rules, self.register, self.signer, now)
                return lambda to: reject(to, said, who, reason, now, told)


def _retried(attempt: Callable[[], _T]) -> _T:
    for _ in range(_TRIES - 1):
        with contextlib.suppress(Superseded):
            return attempt()
    return attempt()


def _failing(error: Impossible) -> Change:
    def change(_transaction: Transaction) -> State:
        raise error

    return change


def _shown(known: Undertaking, wanted: Sequence[str]) -> Iterator[Sequence[str]]:
    """Some at a time, with a progress bar on standard error where that is a terminal, and else a line."""
    some = [wanted[start : start + _AT_ONCE] for start in range(0, len(wanted), _AT_ONCE)]
    if len(wanted) > 1 and sys.stderr.isatty():
        yield from track(some, str(known.request.act), console=Console(stderr=True), transient=True)
        return
    told = 0
    for number, each in enumerate(some, 1):
        yield each
        done = min(number * _AT_ONCE, len(wanted))
        if len(wanted) > 1 and (done - told >= 1000 or done == len(wanted)):
            sys.stderr.write(f"gateway: {known.request.act}: {done} of {len(wanted)}\n")
            told = done
