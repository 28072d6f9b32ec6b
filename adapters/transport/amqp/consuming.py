"""Consuming on one channel in groups: what has come is handed over together, and acknowledged together.

Acknowledgements that are given in one turn of the event loop go out in one piece. One with `multiple` stands
for all up to it where none of these is unsettled.
"""

import asyncio
import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from aiormq.abc import ChannelFrame, DeliveredMessage
from aiormq.channel import Channel

from adapters.transport.amqp.content import BASIC, METHOD, frame
from adapters.transport.amqp.frames import read_table

_ACK: Final = struct.Struct(">HHQB")  # class, method, number, whether all before it are meant
_REJECT: Final = struct.Struct(">HHQB")  # class, method, number, whether it returns to the queue
_NO_HEADERS: Final = bytes(4)
_GOES_OUT_WITHIN: Final = 1.0  # seconds, when consuming ends

# Takes messages that came together; does not wait.
Take = Callable[[Sequence["ReceivedMessage"]], None]


class ReceivedMessage:
    """A message as it came; properties that it does not have are None."""

    __slots__ = (
        "_consuming",
        "_headers",
        "_number",
        "_table",
        "app_id",
        "body",
        "content_encoding",
        "content_type",
        "correlation_id",
        "message_id",
        "redelivered",
        "reply_to",
        "routing_key",
        "timestamp",
        "type",
        "user_id",
    )

    def __init__(
        self,
        body: bytes,
        properties: Mapping[str, Any],
        routing_key: str = "",
        *,
        redelivered: bool = False,
        number: int = 0,
        consuming: "Consuming | None" = None,
    ) -> None:
        """`properties` as `content.properties_in` reads them, `number` as the broker counts; without
        `consuming`, there is nothing to settle."""
        self._consuming = consuming
        self._number = number
        self.body = body
        self.routing_key = routing_key
        self.redelivered = redelivered
        self._headers: dict[str, Any] | None = None
        self._table: bytes = properties.get("headers", _NO_HEADERS)
        self.content_type: str | None = properties.get("content_type")
        self.content_encoding: str | None = properties.get("content_encoding")
        self.correlation_id: str | None = properties.get("correlation_id")
        self.reply_to: str | None = properties.get("reply_to")
        self.message_id: str | None = properties.get("message_id")
        self.timestamp = _time(properties.get("timestamp"))
        self.type: str | None = properties.get("type")
        self.user_id: str | None = properties.get("user_id")
        self.app_id: str | None = properties.get("app_id")

    @property
    def headers(self) -> dict[str, Any]:
        if self._headers is None:
            self._headers = read_table(self._table)
        return self._headers

    def ack(self) -> None:
        """Goes out in the next turn of the event loop. After the connection is lost this has no effect: the
        broker delivers the message again."""
        if self._consuming is not None:
            self._consuming.acknowledge(self._number)

    def reject(self, *, requeue: bool) -> None:
        """Like `ack`: returns the message to its queue, or lets the broker put it aside or drop it."""
        if self._consuming is not None:
            self._consuming.reject(self._number, requeue=requeue)


class Consuming:
    """Consumes on a channel, until it ends."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._takes: dict[bytes, tuple[Take, Consuming | None]] = {}  # by the consumer's tag
        self._come: dict[Take, list[ReceivedMessage]] = {}
        self._unsettled: dict[int, None] = {}  # in the order of their numbers
        self._acknowledged: list[int] = []
        self._rejected: list[bytes] = []  # frames
        self._going_out = b""  # frames that wait until the connection takes them
        self._some = asyncio.Event()
        self._ended = False

    async def consume(self, queue: str, take: Take, *, no_ack: bool = False) -> str:
        """Returns the tag of this consumer. Without acknowledgements, a message is settled when it is
        sent."""
        tag = uuid4().hex
        self._takes[tag.encode()] = take, None if no_ack else self
        await self._channel.basic_consume(queue, _nothing, no_ack=no_ack, consumer_tag=tag)
        return tag

    def has(self, tag: bytes) -> bool:
        return tag in self._takes

    def deliver(
        self,
        tag: bytes,
        number: int,
        *,
        redelivered: bool,
        routing_key: str,
        properties: Mapping[str, Any],
        body: bytes,
    ) -> None:
        take, settles = self._takes[tag]
        message = ReceivedMessage(
            body, properties, routing_key, redelivered=redelivered, number=number, consuming=settles
        )
        if settles is not None:
            self._unsettled[number] = None
        if not self._come:
            asyncio.get_running_loop().call_soon(self._hand_over)
        self._come.setdefault(take, []).append(message)

    def _hand_over(self) -> None:
        come, self._come = self._come, {}
        for take, messages in come.items():
            take(messages)

    def leave_to_others(self, number: int) -> None:
        """A message of a consumer of the library's on this channel: nothing here may settle it."""
        if self._takes:
            self._unsettled[number] = None

    def acknowledge(self, number: int) -> None:
        if self._is_settled(number):
            return
        self._acknowledged.append(number)
        self._some.set()

    def reject(self, number: int, *, requeue: bool) -> None:
        if self._is_settled(number):
            return
        self._rejected.append(frame(METHOD, self._channel.number, _REJECT.pack(BASIC, 90, number, requeue)))
        self._some.set()

    def _is_settled(self, number: int) -> bool:
        if self._ended or number not in self._unsettled:
            return True
        del self._unsettled[number]
        return False

    async def write(self) -> None:
        """Gives acknowledgements to the socket; runs until it is cancelled."""
        while True:
            await self._some.wait()
            self._some.clear()
            self._going_out = self._settling()
            await self._channel.write_queue.put(ChannelFrame(self._going_out, should_close=False))
            self._going_out = b""

    def _settling(self) -> bytes:
        """The frames that settle what is not settled at the broker yet."""
        # First what is rejected: it is not to be acknowledged with what came after it.
        frames, self._rejected = self._rejected, []
        numbers, self._acknowledged = sorted(self._acknowledged), []
        first = next(iter(self._unsettled), None)
        all_before = [number for number in numbers if first is None or number < first]
        if all_before:
            frames.append(self._ack(all_before[-1], multiple=True))
        frames += (self._ack(number, multiple=False) for number in numbers[len(all_before) :])
        return b"".join(frames)

    def _ack(self, number: int, *, multiple: bool) -> bytes:
        return frame(METHOD, self._channel.number, _ACK.pack(BASIC, 80, number, multiple))

    async def end(self, *, lost: bool) -> None:
        """Nothing is settled any more. If the connection is not lost, what was goes out first."""
        self._ended = True
        if lost:
            return
        gone_out = asyncio.get_running_loop().create_future()
        last = ChannelFrame(self._going_out + self._settling(), should_close=False, drain_future=gone_out)
        with suppress(TimeoutError):
            async with asyncio.timeout(_GOES_OUT_WITHIN):
                await self._channel.write_queue.put(last)
                await gone_out


def _time(seconds: int | None) -> datetime | None:
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, tz=UTC)
    except (ValueError, OverflowError, OSError):
        return None


async def _nothing(_: DeliveredMessage) -> None:
    """The library gets no message of ours."""
