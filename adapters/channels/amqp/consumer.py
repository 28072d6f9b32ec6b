"""From the broker to the store: a message is acknowledged once it is durable here, and not before."""

import asyncio
import hashlib
import os
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from weakref import WeakValueDictionary

import structlog

from adapters.channels.amqp.dead_letters import dead_letter, notice
from adapters.channels.amqp.reply_queues import AccountQueues, Letter
from adapters.channels.amqp.topology import DEAD, IN, stand
from adapters.channels.amqp.validation import ClaimedFile, ValidMessage, is_one_of_ours, reply_of, validate
from adapters.channels.sftp_server.claim_check import ClaimCheck
from adapters.transport.amqp.channel import BrokerChannel
from adapters.transport.amqp.connection import BrokerConnection
from adapters.transport.amqp.consuming import ReceivedMessage
from adapters.transport.amqp.publishing import PublishResult
from gateway.config.connections import AmqpSettings
from gateway.model.backoff import Backoff
from gateway.model.blobs import SMALL, BlobStore, Package
from gateway.model.clock import Clock
from gateway.model.faults import Finding, MessageRejected, printable
from gateway.model.message import Arrival, new_id
from gateway.model.parties import Account
from gateway.receive.allowance import AllowanceQuery
from gateway.receive.ports import AmqpDuplicates, Intake

_BACKOFF: Final = Backoff(first=0.5, longest=30.0)  # for a message that cannot be stored

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakePorts:
    """The store behind its ports, and the accounts."""

    account: Callable[[str], Account | None]
    intake: Intake
    duplicates: AmqpDuplicates
    uploads: ClaimCheck
    blobs: BlobStore
    clock: Clock
    room: AllowanceQuery | None = None


