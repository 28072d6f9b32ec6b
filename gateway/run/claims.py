"""Claims on work: how long they hold, and what a node does about those of others and its own."""

from datetime import datetime, timedelta
from typing import Final, Protocol

LEASE: Final = timedelta(minutes=15)
RENEW_EVERY: Final = 60.0  # seconds
TAKE_OVER_EVERY: Final = 10.0


class Claims(Protocol):
    """The claims on all work of the store. Their owner is one opening of the store; nobody takes over from
    itself."""

    async def take_over(self, now: datetime, *, alone: bool = False) -> int:
        """Puts back into the queues what owners that died had claimed, and returns how much that was: what
        may have been sent is asked about first, and goes to no other back-end. An owner died if its lease is
        over; `alone`, which the home's lock proves before serving, every other one did."""
        ...

    async def renew(self, now: datetime) -> None:
        """Prolongs the leases of this owner to `LEASE` from now."""
        ...
