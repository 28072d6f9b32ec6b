"""Publishing to an account that names no queue: exchange `gateway.receipts`, bound to the account's own
queue."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import aio_pika
import structlog
from aio_pika.abc import AbstractChannel

from adapters.channels.amqp.topology import RECEIPTS
from adapters.channels.amqp.validation import is_direct
from adapters.transport.amqp.connection import BrokerConnection
from adapters.transport.amqp.publishing import Outgoing, PublishResult
from adapters.transport.amqp.queues import stood

_ENDING: Final = ".receipts"

log = structlog.get_logger()


def queue_of(account: str) -> str:
    """The name begins like all queues of the account: the account may read it, and no other account's."""
    return f"{account}{_ENDING}"


@dataclass(frozen=True, slots=True, eq=False)
class Letter:
    """A message to an account; `to` is the queue that its sender names, or empty."""

    account: str
    to: str
    message: aio_pika.Message

    def named(self) -> Outgoing:
        return Outgoing("", self.to, self.message)

    def own(self) -> Outgoing:
        return Outgoing(RECEIPTS, self.account, self.message)


class AccountQueues:
    """Publishes to accounts. An account's queue is created when a message for it was returned, so that a new
    account, or one whose queue was deleted, needs no manual work.

    Direct replies have a connection of their own: a sender may write anything into the name of a reply queue,
    and some names make the broker close the connection.
    """

    def __init__(self, outgoing: BrokerConnection, replying: BrokerConnection) -> None:
        self._outgoing = outgoing
        self._replying = replying
        self._making: dict[str, asyncio.Task[bool]] = {}

    async def answer(self, letter: Letter) -> PublishResult:
        """Like `answer_all`, of one letter."""
        (result,) = await self.answer_all([letter])
        return result

    async def answer_all(self, letters: Sequence[Letter]) -> Sequence[PublishResult]:
        """Like `publish_all`, but each to the account's own queue that the sender names; to its queue for
        receipts if it names none, or one that accepts nothing."""
        direct = [letter for letter in letters if is_direct(letter.to)]
        others = [letter for letter in letters if not is_direct(letter.to)]
        of_direct, of_others = await asyncio.gather(
            self._replying.publish_all([letter.named() for letter in direct]),
            self._outgoing.publish_all([letter.named() if letter.to else letter.own() for letter in others]),
        )
        results = dict(zip(others, of_others, strict=True))
        results |= {
            letter: PublishResult.CONFIRMED if result is PublishResult.CONFIRMED else PublishResult.RETURNED
            for letter, result in zip(direct, of_direct, strict=True)
        }
        not_taken = [
            letter
            for letter in letters
            if results[letter] is PublishResult.RETURNED
            or (letter.to and results[letter] is PublishResult.REFUSED)
        ]
        published = await asyncio.gather(*(self.publish(each.account, each.message) for each in not_taken))
        results |= zip(not_taken, published, strict=True)
        return [results[letter] for letter in letters]

    async def publish(self, account: str, message: aio_pika.Message) -> PublishResult:
        """Like `BrokerConnection.publish`; returned if the account has no queue and the broker does not let
        us create one."""
        result = await self._outgoing.publish(RECEIPTS, account, message)
        if result is PublishResult.RETURNED and await self._made(account):
            result = await self._outgoing.publish(RECEIPTS, account, message)
        return result

    async def _made(self, account: str) -> bool:
        making = self._making.get(account)
        if making is None:  # of many messages returned at once, one creates the queue
            making = self._making[account] = asyncio.create_task(self._make(account))
            making.add_done_callback(lambda _: self._making.pop(account))
        return await asyncio.shield(making)

    async def _make(self, account: str) -> bool:
        name = queue_of(account)

        async def make(channel: AbstractChannel) -> None:
            await stood(channel, name)

        async def bind(channel: AbstractChannel) -> None:
            queue = await channel.get_queue(name, ensure=False)
            await queue.bind(RECEIPTS, account)

        not_made = await self._outgoing.beside(make)
        not_bound = await self._outgoing.beside(bind)
        if not not_bound:
            log.info("queue for receipts", account=account, queue=name, made=not not_made)
            return True
        log.warning(
            "no queue for receipts",
            account=account,
            why=f"{not_made} {not_bound}".strip(),
            do=f"rabbitmqadmin declare queue name={name} durable=true queue_type=quorum; "
            f"rabbitmqadmin declare binding source={RECEIPTS} destination={name} routing_key={account}",
        )
        return False
