"""Receipts, not final, for messages that are held or wait for customs (docs/for-brokers.md, "Receipts")."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from gateway.model.clock import Clock
from gateway.notify.ports import PendingReceiptSigner, PendingReceiptStore

HELD_FOR: Final = timedelta(minutes=5)  # before the sender of a held message is notified
_AT_ONCE: Final = 50


class PendingReceipts:
    """`down` gives the destinations that are down at a time, and since when; messages that were accepted
    `waiting_for` ago wait for one of them long enough for their senders to be notified."""

    def __init__(
        self,
        store: PendingReceiptStore,
        signer: PendingReceiptSigner,
        down: Callable[[datetime], Mapping[str, datetime]],
        waiting_for: timedelta,
        clock: Clock,
    ) -> None:
        self._store = store
        self._signer = signer
        self._down = down
        self._waiting_for = waiting_for
        self._clock = clock

    async def send_some(self) -> bool:
        """Sends the receipts that are due, at most 50; whether there may be more."""
        now = self._clock()
        claimed = await self._store.claim(
            now - HELD_FOR, now - self._waiting_for, self._down(now), _AT_ONCE, now
        )
        for pending in claimed:
            await self._store.send(pending, await self._signer.pending_receipt(pending, now), now)
        return len(claimed) == _AT_ONCE
