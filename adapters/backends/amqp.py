"""A back-end over AMQP: submissions go to one queue of its broker, answers come from another.

`amqp_exchange` describes the messages. `TAKEN` only means that the broker confirmed the submission: its
outcome comes with an answer.
"""

import asyncio
import io
import random
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

import structlog
from aio_pika.abc import AbstractChannel

from adapters.backends import amqp_exchange
from adapters.backends.amqp_exchange import REPLIES, XML, ZIP, dead, text_in, word_in
from adapters.transport.amqp.channel import BrokerChannel
from adapters.transport.amqp.connection import BrokerConnection, ended
from adapters.transport.amqp.consuming import ReceivedMessage
from adapters.transport.amqp.lines import ConnectionPool
from adapters.transport.amqp.publishing import PublishResult
from adapters.transport.amqp.queues import stood
from adapters.transport.tls_trouble import OURS, THEIRS
from gateway.config.connections import AmqpBackendSettings, DxpSettings
from gateway.formats import xml
from gateway.formats.dxp import unwrapped, write_submission
from gateway.formats.submission import write_zip
from gateway.model.answer import Answer
from gateway.model.delivery import Outcome
from gateway.model.message import Submission

# More than a node asks for at once (256), so that it never waits for the broker in between. Answers are a few
# KB each.
_IN_HAND: Final = 500
# Error texts for a refused log-in, permission or virtual host: from the broker (AMQP's code 403), and for the
# virtual host from the library, which does not pass on the broker's text.
_DENIED: Final = ("ACCESS_REFUSED", "Expected one of ['Connection.OpenOk']", OURS, THEIRS)
_LARGEST_ASIDE: Final = 512 * 1024 * 1024  # no broker gives anything larger (RabbitMQ, max_message_size)
_LOG_INS: Final = 8  # connections on which submissions are sent
_LARGE: Final = 1024 * 1024  # bytes: of larger submissions, no more than there are log-ins are in memory
# Seconds for which answers gather before the node is woken: customs sends several for a declaration, and each
# time that the node takes some in costs two commits.
_GATHER: Final = 0.03
_WORD_WITHIN: Final = 10.0  # seconds for the answer to a query

log = structlog.get_logger()


