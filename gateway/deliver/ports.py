"""The ports of delivery: what is to be sent where, the state of the destinations, and the back-ends."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import IO, Protocol, runtime_checkable

from gateway.model.answer import Answer
from gateway.model.circuit_breaker import CircuitBreaker, Pause
from gateway.model.delivery import Outcome, Outgoing
from gateway.model.message import Submission
from gateway.model.states import DeliveryState


class Outbox(Protocol):
    """Deliveries to back-ends. Claimed items are `sending`; those of a node that died become
    `unknown` (`gateway.run.claims`)."""

    async def try_all(self, now: datetime) -> None:
        """Makes everything that waits due now. Called before serving: what was repaired while no node ran
        does not wait until a time that the last node planned."""
        ...

    async def destinations(self) -> Sequence[str]:
        """The destinations that have deliveries waiting, due now or later."""
        ...

    async def claim(self, destination: str, limit: int, now: datetime) -> Sequence[Outgoing]:
        """Claims what is due for one destination, in turn between accounts: next is the account with the
        fewest deliveries under way there, of those the one served longest ago, and of its deliveries the
        oldest. Deliveries about one declaration go in the order of acceptance: none while an earlier one is
        not delivered, refused or withdrawn."""
        ...

    async def settle(
        self,
        delivery: Outgoing,
        state: DeliveryState,
        note: str,
        now: datetime,
        next_at: datetime,
        *,
        unsure: bool = False,
        counted: bool = True,
    ) -> bool:
        """Writes the outcome of one attempt, together with the message's state (taken, undeliverable). False,
        and nothing is written, where the claim was lost.
        `unsure`: customs may have it, whatever the state says; from then on it is sent to no other
        destination. An attempt that is not `counted` is taken off the count."""
        ...

    async def divert(self, destination: str, usable: Collection[str], note: str, now: datetime) -> int:
        """Moves deliveries that wait for a destination to the first of their alternatives that is `usable`,
        unless the destination may have taken the delivery or another about the same declaration. Moves a
        bounded number and returns it."""
        ...

    async def give_up(self, destination: str, since: datetime, note: str, now: datetime) -> int:
        """Holds deliveries that wait for a destination since before `since`: a bounded number, which it
        returns."""
        ...


class Destinations(Protocol):
    """The stored state of back-ends, for other processes and for the next node."""

    async def statuses(self) -> Mapping[str, tuple[CircuitBreaker, Pause | None]]: ...

    async def turned(self, name: str, breaker: CircuitBreaker) -> None:
        """Writes the breaker; a pause stays as it is."""
        ...


@runtime_checkable
class AnsweringBackend(Protocol):
    """A back-end to which answers come by themselves: it calls `woken` in the event loop whenever one has
    come, so that nobody has to look for it."""

    woken: Callable[[], None]


class Backend(Protocol):
    """The authority's side: takes one submission at a time, hands out answers until acknowledged.

    Submissions are idempotent by their key.
    """

    async def submit(self, submission: Submission, opened: Callable[[str], IO[bytes]]) -> tuple[Outcome, str]:
        """Sends the zip of envelope, package and enclosures (`submission.write_zip`); `opened` gives stored
        bytes by SHA-256. The text says why it was not taken, for operators. Failures of customs or the
        network do not raise; any exception counts as `UNKNOWN`."""
        ...

    async def ask(self, key: str) -> tuple[Outcome | None, str]:
        """Whether customs has the submission with this key: `TAKEN`, `LATER` (it does not, and no earlier
        attempt can still reach it: send it again), or `UNKNOWN` (the question failed; the text says why).
        None where the back-end cannot be asked: it is sent again under its key, and whether customs had it
        before stays unknown."""
        ...

    async def answers(self, limit: int) -> Sequence[Answer]:
        """The oldest unacknowledged answers, without waiting; the same ones again until acknowledged."""
        ...

    async def acknowledge(self, ids: Sequence[str]) -> None:
        """Called after the commit that made the answers durable here."""
        ...
