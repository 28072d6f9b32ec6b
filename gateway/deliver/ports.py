"""What dispatch asks of the store, as guarantees: what is to go where, and how those places stand."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.deliver.circuit_breaker import CircuitBreaker
from gateway.model.ports import Outgoing
from gateway.model.states import DeliveryState


class Outbox(Protocol):
    """What is to go to back-ends. Claimed items are `sending`; after a crash they are `unknown`."""

    async def recover(self) -> int: ...

    async def destinations(self) -> Sequence[str]:
        """Where there is something to go, now or later."""
        ...

    async def claim(self, destination: str, limit: int, now: datetime) -> Sequence[Outgoing]:
        """What is due for one destination, going round the accounts: the next is of the account that has the
        fewest on their way there, and of those the one that was served longest ago; then the oldest. What is
        about one declaration goes in the order of acceptance: none while an earlier one is not delivered,
        refused or gone."""
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
    ) -> None:
        """Writes what became of one attempt, and with it the message's state (taken, undeliverable).
        `unsure`: customs may have it, whatever the state says; from then on it goes nowhere else. An attempt
        that is not `counted` is taken back."""
        ...

    async def divert(self, destination: str, usable: Collection[str], note: str, now: datetime) -> int:
        """Gives what waits for a destination, and was never possibly taken there nor anything else about the
        same declaration, to the first of its alternatives that is `usable`. At most some; how many."""
        ...

    async def give_up(self, destination: str, since: datetime, note: str, now: datetime) -> int:
        """Holds what waits for a destination since before `since`. At most some; how many."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """An operator's word that nothing is handed over; answers are heard all the same."""

    actor: str
    at: datetime
    reason: str


class Destinations(Protocol):
    """How back-ends stand, for whoever looks beside the node and for the node after it."""

    async def known(self) -> Mapping[str, tuple[CircuitBreaker, Pause | None]]: ...

    async def turned(self, name: str, breaker: CircuitBreaker) -> None:
        """Writes the breaker, and leaves a pause as it is."""
        ...
