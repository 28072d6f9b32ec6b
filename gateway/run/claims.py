"""Claims on work: how long they hold, and what a node does about those of others and its own."""

from datetime import datetime, timedelta
from typing import Final, Protocol

LEASE: Final = timedelta(minutes=15)
RENEW_EVERY: Final = 60.0  # seconds
TAKE_OVER_EVERY: Final = 10.0


class Claims(Protocol):
    """The claims on all work of the store. Their owner is one opening of the store; nobody takes over from
    itself."""

    async def end_leases_of_others(self, now: datetime) -> int:
        """Ends the leases of every other owner, and returns their number. Called before serving, when the
        home's lock proves that no other node works on this store."""
        ...

    async def renew(self, now: datetime) -> None:
        """Prolongs the leases of this owner to `LEASE` from now."""
        ...
