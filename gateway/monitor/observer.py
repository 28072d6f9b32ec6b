"""Observers of a node, which count, time and trace what happens."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

from gateway.model.decision import Decision
from gateway.model.delivery import Outcome, Outgoing
from gateway.model.message import Arrival, Received
from gateway.model.states import State


class Observer(Protocol):
    """Is called after each event. Its methods return at once and raise nothing; they may be called from any
    thread, and no other part of the node depends on them."""

    def ticked(self, loop: str, now: datetime) -> None:
        """A loop of the node begins a round."""
        ...

    def received(self, arrival: Arrival) -> None: ...

    def timed(self, message: str, stages: Sequence[tuple[str, float]]) -> None:
        """The stages of one judgement in order, each with its duration in seconds; called before `judged`."""
        ...

    def judged(self, received: Received, decision: Decision, state: State, now: datetime) -> None:
        """The decision is committed."""
        ...

    def attempted(self, delivery: Outgoing, outcome: Outcome, since: datetime, now: datetime) -> None:
        """One attempt at a delivery, from `since` to `now`, is over."""
        ...

    def answered(self, message: str, backend: str, kind: str, now: datetime) -> None:
        """An answer to a message is committed; `kind` is a value of `customs_codes.AnswerKind`."""
        ...


class Observers:
    """An observer that calls other observers; none by default."""

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