class AmqpBackend:
    """gateway.deliver.ports.Backend and AnsweringBackend, connected while the context is open. Missing queues
    are created (`stood`).

    An answer that is empty, or longer than any document that the gateway reads, is put aside with its reason
    (`amqp_exchange.dead`). Messages not acknowledged when a connection is lost are delivered again by the
    broker.
    """

    def __init__(self, settings: AmqpBackendSettings, home: Path, name: str) -> None:
        self._settings = settings
        # Messages put aside may be larger than what we send, whose size `submit` checks itself.
        aside = settings.model_copy(update={"largest": _LARGEST_ASIDE})
        self._asking = BrokerConnection(aside, home, f"{name} asking", self._begin_asking)
        self._sending = ConnectionPool(
            [
                BrokerConnection(settings, home, f"{name} sending {number}", _begin_sending)
                for number in range(1, min(settings.at_once, _LOG_INS) + 1)
            ]
        )
        self._hearing = BrokerConnection(settings, home, f"{name} hearing", self._begin_hearing)
        self.renewals = (self._asking.renewal, self._sending.renewal, self._hearing.renewal)
        self._large = asyncio.Semaphore(_LOG_INS)
        self._held: dict[ReceivedMessage, Answer] = {}
        self._putting_aside: set[asyncio.Task[None]] = set()
        self.woken: Callable[[], None] = lambda: None
        self._waking = False
        self._asked: dict[str, asyncio.Future[Outcome | None]] = {}

    async def __aenter__(self) -> Self:
        await self._asking.__aenter__()
        await self._sending.__aenter__()
        await self._hearing.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._hearing.__aexit__(kind, error, trace)
        await self._sending.__aexit__(kind, error, trace)
        await self._asking.__aexit__(kind, error, trace)
        await ended(self._putting_aside)

    @property
    def deaf(self) -> str:
        """Why answers cannot be received; empty if they can."""
        return self._hearing.why_not

    async def until_connected(self) -> None:
        """Waits for the broker, however long that takes."""
        await self._asking.until_connected()
        await self._sending.until_connected()
        await self._hearing.until_connected()

    async def submit(self, submission: Submission, opened: Callable[[str], IO[bytes]]) -> tuple[Outcome, str]:
        """The whole body is in memory, as AMQP requires: `largest` is checked before it is built."""
        largest = self._settings.largest
        if _least_size(submission) > largest:
            return Outcome.NEVER, _too_large(largest)
        async with self._large if _least_size(submission) > _LARGE else nullcontext():
            body = await asyncio.to_thread(_written, submission, opened, self._settings.dxp)
            if len(body) > largest:
                return Outcome.NEVER, _too_large(largest)
            kind = ZIP if self._settings.dxp is None else XML
            message = amqp_exchange.submission(submission.key, body, kind)
            async with self._sending.one(len(body)) as line:
                result = await line.publish("", self._settings.submissions, message)
                return _outcome(result, self._settings.submissions, line.why_not)

    async def ask(self, key: str) -> tuple[Outcome | None, str]:
        """Customs is asked if there is a queue for queries. If there is none, or customs does not know the
        key yet, the submission is sent again: by the contract with customs, a second sending under the same
        key has no second effect."""
        if self._settings.questions is None:
            return None, ""
        number = random.randbytes(16).hex()  # noqa: S311  tells questions apart, no secret
        word = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            question = amqp_exchange.question(number, key)
            result = await self._asking.publish("", self._settings.questions, question)
            if result is not PublishResult.CONFIRMED:
                return Outcome.UNKNOWN, _outcome(result, self._settings.questions, self._asking.why_not)[1]
            return await asyncio.wait_for(word, _WORD_WITHIN), ""
        except TimeoutError:
            return Outcome.UNKNOWN, f"no answer within {_WORD_WITHIN:g} s"
        finally:
            del self._asked[number]

    async def answers(self, limit: int) -> Sequence[Answer]:
        return list(self._held.values())[:limit]

    async def acknowledge(self, ids: Sequence[str]) -> None:
        acknowledged = set(ids)
        for message, answer in list(self._held.items()):
            if answer.id in acknowledged:
                self._held.pop(message, None)
                message.ack()

    async def _begin_asking(self, channel: BrokerChannel) -> Sequence[str]:
        await stood(channel, self._settings.submissions)
        await stood(channel, dead(self._settings.answers))
        if self._settings.questions is not None:
            await stood(channel, self._settings.questions)
            # On the channel that asks, as direct reply-to requires.
            await channel.consume(REPLIES, self._hear_words, no_ack=True)
        return ()

    async def _begin_hearing(self, channel: BrokerChannel) -> Sequence[str]:
        self._held.clear()
        await stood(channel, self._settings.answers)
        await channel.set_qos(prefetch_count=_IN_HAND)
        await channel.consume(self._settings.answers, self._hear)
        return (self._settings.answers,)

    def _hear(self, messages: Sequence[ReceivedMessage]) -> None:
        longest = min(self._settings.largest, xml.DEFAULT_LIMITS.size)
        for message in messages:
            if 0 < len(message.body) <= longest:
                answer = text_in(message)
                self._held[message] = answer if self._settings.dxp is None else unwrapped(answer)
            else:
                reason = f"larger than {longest} bytes" if message.body else "empty"
                putting = asyncio.create_task(self._put_aside(message, reason))
                self._putting_aside.add(putting)
                putting.add_done_callback(self._putting_aside.discard)
        if self._held and not self._waking:
            self._waking = True
            asyncio.get_running_loop().call_later(_GATHER, self._wake)

    async def _put_aside(self, message: ReceivedMessage, reason: str) -> None:
        log.error("answer put aside", reason=reason, size=len(message.body))
        aside = amqp_exchange.put_aside(message, reason)
        # Unless the broker confirms it there, it stays where it is and is delivered again on the next
        # connection.
        if await self._asking.publish("", dead(self._settings.answers), aside) is PublishResult.CONFIRMED:
            message.ack()

    def _wake(self) -> None:
        self._waking = False
        self.woken()

    def _hear_words(self, messages: Sequence[ReceivedMessage]) -> None:
        for message in messages:
            word = self._asked.get(message.correlation_id or "")
            if word is not None and not word.done():
                word.set_result(word_in(message))


async def _begin_sending(_channel: AbstractChannel) -> Sequence[str]:
    return ()  # the asking connection creates what it needs


def _outcome(result: PublishResult, queue: str, why_not: str) -> tuple[Outcome, str]:
    match result:
        case PublishResult.CONFIRMED:
            return Outcome.TAKEN, ""
        case PublishResult.RETURNED:
            return Outcome.LATER, f"there is no queue {queue}"
        case PublishResult.BUSY:
            return Outcome.BUSY, "the broker takes nothing now"
        case PublishResult.REFUSED:
            return Outcome.DENIED, "the broker refuses it: no permission, or over its own limit of size"
        case PublishResult.AWAY:
            return (Outcome.DENIED if why_not.startswith(_DENIED) else Outcome.LATER), why_not
        case PublishResult.UNKNOWN:
            return Outcome.UNKNOWN, "the broker has not confirmed it"


def _least_size(submission: Submission) -> int:
    """The size of the body's content, without what a zip or an envelope adds."""
    enclosed = sum(each.size for each in submission.enclosures)
    return len(submission.envelope) + submission.package_size + enclosed


def _too_large(largest: int) -> str:
    return f"larger than the {largest} bytes that one message may have (largest)"


def _written(
    submission: Submission, opened: Callable[[str], IO[bytes]], wrapping: DxpSettings | None
) -> bytes:
    zipped, wrapped = io.BytesIO(), io.BytesIO()
    write_zip(submission, opened, zipped)
    if wrapping is None:
        return zipped.getvalue()
    zipped.seek(0)
    write_submission(submission, zipped, wrapped, wrapping)
    return wrapped.getvalue()
