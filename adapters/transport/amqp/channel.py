"""A channel whose messages do not pass through the library: their frames are read and written in groups.

Everything else stays with the library's channel: opening, declaring, being closed.
"""

import asyncio
import struct
from typing import Any, Final, cast

import aio_pika
from aio_pika.abc import TimeoutType
from aiormq.channel import Channel
from aiormq.exceptions import InvalidFrameError

from adapters.transport.amqp.consuming import Consuming, Take
from adapters.transport.amqp.content import (
    BASIC,
    HEADER,
    METHOD,
    UNFIT,
    body_size_in,
    properties_in,
    read_short,
)
from adapters.transport.amqp.frames import FrameTaker, taking
from adapters.transport.amqp.publishing import Publishing, PublishResult

_METHOD: Final = struct.Struct(">HH")  # class and method
_RETURN: Final = (BASIC, 50)
_ACK: Final = (BASIC, 80)
_NACK: Final = (BASIC, 120)
_DELIVER: Final = (BASIC, 60)
_DELIVERY: Final = struct.Struct(">QB")  # number, and whether it was delivered before
_CONFIRMATION: Final = struct.Struct(">QB")  # number, and whether all before it are meant
_CLOSE: Final = (20, 40)
_PUBLISH: Final = struct.pack(">HH", BASIC, 40)


class MessageFrames:
    """frames.FrameTaker of one channel."""

    def __init__(self, publishing: Publishing, consuming: Consuming) -> None:
        self._publishing = publishing
        self._consuming = consuming
        # What the next content frames belong to: neither, if they are the library's.
        self._returning = False
        self._delivery: tuple[bytes, int, bool, str] | None = None
        self._properties: dict[str, Any] = {}
        self._body: list[bytes] = []
        self._missing = 0  # bytes of the body

    def take(self, kind: int, payload: bytes) -> bool:
        try:
            if kind == METHOD:
                return self._took_method(payload)
            if not self._returning and self._delivery is None:
                return False
            if kind == HEADER:
                self._body, self._missing = [], body_size_in(payload)
                self._properties = properties_in(payload)
            else:
                self._body.append(payload)
                self._missing -= len(payload)
        except UNFIT as error:
            raise InvalidFrameError(str(error)) from error
        if self._missing <= 0:
            self._complete()
        return True

    def _took_method(self, payload: bytes) -> bool:
        method = _METHOD.unpack_from(payload)
        if method == _DELIVER:
            return self._took_delivery(payload)
        if method in (_ACK, _NACK):
            number, flags = _CONFIRMATION.unpack_from(payload, _METHOD.size)
            result = PublishResult.CONFIRMED if method == _ACK else PublishResult.BUSY
            self._publishing.confirm(number, multiple=bool(flags & 1), result=result)
            return True
        self._returning = method == _RETURN
        if method == _CLOSE:
            # Its last fields are class and method of what the broker closes the channel for.
            self._publishing.fault_of_publishing = payload.endswith(_PUBLISH)
        return self._returning

    def _took_delivery(self, payload: bytes) -> bool:
        at, tag = read_short(payload, _METHOD.size)
        number, redelivered = _DELIVERY.unpack_from(payload, at)
        if not self._consuming.has(tag):
            self._consuming.leave_to_others(number)
            return False
        at, _exchange = read_short(payload, at + _DELIVERY.size)
        routing_key = read_short(payload, at)[1].decode("utf-8", "replace")
        self._delivery = tag, number, bool(redelivered & 1), routing_key
        return True

    def _complete(self) -> None:
        if self._delivery is None:
            self._returning = False
            self._publishing.take_back(self._properties.get("message_id", ""))
            return
        (tag, number, redelivered, routing_key), self._delivery = self._delivery, None
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body = []
        self._consuming.deliver(
            tag,
            number,
            redelivered=redelivered,
            routing_key=routing_key,
            properties=self._properties,
            body=body,
        )


class Connection(aio_pika.Connection):
    """A connection that closes at once if it could not be made: the library would close it at garbage
    collection, when there may be no loop any more."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.takers: dict[int, FrameTaker] = {}

    async def connect(self, timeout: TimeoutType = None) -> None:
        try:
            with taking(self.takers):
                await super().connect(timeout)
        except BaseException:
            await self.close()
            raise


class BrokerChannel(aio_pika.Channel):
    """A channel of a `connection.BrokerConnection`."""

    def __init__(self, connection: Connection, name: str) -> None:
        super().__init__(connection)
        self._name = name
        self._takers = connection.takers
        self._messages: tuple[Publishing, Consuming] | None = None
        self._writing: list[asyncio.Task[None]] = []

    @property
    def publishing(self) -> Publishing:
        return self._opened()[0]

    def _opened(self) -> tuple[Publishing, Consuming]:
        if self._messages is None:
            raise RuntimeError("the channel is not open")
        return self._messages

    async def open(self) -> None:
        await self.initialize()
        below = cast(Channel, await self.get_underlay_channel())
        publishing, consuming = self._messages = Publishing(self._name, below), Consuming(below)
        self._takers[below.number] = MessageFrames(publishing, consuming)
        self._writing = [asyncio.create_task(publishing.write()), asyncio.create_task(consuming.write())]

    async def consume(self, queue: str, take: Take, *, no_ack: bool = False) -> str:
        """See `Consuming.consume`."""
        return await self._opened()[1].consume(queue, take, no_ack=no_ack)

    async def cancel(self, tag: str, within: float) -> None:
        """Ends a consumer. Raises the library's exceptions, or `TimeoutError` after so many seconds."""
        await (await self.get_underlay_channel()).basic_cancel(tag, timeout=within)

    async def end(self, why: str) -> None:
        """Nothing is published or confirmed any more; acknowledgements that were given go out."""
        for task in self._writing:
            task.cancel()
        if self._messages is not None:
            publishing, consuming = self._messages
            publishing.end(why)
            await consuming.end(lost=self.is_closed)
