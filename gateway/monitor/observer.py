"""Who is told what happens in a node, to count, time and trace it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

from gateway.model.decision import Decision
from gateway.model.message import Arrival, Received
from gateway.model.ports import Outcome, Outgoing
from gateway.model.states import State


class Observer(Protocol):
    """Is told what happened, after it did. Returns at once, raises nothing, may be called from any thread;
    nothing depends on it."""

    def ticked(self, loop: str, now: datetime) -> None:
        """A loop of the node begins a round."""
        ...

    def received(self, arrival: Arrival) -> None: ...

    def timed(self, message: str, stages: Sequence[tuple[str, float]]) -> None:
        """The stages of one judgement in their order, each with the seconds that it took; before `judged`."""
        ...

    def judged(self, received: Received, decision: Decision, state: State, now: datetime) -> None:
        """The decision is committed."""
        ...

    def attempted(self, delivery: Outgoing, outcome: Outcome, since: datetime, now: datetime) -> None:
        """One attempt to deliver to `item.submission.destination` is over."""
        ...

    def answered(self, message: str, backend: str, kind: str, now: datetime) -> None:
        """An answer to a message is committed; `kind` is that of `customs_codes.AnswerKind`."""
        ...


class Observers:
    """An observer that tells others; none by default."""

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        self._observers = tuple(observers)

    def ticked(self, loop: str, now: datetime) -> None:
        for each in self._observers:
            each.ticked(loop, now)

    def received(self, arrival: Arrival) -> None:
        for each in self._observers:
            each.received(arrival)

    def timed(self, message: str, stages: Sequence[tuple[str, float]]) -> None:
        for each in self._observers:
            each.timed(message, stages)

    def judged(self, received: Received, decision: Decision, state: State, now: datetime) -> None:
        for each in self._observers:
            each.judged(received, decision, state, now)

    def attempted(self, delivery: Outgoing, outcome: Outcome, since: datetime, now: datetime) -> None:
        for each in self._observers:
            each.attempted(delivery, outcome, since, now)

    def answered(self, message: str, backend: str, kind: str, now: datetime) -> None:
        for each in self._observers:
            each.answered(message, backend, kind, now)


UNOBSERVED: Final = Observers()
