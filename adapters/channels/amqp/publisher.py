"""From the store to the accounts: publishes receipts, each until the broker has confirmed it."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import aio_pika
import structlog
from aio_pika import DeliveryMode

from adapters.channels.amqp.dead_letters import APP
from adapters.channels.amqp.reply_queues import AccountQueues, Letter
from adapters.transport.amqp.connection import BrokerConnection
from adapters.transport.amqp.publishing import PublishResult
from gateway.model.backoff import WHILE_THE_STORE_FAILS
from gateway.model.clock import Clock
from gateway.model.faults import printable
from gateway.model.folders import Folder
from gateway.notify.ports import ReceiptDeliveries, ReceiptDelivery

_AT_ONCE: Final = 250
_LOOK_EVERY: Final = 0.3  # seconds
# A receipt that no queue takes is tried again after as long as it has waited already, within these bounds: a
# queue that is created soon after the first message gets its receipt soon, and one that never exists costs
# little.
_SOONEST: Final = timedelta(seconds=2)
_LATEST: Final = timedelta(seconds=60)

log = structlog.get_logger()


class Publisher:
    """Publishes due receipts, oldest first. After a crash before the delivery is recorded, a receipt is
    published again under the same message id."""

    def __init__(
        self, deliveries: ReceiptDeliveries, outgoing: BrokerConnection, accounts: AccountQueues, clock: Clock
    ) -> None:
        self._deliveries = deliveries
        self._outgoing = outgoing
        self._accounts = accounts
        self._clock = clock

    async def run(self) -> None:
        """Runs until it is cancelled."""
        failures = 0
        while True:
            try:
                await self._outgoing.until_connected()
                more = await self._some()
            except Exception as error:
                pause = WHILE_THE_STORE_FAILS.pause(failures := failures + 1)
                log.error("receipts not posted", error=printable(repr(error), 500), again_in=pause)
                await asyncio.sleep(pause)
                continue
            failures = 0
            if not more:
                await asyncio.sleep(_LOOK_EVERY)

    async def _some(self) -> bool:
        """Returns whether more may be due now."""
        due = await self._deliveries.claim(None, _AT_ONCE, self._clock())
        results = await self._posted(due)
        done, away, later = list[ReceiptDelivery](), list[ReceiptDelivery](), list[ReceiptDelivery]()
        for delivery, result in zip(due, results, strict=True):
            match result:
                case PublishResult.CONFIRMED:
                    done.append(delivery)
                case PublishResult.AWAY:
                    away.append(delivery)
                case _:
                    later.append(delivery)
        now = self._clock()
        if done:
            await self._deliveries.posted(done, now)
        if away:  # as soon as there is a connection
            await self._deliveries.later(away, now)
        # Whatever the cause of the failure: receipts for the queue of one account must not block all others.
        if later:
            log.warning(
                "receipts wait", receipts=len(later), why=sorted({*results} - {PublishResult.CONFIRMED})
            )
            waited = min(now - delivery.at for delivery in later)
            await self._deliveries.later(later, now + min(max(waited, _SOONEST), _LATEST))
        return len(done) + len(later) == _AT_ONCE

    async def _posted(self, due: Sequence[ReceiptDelivery]) -> Sequence[PublishResult]:
        # A report is for people; software has the receipts.
        letters = {each.receipt: _letter(each) for each in due if each.folder is Folder.INBOX}
        results = dict(zip(letters, await self._accounts.answer_all([*letters.values()]), strict=True))
        return [results.get(each.receipt, PublishResult.CONFIRMED) for each in due]


def _letter(delivery: ReceiptDelivery) -> Letter:
    to = delivery.reply.to if delivery.reply is not None else ""
    return Letter(delivery.account, to, _receipt(delivery))


def _receipt(delivery: ReceiptDelivery) -> aio_pika.Message:
    return aio_pika.Message(
        delivery.body,
        headers={
            "message": delivery.message,
            "reference": delivery.reference,
            "verdict": delivery.verdict,
            "final": delivery.final,
            "name": delivery.name,
        },
        content_type="application/xml",
        delivery_mode=DeliveryMode.PERSISTENT,
        correlation_id=delivery.reply.correlation if delivery.reply is not None else None,
        message_id=f"receipt-{delivery.receipt}",
        type=delivery.kind,
        app_id=APP,
        timestamp=int(delivery.at.timestamp()),
    )
