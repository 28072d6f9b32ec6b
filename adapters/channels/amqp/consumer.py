"""From the broker to the store: a message is acknowledged once it is durable here, and not before."""

import asyncio
import hashlib
import os
import random
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any, Final
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
from gateway.model.blobs import SMALL, BlobStore, Package, kept
from gateway.model.clock import Clock
from gateway.model.faults import Finding, MessageRejected, printable
from gateway.model.message import Arrival, new_id
from gateway.model.parties import Account
from gateway.receive.allowance import AllowanceQuery, UploadAllowance
from gateway.receive.ports import AmqpDuplicates, GroupIntake, NewMessage

_BACKOFF: Final = Backoff(first=0.5, longest=30.0)  # for a message that cannot be stored

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakePorts:
    """The store behind its ports, and the accounts."""

    account: Callable[[str], Account | None]
    intake: GroupIntake
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
        together = list[ReceivedMessage]()
        for message in messages:
            if message.redelivered or len(message.body) > SMALL:
                self._start(self._take(message))
            else:
                together.append(message)
        if together:
            self._start(self._take_together(together))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._in_hand.add(task)
        task.add_done_callback(self._in_hand.discard)

    async def _take_together(self, messages: Sequence[ReceivedMessage]) -> None:
        """Stores small messages that came together at once. One with which anything is not as usual is taken
        by itself."""
        new = dict[ReceivedMessage, NewMessage]()
        added = set[ReceivedMessage]()
        try:
            added = await self._added(messages, new)
        except Exception as error:
            log.error("messages not taken", messages=len(messages), error=printable(repr(error), 500))
        for message in messages:
            if message in added:
                message.ack()
            else:
                # What the store was given it may have in spite of an error. Another one is new, even if it
                # repeats one of the group: its sender gets the receipts again, where it wants them now.
                self._start(self._take(message, again=message in new))

    async def _added(
        self, messages: Sequence[ReceivedMessage], new: dict[ReceivedMessage, NewMessage]
    ) -> set[ReceivedMessage]:
        """Those that are stored now. `new` is filled with what the store was given."""
        ports, rooms = self._ports, dict[str, UploadAllowance]()
        accounts = await asyncio.to_thread(self._accounts_of, messages)
        async with AsyncExitStack() as in_progress:
            for message in messages:
                account = accounts[message.user_id]
                try:
                    valid = validate(message, account, self._settings.largest)
                except MessageRejected:
                    continue
                if account is None or valid.claim is not None:
                    continue
                if ports.room is not None and account.name not in rooms:
                    rooms[account.name] = await ports.room(account)
                if account.name in rooms and rooms[account.name].refuses(len(message.body)):
                    continue
                lock = self._lock_of(account, valid)
                if lock.locked():  # as another with its id is, also in this group
                    continue
                await in_progress.enter_async_context(lock)
                package = Package.small(message.body)
                new[message] = NewMessage(self._arrival(account, valid, package), account, package.body)
            failures = await ports.intake.add_all([*new.values()])
        added = {message for message, failure in zip(new, failures, strict=True) if failure is None}
        for message in added:
            _report(new[message].arrival)
        return added

    def _accounts_of(self, messages: Sequence[ReceivedMessage]) -> dict[str | None, Account | None]:
        named = {message.user_id: message for message in messages}
        return {name: self._account(message) for name, message in named.items()}

    def _lock_of(self, account: Account, valid: ValidMessage) -> asyncio.Lock:
        """After a lost connection, a message may still be in progress when it is delivered again."""
        return self._one_of_its_id.setdefault((account.name, valid.reply.message_id), asyncio.Lock())

    def _arrival(self, account: Account, valid: ValidMessage, package: Package) -> Arrival:
        now = self._ports.clock()
        return Arrival(
            id=new_id(now, os.urandom(10)),
            account=account.name,
            channel="amqp",
            name=valid.name,
            sha256=package.sha256,
            size=package.size,
            received_at=now,
            reply=valid.reply,
            traceparent=valid.traceparent,
        )

    async def _take(self, message: ReceivedMessage, *, again: bool = False) -> None:
        """Keeps the message until it is settled, as long as the gateway runs. If it were returned, it would
        be delivered again at once and counted: the broker puts aside messages that were delivered too often,
        and it may be sound."""
        channel = self._channel
        failures, again = 0, again or message.redelivered
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
        async with self._lock_of(account, valid):
            if again:
                sha256 = await asyncio.to_thread(_digest, message.body) if claim is None else claim.sha256
                if await ports.duplicates.seen(account.name, reply.message_id, sha256):
                    return
            package = await asyncio.to_thread(self._kept, message.body, account.name, claim)
            arrival = self._arrival(account, valid, package)
            try:
                await ports.intake.add(arrival, account, body=package.body)
            except MessageRejected:
                if claim is not None:  # its upload is consumed: it must be sent again with the message
                    ports.uploads.consumed(account.name, claim.file, claim.size, claim.sha256)
                raise
        if claim is not None:
            ports.uploads.consumed(account.name, claim.file, claim.size, claim.sha256)
        _report(arrival)

    def _kept(self, body: bytes, account: str, claim: ClaimedFile | None) -> Package:
        if claim is not None:
            return self._ports.uploads.take(account, claim.file, claim.size, claim.sha256)
        return kept(body, self._ports.blobs)

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


def _report(arrival: Arrival) -> None:
    log.info(
        "message",
        account=arrival.account,
        name=printable(arrival.name),
        id=arrival.id,
        size=arrival.size,
    )


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
