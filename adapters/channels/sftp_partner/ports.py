"""What the visits to all parties share, and the thread of each party."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar, TypeVarTuple, Unpack

from gateway.model.blobs import BlobStore
from gateway.model.clock import Clock
from gateway.notify.ports import ReceiptDeliveries
from gateway.receive.allowance import AllowanceQuery
from gateway.receive.ports import Intake, Mailbox

T = TypeVar("T")
Given = TypeVarTuple("Given")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerPorts:
    """The store behind its ports. `mark` is the gateway's own, see `claim_names`."""

    intake: Intake
    mailbox: Mailbox
    deliveries: ReceiptDeliveries
    blobs: BlobStore
    clock: Clock
    mark: str
    room: AllowanceQuery | None = None


class PartnerThread:
    """The thread that works on one party's folders, so that a party that does not answer delays no other."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="partner")

    async def do(self, function: Callable[[Unpack[Given]], T], *given: *Given) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *given)

    def close(self) -> None:
        """Waits for work in progress."""
        self._pool.shutdown()
