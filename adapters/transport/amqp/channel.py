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

from adapters.transport.amqp.content import BASIC, BODY, HEADER, METHOD, UNFIT, size_and_properties
from adapters.transport.amqp.frames import FrameTaker, taking
from adapters.transport.amqp.publishing import Publishing, PublishResult

_METHOD: Final = struct.Struct(">HH")  # class and method
_RETURN: Final = (BASIC, 50)
_ACK: Final = (BASIC, 80)
_NACK: Final = (BASIC, 120)
_CONFIRMATION: Final = struct.Struct(">QB")  # number, and whether all before it are meant
_CLOSE: Final = (20, 40)
_PUBLISH: Final = struct.pack(">HH", BASIC, 40)


class MessageFrames:
    """frames.FrameTaker of one channel."""

    def __init__(self, publishing: Publishing) -> None:
        self._publishing = publishing
        self._properties: dict[str, Any] | None = None  # of the message that is being returned
        self._returning = False
        self._missing = 0  # bytes of its body

    def take(self, kind: int, payload: bytes) -> bool:
        try:
            if kind == METHOD:
                return self._took_method(payload)
            if not self._returning:
                return False
            if kind == HEADER:
                self._missing, self._properties = size_and_properties(payload)
            elif kind == BODY:
                self._missing -= len(payload)
        except UNFIT as error:
            raise InvalidFrameError(str(error)) from error
        if self._missing <= 0 and self._properties is not None:
            self._publishing.take_back(self._properties.get("message_id", ""))
            self._returning, self._properties = False, None
        return True

    def _took_method(self, payload: bytes) -> bool:
        method = _METHOD.unpack_from(payload)
        self._returning = method == _RETURN
        if method in (_ACK, _NACK):
            number, flags = _CONFIRMATION.unpack_from(payload, _METHOD.size)
            result = PublishResult.CONFIRMED if method == _ACK else PublishResult.BUSY
            self._publishing.confirm(number, multiple=bool(flags & 1), result=result)
            return True
        if method == _CLOSE:
            # Its last fields are class and method of what the broker closes the channel for.
            self._publishing.fault_of_publishing = payload.endswith(_PUBLISH)
        return self._returning


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
        self._publishing: Publishing | None = None
        self._writing: asyncio.Task[None] | None = None

    @property
    def publishing(self) -> Publishing:
        if self._publishing is None:
            raise RuntimeError("the channel is not open")
        return self._publishing

    async def open(self) -> None:
        await self.initialize()
        below = cast(Channel, await self.get_underlay_channel())
        self._publishing = Publishing(self._name, below)
        self._takers[below.number] = MessageFrames(self._publishing)
        self._writing = asyncio.create_task(self._publishing.write())

    def end(self, why: str) -> None:
        """Nothing is written or confirmed any more."""
        if self._writing is not None:
            self._writing.cancel()
            self.publishing.end(why)
