"""The whole channel: one connection for consuming, one for publishing, and the tasks that use them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aio_pika.abc import AbstractChannel

from adapters.channels.amqp.consumer import Consumer, IntakePorts
from adapters.channels.amqp.publisher import Publisher
from adapters.channels.amqp.reply_queues import AccountQueues
from adapters.channels.amqp.topology import DEAD, keeping
from adapters.home.named_files import Renewal
from adapters.transport.amqp.connection import BrokerConnection, ended
from gateway.config.connections import AmqpSettings
from gateway.notify.ports import ReceiptDeliveries


@dataclass(frozen=True, slots=True)
class AmqpChannel:
    """Its connections, for monitoring."""

    incoming: BrokerConnection
    outgoing: BrokerConnection
    renewals: Sequence[Renewal]

    @property
    def why_not(self) -> str:
        """Why the channel cannot consume or publish now; empty if it can do both."""
        return self.incoming.why_not or self.outgoing.why_not


@asynccontextmanager
async def amqp_channel(
    settings: AmqpSettings, home: Path, ports: IntakePorts, deliveries: ReceiptDeliveries
) -> AsyncIterator[AmqpChannel]:
    """Works while the context is open, whether the broker is available or not. At its end, work in progress
    is stored and acknowledged."""

    made = keeping(settings.delivery_limit)
    outgoing = BrokerConnection(settings, home, "gateway outgoing", made, again=True)
    replying = BrokerConnection(settings, home, "gateway replying", _nothing)
    accounts = AccountQueues(outgoing, replying)
    consumer = Consumer(settings, ports, outgoing, accounts)
    incoming = BrokerConnection(settings, home, "gateway incoming", consumer.begin, DEAD)
    async with outgoing, replying, incoming:
        posting = asyncio.create_task(Publisher(deliveries, outgoing, accounts, ports.clock).run())
        try:
            renewals = [each.renewal for each in (incoming, outgoing, replying)]
            yield AmqpChannel(incoming, outgoing, renewals)
        finally:
            await consumer.stop()
            await ended([posting])


async def _nothing(_: AbstractChannel) -> Sequence[str]:
    return ()
