"""Serves the customs sandbox over AMQP: takes submissions from one queue, sends answers to another.

The process may be killed at any point. A submission is acknowledged once the ledger has it, and one that the
ledger already has takes no second effect. An answer is acknowledged to the ledger once the broker has
confirmed it, and has the same message id if it is sent again.
"""

import asyncio
import io
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog
from aio_pika import Message
from aio_pika.abc import AbstractChannel

from adapters.backends.amqp_exchange import Word, answer, dead, key_of, put_aside, word
from adapters.sandbox.customs.submitted import refusal
from adapters.sandbox.inspection import reference_in
from adapters.sandbox.simulated_backend import SimulatedBackend
from adapters.transport.amqp.channel import BrokerChannel
from adapters.transport.amqp.connection import BrokerConnection
from adapters.transport.amqp.consuming import ReceivedMessage
from adapters.transport.amqp.publishing import Outgoing, PublishResult
from adapters.transport.amqp.queues import stood
from gateway.config.connections import AmqpBackendSettings
from gateway.model.delivery import Outcome
from gateway.model.faults import printable
from gateway.model.message import SUBMISSION_KEY

_IDLE: Final = 0.2  # seconds between looks for answers that other processes have queued
_TROUBLED: Final = 2.0  # seconds after a submission could not be taken or an answer not sent
_IN_HAND: Final = 16  # prefetch: submissions delivered and not acknowledged
_TURN: Final = 64  # answers that are sent at once

log = structlog.get_logger()


class _NotTold(Exception):
    """The broker has not confirmed an answer; the text names the queue and the outcome."""


class AmqpServing:
    """Gives the submissions in the queue to `backend`, in the order of the queue. One that it refuses gets a
    technical answer that nothing was imported; one without a key is put into the dead queue with the
    reason."""

    def __init__(
        self, settings: AmqpBackendSettings, home: Path, name: str, backend: SimulatedBackend
    ) -> None:
        self._settings = settings
        self._sending = BrokerConnection(settings, home, f"{name} sending", self._begin_sending)
        self._hearing = BrokerConnection(settings, home, f"{name} hearing", self._begin_hearing)
        self._backend = backend
        self._in_hand: set[asyncio.Task[None]] = set()  # submissions and questions

    async def run(self, stop: asyncio.Event) -> None:
        """Serves until `stop`: takes what arrives, and sends answers as soon as they are due."""
        async with self._sending, self._hearing:
            while not stop.is_set():
                if await self._well():
                    await self._backend.until_due(_IDLE)
                else:
                    await asyncio.sleep(_TROUBLED)
            if self._in_hand:
                await asyncio.wait(self._in_hand)

    async def until_connected(self) -> None:
        """Waits until both connections are ready, however long that takes."""
        await self._sending.until_connected()
        await self._hearing.until_connected()

    async def _well(self) -> bool:
        """Sends all answers that are due; returns whether that succeeded."""
        try:
            while await self._tell():
                pass
        except _NotTold as trouble:
            log.error("answers not told", error=str(trouble))
            return False
        return True

    async def _begin_sending(self, channel: AbstractChannel) -> Sequence[str]:
        for queue in (self._settings.answers, dead(self._settings.submissions)):
            await stood(channel, queue)
        return ()

    async def _begin_hearing(self, channel: BrokerChannel) -> Sequence[str]:
        await channel.set_qos(prefetch_count=_IN_HAND)
        submissions = (await stood(channel, self._settings.submissions)).name
        await channel.consume(submissions, partial(self._each, self._take))
        if self._settings.questions is None:
            return (submissions,)
        questions = (await stood(channel, self._settings.questions)).name
        await channel.consume(questions, partial(self._each, self._answer))
        return submissions, questions

    def _each(
        self, act: Callable[[ReceivedMessage], Coroutine[Any, Any, None]], messages: Sequence[ReceivedMessage]
    ) -> None:
        for message in messages:
            acting = asyncio.create_task(act(message))
            self._in_hand.add(acting)
            acting.add_done_callback(self._in_hand.discard)

    async def _take(self, message: ReceivedMessage) -> None:
        try:
            await self._taken_up(message)
        except Exception as error:
            # The message is delivered again, but not at once.
            log.error("submission not taken", error=printable(repr(error)))
            await asyncio.sleep(_TROUBLED)
            message.reject(requeue=True)
        else:
            message.ack()

    async def _taken_up(self, message: ReceivedMessage) -> None:
        key = key_of(message)
        if key is None:
            await self._sent(dead(self._settings.submissions), put_aside(message, "no key in correlation_id"))
            return
        zipped = io.BytesIO(message.body)
        outcome, reason = await self._backend.submit_zip(key, zipped)
        if outcome is Outcome.NEVER:
            reason = printable(reason, 2000)
            name, body = refusal(key, reference_in(zipped), reason)
            await self._sent(self._settings.answers, answer(f"{key}/0", key, name, body))
            log.warning("refused", key=key, reason=reason)
        else:
            log.info("taken", key=key)

    async def _answer(self, question: ReceivedMessage) -> None:
        key = question.body.decode("ascii", "replace")
        is_known = SUBMISSION_KEY.fullmatch(key) and (await self._backend.ask(key))[0] is Outcome.TAKEN
        reply = word(Word.TAKEN if is_known else Word.UNKNOWN, question.correlation_id)
        # If the asker no longer waits, its reply queue is gone and the reply is lost.
        await self._sending.publish("", question.reply_to or "", reply)
        question.ack()

    async def _tell(self) -> bool:
        """Sends one batch of answers that are due; returns whether there were any."""
        due = await self._backend.answers(_TURN)
        results = await self._sending.publish_all(
            [
                Outgoing(
                    "",
                    self._settings.answers,
                    answer(f"{each.key}/{each.id}", each.key, each.name, each.body),
                )
                for each in due
            ]
        )
        sent = [
            each.id for each, result in zip(due, results, strict=True) if result is PublishResult.CONFIRMED
        ]
        await self._backend.acknowledge(sent)
        if len(sent) < len(due):
            others = sorted({*results} - {PublishResult.CONFIRMED})
            raise _NotTold(f"{self._settings.answers}: {', '.join(others)}")
        return len(due) > 0

    async def _sent(self, queue: str, message: Message) -> None:
        """Publishes a message. Raises `_NotTold` where the broker has not confirmed it."""
        became = await self._sending.publish("", queue, message)
        if became is not PublishResult.CONFIRMED:
            raise _NotTold(f"{queue}: {became}")
