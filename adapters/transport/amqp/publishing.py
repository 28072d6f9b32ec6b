"""Publishing on one channel in groups: their frames are written together, and one confirmation of the broker
may settle many messages.

Whatever is asked for in one turn of the event loop goes out together. The library's channel publishes
nothing beside this: its numbers and those here would not be the broker's.
"""

import asyncio
import struct
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import uuid4

import aio_pika
import structlog
from aiormq.abc import ChannelFrame
from aiormq.channel import Channel

from adapters.transport.amqp.content import (
    AROUND,
    BASIC,
    HEADER,
    METHOD,
    body_frames,
    content_header,
    frame,
    short,
)
from gateway.model.faults import printable

_PUBLISH: Final = struct.Struct(">HHH").pack(BASIC, 40, 0)
_MANDATORY: Final = b"\x01"
_GOES_OUT_AT_ONCE: Final = 64 * 1024  # bytes; more holds up the next until the socket has taken it
_LARGEST: Final = 128 * 1024  # bytes of a frame where the broker sets no limit
_AT_ONCE: Final = 256 * 1024  # bytes written in one piece, if they are of several messages

log = structlog.get_logger()


class PublishResult(StrEnum):
    """The result of publishing one message."""

    CONFIRMED = "confirmed"  # the broker has it; on disk where message and queue are durable
    RETURNED = "returned"  # not taken: no queue is bound for it
    # Not accepted, and would not be again: too large or not writable, no such exchange, no permission.
    REFUSED = "refused"
    BUSY = "busy"  # not accepted: the broker is short of memory or disk, or refused for now
    AWAY = "away"  # not accepted: there is no connection
    UNKNOWN = "unknown"  # perhaps sent, but not confirmed


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message and where it goes."""

    exchange: str
    routing_key: str
    message: aio_pika.Message


@dataclass(slots=True, eq=False)
class Written:
    """A message in the form in which it goes out."""

    message_id: str
    head: bytes  # the frames before the body
    body: bytes
    group: "_Group | None" = None  # None if nobody waits for its result


class _Group:
    """Messages whose sender waits for all of them. What is not settled is unknown."""

    def __init__(self, messages: Sequence[Written]) -> None:
        self.results = dict.fromkeys(messages, PublishResult.UNKNOWN)
        self.unsettled = len(messages)
        self.settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Publishing:
    """Publishes on a channel that confirms, until it ends. A returned message is recognised only by its
    message id: only one message with an id is in progress at a time."""

    def __init__(self, name: str, channel: Channel) -> None:
        """`name` is that of the connection, for the log."""
        self._name = name
        self._number = channel.number
        self._queue = channel.write_queue
        self._largest = (channel.connection.connection_tune.frame_max or _LARGEST) - AROUND
        self._asked: deque[Written] = deque()  # not given to the socket yet
        self._some = asyncio.Event()
        self._last = 0  # the number of the last message that was, as the broker counts
        self._unconfirmed: dict[int, Written] = {}
        self._in_progress: dict[str, Written] = {}
        self._ended = False
        self.fault_of_publishing = False  # the broker has closed the channel for what was published

    def written(self, outgoing: Outgoing) -> Written:
        """Raises one of `UNFIT` for what cannot be sent, such as properties that do not fit into one frame:
        the broker ends the connection for a larger one. Not all properties that were read can be written
        again; a text that was not UTF-8, for example, becomes longer."""
        message = outgoing.message
        if not message.message_id:
            message.message_id = uuid4().hex
        header = content_header(message)
        if len(header) > self._largest:
            raise ValueError("the properties are larger than a frame")
        method = _PUBLISH + short(outgoing.exchange) + short(outgoing.routing_key) + _MANDATORY
        head = frame(METHOD, self._number, method) + frame(HEADER, self._number, header)
        return Written(message.message_id, head, message.body)

    async def publish(self, messages: Sequence[Written], within: float) -> list[PublishResult]:
        """Their results, known or given up after so many seconds. One whose id is in progress follows when
        that is settled."""
        together, again = dict[str, Written](), list[Written]()
        for message in messages:
            if message.message_id in together or message.message_id in self._in_progress:
                again.append(message)
            else:
                together[message.message_id] = message
        results = await self._published([*together.values()], within)
        for message in again:
            while (other := self._in_progress.get(message.message_id)) and other.group is not None:
                await asyncio.wait([other.group.settled])
            results |= await self._published([message], within)
        return [results[message] for message in messages]

    async def _published(self, messages: Sequence[Written], within: float) -> dict[Written, PublishResult]:
        group = _Group(messages)
        if self._ended or not messages:
            return group.results
        for message in messages:
            message.group = group
            self._in_progress[message.message_id] = message
        self._asked += messages
        self._some.set()
        late = asyncio.get_running_loop().call_later(within, self._late, group, within)
        try:
            await group.settled
        finally:
            late.cancel()
            self._give_up(group)
        return group.results

    def _late(self, group: _Group, within: float) -> None:
        log.warning("publishing failed", connection=self._name, error=f"not confirmed within {within:.0f} s")
        self._give_up(group)

    def _give_up(self, group: _Group) -> None:
        if group.unsettled:
            for message in group.results:
                self._forget(message)
        if not group.settled.done():
            group.settled.set_result(None)

    def _forget(self, message: Written) -> None:
        if message.group is not None:
            message.group = None
            del self._in_progress[message.message_id]

    def _settle(self, message: Written, result: PublishResult) -> None:
        group = message.group
        if group is None:
            return
        self._forget(message)
        group.results[message] = result
        group.unsettled -= 1
        if not group.unsettled:
            self._give_up(group)

    def confirm(self, number: int, *, multiple: bool, result: PublishResult) -> None:
        """The broker has confirmed a message, or refused it for now; with `multiple`, all before it too."""
        if not multiple:
            if (message := self._unconfirmed.pop(number, None)) is not None:
                self._settle(message, result)
            return
        while self._unconfirmed and (first := next(iter(self._unconfirmed))) <= number:
            self._settle(self._unconfirmed.pop(first), result)

    def take_back(self, message_id: str) -> None:
        """The broker returns a message that no queue takes. It confirms it afterwards."""
        message = self._in_progress.get(message_id)
        if message is not None:
            self._settle(message, PublishResult.RETURNED)

    async def write(self) -> None:
        """Gives to the socket what is asked for; runs until it is cancelled."""
        while True:
            await self._some.wait()
            self._some.clear()
            while self._asked:
                await self._write_some()

    async def _write_some(self) -> None:
        pieces, size = list[bytes](), 0
        while self._asked and size < _AT_ONCE:
            message = self._asked.popleft()
            if message.group is None:
                continue
            self._last += 1
            self._unconfirmed[self._last] = message
            pieces += (message.head, *body_frames(self._number, message.body, self._largest))
            size += len(message.body)
            message.body = b""
        if not pieces:
            return
        loop = asyncio.get_running_loop()
        gone_out = loop.create_future() if size > _GOES_OUT_AT_ONCE else None
        await self._queue.put(ChannelFrame(b"".join(pieces), should_close=False, drain_future=gone_out))
        if gone_out is not None:
            await gone_out

    def end(self, why: str) -> None:
        """Nothing will be confirmed any more."""
        self._ended = True
        groups = {
            each.group for each in (*self._unconfirmed.values(), *self._asked) if each.group is not None
        }
        if not groups:
            return
        unsettled = sum(group.unsettled for group in groups)
        error = printable(why, 300)
        if self.fault_of_publishing:
            log.warning("publishing refused", connection=self._name, error=error, messages=unsettled)
        else:
            log.warning("publishing failed", connection=self._name, error=error, messages=unsettled)
        # The broker closes the channel because of one unconfirmed message, and does not say which.
        if self.fault_of_publishing and len(self._unconfirmed) == 1:
            (message,) = self._unconfirmed.values()
            self._settle(message, PublishResult.REFUSED)
        for group in groups:
            self._give_up(group)
