"""Writes receipts into the folders of a party that hosts them itself."""

from asyncio import Event
from collections import Counter
from datetime import timedelta
from typing import Final

import structlog

from adapters.channels.sftp_partner.ports import PartnerPorts, PartnerThread
from adapters.transport.files.folders import OUTAGES, Files
from gateway.model.faults import printable
from gateway.notify.ports import ReceiptDelivery

_AT_ONCE: Final = 50
_MOST: Final = 500  # in one visit, so that the party's uploads get their turn too
_LATER: Final = timedelta(minutes=5)

log = structlog.get_logger()


async def push_receipts(
    account: str, files: Files, thread: PartnerThread, ports: PartnerPorts, stop: Event
) -> str:
    """Until `stop`, writes due receipts into InBox and FailBox, each visible whole or not at all, and then
    records the delivery. After a crash in between, a receipt is written again: under the same name, with the
    same bytes.

    Raises one of `OUTAGES`, or the store's exceptions; a receipt that cannot be written delays no other.
    Returns why some could not be written, empty if all could.
    """
    failed = Counter[str]()
    try:
        await _push(account, files, thread, ports, stop, failed)
    finally:
        for reason, receipts in failed.items():
            log.error("receipts cannot be brought", account=account, receipts=receipts, reason=reason)
    return ", ".join(f"{reason} ({receipts})" for reason, receipts in failed.items())


async def _push(
    account: str, files: Files, thread: PartnerThread, ports: PartnerPorts, stop: Event, failed: Counter[str]
) -> None:
    for _ in range(_MOST // _AT_ONCE):
        due = await ports.deliveries.claim(account, _AT_ONCE, ports.clock())
        left, pushed = list(due), list[ReceiptDelivery]()
        try:
            while left and not stop.is_set():
                try:
                    await thread.do(_put, files, left[0])
                except OUTAGES:
                    raise
                except OSError as error:
                    failed[printable(error.strerror or str(error))] += 1
                    await ports.deliveries.later([left[0]], ports.clock() + _LATER)
                else:
                    pushed.append(left[0])
                del left[0]
        finally:
            if pushed:
                await ports.deliveries.posted(pushed, ports.clock())
            if left:
                await ports.deliveries.later(left, ports.clock())
        if len(due) < _AT_ONCE or stop.is_set():
            return


def _put(files: Files, delivery: ReceiptDelivery) -> None:
    unfinished = f".receipt-{delivery.receipt}.tmp"
    files.write(delivery.folder, unfinished, lambda out: out.write(delivery.body))
    files.move(delivery.folder, unfinished, delivery.folder, delivery.name)