class Consumer:
    """Consumes from `gateway.in`, `prefetch` messages at a time; refused ones are published through
    `outgoing`."""

    def __init__(
        self, settings: AmqpSettings, ports: IntakePorts, outgoing: BrokerConnection, accounts: AccountQueues
    ) -> None:
        self._settings = settings
        self._ports = ports
        self._outgoing = outgoing
        self._accounts = accounts
        self._channel: BrokerChannel | None = None
        self._tag = ""
        self._in_hand: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._one_of_its_id: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def begin(self, channel: BrokerChannel) -> Sequence[str]:
        """A `SetUp` of the consuming connection."""
        await stand(channel, self._settings.delivery_limit)
        await channel.set_qos(prefetch_count=self._settings.prefetch)
        self._channel = channel
        self._tag = await channel.consume(IN, self._hand_over)
        return (IN,)

    async def stop(self) -> None:
        """Stops consuming; returns when messages in progress are stored and acknowledged, or returned to the
        broker."""
        self._stopping.set()
        if self._channel is not None:
            with suppress(Exception):  # the connection may be lost
                await self._channel.cancel(self._tag, within=5)
        if self._in_hand:
            await asyncio.wait(self._in_hand)

    def _hand_over(self, messages: Sequence[ReceivedMessage]) -> None:
        for message in messages:
            task = asyncio.create_task(self._take(message))
            self._in_hand.add(task)
            task.add_done_callback(self._in_hand.discard)

    async def _take(self, message: ReceivedMessage) -> None:
        """Keeps the message until it is settled, as long as the gateway runs. If it were returned, it would
        be delivered again at once and counted: the broker puts aside messages that were delivered too often,
        and it may be sound."""
        channel = self._channel
        failures, again = 0, message.redelivered
        while not await self._tried(message, again=again):
            again = True  # it may have been stored in spite of the error
            pause = _BACKOFF.pause(failures := failures + 1)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause * random.uniform(0.5, 1))  # noqa: S311  no secret
            if self._stopping.is_set():
                message.reject(requeue=True)
                return
            if self._channel is not channel:
                return  # the connection was lost: the broker delivers it again
        message.ack()  # if the connection is lost, it is delivered again, and recognised

    async def _tried(self, message: ReceivedMessage, *, again: bool) -> bool:
        try:
            return await self._settled(message, again)
        except Exception as error:
            log.error("message not taken", error=printable(repr(error), 500))
            return False

    async def _settled(self, message: ReceivedMessage, again: bool) -> bool:
        """Whether it is stored, or refused and put where people find it. Raises the store's exceptions."""
        account = await asyncio.to_thread(self._account, message)
        try:
            valid = validate(message, account, self._settings.largest)
            if account is not None:
                await self._refuse_beyond_its_room(account, valid, len(message.body))
                await self._store(message, account, valid, again)
        except MessageRejected as rejected:
            return await self._refused(message, account, rejected.findings[0])
        return True

    async def _refuse_beyond_its_room(self, account: Account, valid: ValidMessage, size: int) -> None:
        if self._ports.room is None:
            return
        room = await self._ports.room(account)
        if room.refuses(size if valid.claim is None else valid.claim.size):
            raise MessageRejected(room.why)

    def _account(self, message: ReceivedMessage) -> Account | None:
        return self._ports.account(message.user_id) if message.user_id else None

    async def _store(
        self, message: ReceivedMessage, account: Account, valid: ValidMessage, again: bool
    ) -> None:
        ports, reply, claim = self._ports, valid.reply, valid.claim
        # After a lost connection, the message may still be in progress here when it is delivered again.
        lock = self._one_of_its_id.setdefault((account.name, reply.message_id), asyncio.Lock())
        async with lock:
            if again:
                sha256 = await asyncio.to_thread(_digest, message.body) if claim is None else claim.sha256
                if await ports.duplicates.seen(account.name, reply.message_id, sha256):
                    return
            if claim is None and len(message.body) <= SMALL:
                package = Package.small(message.body)
            else:
                package = await asyncio.to_thread(self._kept, message.body, account.name, claim)
            now = ports.clock()
            arrival = Arrival(
                id=new_id(now, os.urandom(10)),
                account=account.name,
                channel="amqp",
                name=valid.name,
                sha256=package.sha256,
                size=package.size,
                received_at=now,
                reply=reply,
                traceparent=valid.traceparent,
            )
            try:
                await ports.intake.add(arrival, account, body=package.body)
            except MessageRejected:
                if claim is not None:  # its upload is consumed: it must be sent again with the message
                    ports.uploads.consumed(account.name, claim.file, claim.size, claim.sha256)
                raise
        if claim is not None:
            ports.uploads.consumed(account.name, claim.file, claim.size, claim.sha256)
        log.info(
            "message", account=account.name, name=printable(valid.name), id=arrival.id, size=package.size
        )

    def _kept(self, body: bytes, account: str, claim: ClaimedFile | None) -> Package:
        if claim is not None:
            return self._ports.uploads.take(account, claim.file, claim.size, claim.sha256)
        spool = self._ports.blobs.spool()
        try:
            spool.write(0, body)
            return spool.keep()
        finally:
            spool.discard()

    async def _refused(self, message: ReceivedMessage, account: Account | None, finding: Finding) -> bool:
        letter = dead_letter(message, finding)
        result = await self._outgoing.publish(DEAD, message.routing_key, letter)
        if result in (PublishResult.REFUSED, PublishResult.RETURNED):
            # We cannot put it aside ourselves: the broker can, without the reason, and this settles the
            # message.
            message.reject(requeue=False)
        elif result is not PublishResult.CONFIRMED:
            return False
        message_id = printable(message.message_id or "", 80)
        user = printable(message.user_id or "", 80)
        log.warning("message refused", user=user, message_id=message_id, reason=finding.code)
        if account is not None and is_one_of_ours(account):
            reply = reply_of(message, account)
            await self._accounts.answer(Letter(account.name, reply.to, notice(reply, finding)))
        return True


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
