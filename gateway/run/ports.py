"""The ports of the node: the messages that await a decision, and those who judge them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from gateway.model.decision import Decision
from gateway.model.message import Received
from gateway.model.transition import Applied, Refusal
from gateway.receive.ports import GroupIntake


class MessageStore(GroupIntake, Protocol):
    """The messages that await a decision. Every method is one commit."""

    async def claim(
        self, limit: int, now: datetime, lease: timedelta, *, again: int | None = None
    ) -> Sequence[Received]:
        """The oldest messages to judge, in turn between accounts, each with its attempt counted before the
        work; nobody else gets them until the lease ends. Of those whose judgement began before and came to no
        end, at most `again` (None: all)."""
        ...

    async def decide(self, decision: Decision, now: datetime) -> Applied | Refusal:
        """Writes state, event, deliveries and receipts in one commit, or nothing. Raises
        `states.IllegalTransition`.
        """
        ...

    async def expire(self, now: datetime) -> int:
        """Hands waiting messages whose time is over to judgement (`Received.overdue`), and returns their
        number."""
        ...

    async def end_waits(self, now: datetime, longest: timedelta) -> int:
        """Ends every wait for a retry and every lease that lasts longer than `longest` from `now`: a clock
        that was ahead wrote it, and has been set back since. Returns their number."""
        ...

    async def put_back(self, received: Received, not_before: datetime, *, crashed: bool) -> None:
        """Ends a claim without a decision, unless it was lost. Only a crashed attempt stays counted."""
        ...


class WorkerDied(Exception):
    """The judging process died, or took too long and was ended."""


class Judges(Protocol):
    """Judgement in worker processes, each with schemas compiled and keys parsed once."""

    @property
    def slots(self) -> int:
        """The number of messages that can usefully be handed over at once."""
        ...

    @property
    def workers(self) -> int:
        """The number of messages that are judged at the same time."""
        ...

    async def judge(self, received: Received, now: datetime) -> Decision:
        """Raises `JudgementDeferred`, `WorkerDied`, or anything else for a failure of our own."""
        ...
