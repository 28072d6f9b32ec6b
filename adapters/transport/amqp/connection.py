"""A connection to a RabbitMQ broker that reconnects by itself and reports the result of each publishing.

A publishing connection does not consume: a broker that is short of memory stops reading from publishers, and
would not receive acknowledgements on the same connection.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import aio_pika
import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection

from adapters.transport.amqp.channel import BrokerChannel, Connection
from adapters.transport.amqp.content import UNFIT
from adapters.transport.amqp.frames import read_all_there_is
from adapters.transport.amqp.login import Login, read_login
from adapters.transport.amqp.publishing import Outgoing, PublishResult, Written
from adapters.transport.tls_trouble import certificate_trouble
from gateway.config.connections import BrokerSettings
from gateway.model.backoff import Backoff
from gateway.model.faults import printable

HEARTBEAT: Final = 10  # seconds
CONNECT_WITHIN: Final = 5.0
SET_UP_WITHIN: Final = 30.0  # a killed broker has its queues again some seconds after its listeners
CLOSE_WITHIN: Final = 3.0
CANCEL_EVERY: Final = 5.0  # longer than `CLOSE_WITHIN`
WATCH_EVERY: Final = 2.0  # between two checks that the other end is alive
PROOF_WITHIN: Final = 5.0
CONFIRM_WITHIN: Final = 10.0  # in addition to the time for sending the bodies
SLOWEST: Final = 128 * 1024  # bytes a second; a slower connection is given up
UNBLOCKED_WITHIN: Final = 2.0  # how long publishing waits for a broker that takes nothing
AGAIN: Final = Backoff(first=0.2, longest=10.0)
_LOOK_EVERY: Final = 0.05  # between two checks whether publishing has ended
STEADY_AFTER: Final = 30.0  # a connection that lasted longer resets the count of failures

log = structlog.get_logger()

read_all_there_is()

# Declares what it needs and begins to consume; returns the queues that it consumes from.
SetUp = Callable[[BrokerChannel], Awaitable[Sequence[str]]]


class ConnectionLost(Exception):
    """The connection is unusable; the text says why."""


class BrokerConnection:
    """Connects while the context is open, and again whenever connection, channel or a consumer is lost.

    Entering does not wait for the broker. `set_up` is called with the channel of each new connection; an
    exception ends that connection, and another one is tried later. The queues that `set_up` returns are
    checked regularly: if one is gone or has no consumer, or the broker is silent, the connection ends too.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        home: Path,
        name: str,
        set_up: SetUp,
        aside: str | None = None,
        *,
        again: bool = False,
    ) -> None:
        """`aside` is a queue without consumers, declared by `set_up`, whose messages are counted for
        operators. With `again`, each check repeats `set_up`, so that what was deleted at the broker meanwhile
        is declared again; if that fails, the connection ends."""
        self.name = name
        self.put_aside = 0  # messages in `aside` at the last check
        self._aside = aside
        self.why_not = "not connected yet"
        self.blocked = False  # as of the last check
        self._settings = settings
        self._home = home
        self._set_up = set_up
        self._again = again
        self._login: Login | None = None
        self._gone: asyncio.Future[str] | None = None  # done when the current connection is lost
        self._connection: AbstractConnection | None = None
        self._channel: BrokerChannel | None = None
        self._connected = asyncio.Event()
        self._under_way = 0
        self._bytes_under_way = 0
        self._closing: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._supervise())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await ended(self._tasks)
        await ended(self._closing)  # only now, since a task that has just ended may have added its connection
        self.why_not = "stopped"

    @property
    def connected(self) -> bool:
        """Whether the last `set_up` succeeded and, as far as is known, nothing was lost since."""
        return self._connected.is_set()

    async def until_connected(self) -> None:
        await self._connected.wait()

    async def publish(self, exchange: str, routing_key: str, message: aio_pika.Message) -> PublishResult:
        """Like `publish_all`, of one message."""
        (result,) = await self.publish_all([Outgoing(exchange, routing_key, message)])
        return result

    async def publish_all(self, group: Sequence[Outgoing]) -> Sequence[PublishResult]:
        """Publishes messages as mandatory and waits for the broker's confirmation: at most `CONFIRM_WITHIN`
        seconds plus the time that the bodies in progress take at `SLOWEST`, and at most `UNBLOCKED_WITHIN`
        before that for a blocked broker. Failures of broker or network are results, not exceptions.

        A group costs the least; what is published in one turn of the event loop goes out together too."""
        results = dict[int, PublishResult]()
        written = dict[int, Written]()
        channel = self._channel
        for index, outgoing in enumerate(group):
            if len(outgoing.message.body) > self._settings.largest:
                results[index] = PublishResult.REFUSED
            elif channel is None:
                results[index] = PublishResult.AWAY
            else:
                try:
                    written[index] = channel.publishing.written(outgoing)
                except UNFIT:
                    results[index] = PublishResult.REFUSED
        if channel is not None and written:
            results |= zip(written, await self._published(channel, [*written.values()]), strict=True)
        return [results[index] for index in range(len(group))]

    async def _published(
        self, channel: BrokerChannel, messages: Sequence[Written]
    ) -> Sequence[PublishResult]:
        if not await _unblocked(channel, UNBLOCKED_WITHIN):
            return [PublishResult.BUSY] * len(messages)
        size = sum(len(message.body) for message in messages)
        self._under_way += len(messages)
        self._bytes_under_way += size
        try:
            within = CONFIRM_WITHIN + self._bytes_under_way / SLOWEST
            return await channel.publishing.publish(messages, within)
        finally:
            self._under_way -= len(messages)
            self._bytes_under_way -= size

    async def beside(self, act: Callable[[AbstractChannel], Awaitable[object]]) -> str:
        """Runs `act` on a separate channel: the broker closes the channel of an operation that it refuses,
        with everything in progress there. Returns an empty text on success, else the reason."""
        connection = self._connection
        if connection is None:
            return self.why_not
        channel = connection.channel()
        try:
            async with asyncio.timeout(CONFIRM_WITHIN):
                await channel.initialize()
                await act(channel)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return "the connection was closed"
        except Exception as error:
            return printable(str(error) or type(error).__name__, 300)
        finally:
            await self._close(channel)
        return ""

    async def _supervise(self) -> None:
        failures, clock = 0, asyncio.get_running_loop().time
        while True:
            began = clock()
            try:
                await self._serve()
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                self.why_not = "the connection was closed"
            except Exception as error:
                reason = str(error) or type(error).__name__
                self.why_not = certificate_trouble(error) or printable(reason, 300)
            log.warning("broker lost", connection=self.name, why=self.why_not)
            failures = 1 if clock() - began > STEADY_AFTER else failures + 1
            spread = random.uniform(0.5, 1)  # noqa: S311  spreads retries, no secret
            await asyncio.sleep(AGAIN.pause(failures) * spread)

    async def _serve(self) -> None:
        """Runs one connection; always ends by raising the reason why it was lost."""
        connection = await self._opened()
        channel = BrokerChannel(connection, self.name)
        gone = self._gone = asyncio.get_running_loop().create_future()
        try:
            connection.close_callbacks.add(lambda _, why: _tell(gone, why))
            async with asyncio.timeout(SET_UP_WITHIN):
                await channel.open()
                channel.close_callbacks.add(lambda _, why: _tell(gone, why))
                below = await channel.get_underlay_channel()
                below.on_consumer_cancel_callbacks.add(
                    lambda _: _tell(gone, ConnectionLost("consumer cancelled"))
                )
                watched = await self._set_up(channel)
            self._connection, self._channel, self.why_not = connection, channel, ""
            self._connected.set()
            log.info("broker connected", connection=self.name)
            while not gone.done():
                await asyncio.wait([gone], timeout=WATCH_EVERY)
                if not gone.done():
                    await self._proven(channel, watched)
            raise ConnectionLost(gone.result())
        finally:
            self._connection = self._channel = self._gone = None
            self._connected.clear()
            await channel.end(gone.result() if gone.done() else "the connection is closed")
            await self._close(connection)

    async def _opened(self) -> Connection:
        settings = self._settings
        self._login = self._login or read_login(self._settings, self._home)
        return await aio_pika.connect(
            host=settings.host,
            port=settings.port,
            login=settings.user,
            password=self._login.password,
            virtualhost=settings.vhost,
            ssl=settings.ca is not None,
            ssl_context=self._login.tls,
            timeout=CONNECT_WITHIN,
            connection_class=Connection,
            client_properties={"connection_name": self.name},
            heartbeat=HEARTBEAT,
        )

    def log_in_as(self, other: "BrokerConnection") -> None:
        """Uses the log-in that the other connection has read, until the next `renewal`."""
        self._login = other._login

    def renewal(self) -> Callable[[], None]:
        """See `named_files.Renewal`. If the files have changed, the connection ends once the messages in
        progress are confirmed, or after `CONFIRM_WITHIN`, and is made again with the new files."""
        login = read_login(self._settings, self._home)

        def take() -> None:
            before, self._login = self._login, login
            if before is not None and before.files != login.files and self._gone is not None:
                task = asyncio.ensure_future(self._end(self._gone))
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)

        return take

    async def _end(self, gone: asyncio.Future[str]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(CONFIRM_WITHIN):
                while self._under_way:
                    await asyncio.sleep(_LOOK_EVERY)
        _tell(gone, ConnectionLost("its password, keys or certificates are others now"))

    async def _proven(self, channel: BrokerChannel, watched: Sequence[str]) -> None:
        """Checks the connection. Raises `ConnectionLost` if the check does not end in time: a broker that
        hangs answers nothing, and the library may not notice."""
        proof = asyncio.create_task(self._prove(channel, watched))
        try:
            within = SET_UP_WITHIN + (len(watched) + 1) * (PROOF_WITHIN + self._bytes_under_way / SLOWEST)
            await asyncio.wait([proof], timeout=within)
            if not proof.done():
                raise ConnectionLost(f"no word from the broker for {within:.0f} s")
            proof.result()
        finally:
            if not proof.done():
                proof.cancel()
                self._closing.add(proof)
                proof.add_done_callback(self._closing.discard)

    async def _prove(self, channel: BrokerChannel, watched: Sequence[str]) -> None:
        self.blocked = not await _unblocked(channel, 0.01)
        if self.blocked:
            return  # a blocked broker answers nothing until it has memory again, but still sends heartbeats
        below = await channel.get_underlay_channel()
        within = PROOF_WITHIN + self._bytes_under_way / SLOWEST  # it queues behind the bodies in progress
        if self._again:
            async with asyncio.timeout(SET_UP_WITHIN):
                await self._set_up(channel)
        elif not watched:
            await below.basic_qos(prefetch_count=0, timeout=within)
        for queue in watched:
            declared = await below.queue_declare(queue, passive=True, timeout=within)
            if not declared.consumer_count:
                raise ConnectionLost(f"queue {queue} has no consumer")
        if self._aside is not None:
            declared = await below.queue_declare(self._aside, passive=True, timeout=within)
            self.put_aside = declared.message_count or 0

    async def _close(self, ended: AbstractConnection | AbstractChannel) -> None:
        # If the network hangs, so does a proper close: after `CLOSE_WITHIN` it continues in the background.
        async def close() -> None:
            with suppress(Exception):
                await ended.close()

        task = asyncio.create_task(close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        await asyncio.wait([task], timeout=CLOSE_WITHIN)


async def _unblocked(channel: AbstractChannel, seconds: float) -> bool:
    below = await channel.get_underlay_channel()
    try:
        async with asyncio.timeout(seconds):
            await below.connection.ready()
    except TimeoutError:
        return False
    return True


async def ended(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancels tasks that use the library, repeatedly until they have ended: it sometimes swallows a
    cancellation, for example while connecting."""
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        running = (await asyncio.wait(running, timeout=CANCEL_EVERY))[1]


def _tell(gone: asyncio.Future[str], why: BaseException | None) -> None:
    if not gone.done():
        gone.set_result(str(why) if why is not None and str(why) else "closed")
