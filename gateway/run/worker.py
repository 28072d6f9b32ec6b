"""The running node: it claims, judges, commits and dispatches messages, and takes in the answers of customs.

Every loop works the same way: it claims a bounded number of items from the store, does the work outside any
transaction, and commits each outcome in one transaction. A node that dies in between leaves claims that the
next one finds; no state is kept in memory only.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import structlog

from gateway.deliver.dispatcher import Dispatcher
from gateway.deliver.ports import Backend
from gateway.model.answer import Answer
from gateway.model.backoff import WHILE_THE_STORE_FAILS, Backoff
from gateway.model.blobs import BlobStore, Package, kept
from gateway.model.clock import Clock
from gateway.model.decision import Decision
from gateway.model.faults import JudgementDeferred, printable
from gateway.model.message import Arrival, Received, new_id
from gateway.model.parties import Account
from gateway.model.states import Event, State
from gateway.model.transition import Applied, Refusal
from gateway.monitor.observer import UNOBSERVED, Observer
from gateway.notify.pending_receipts import PendingReceipts
from gateway.notify.reminders import Reminders
from gateway.receive.ports import NewMessage
from gateway.respond.answer_intake import CustomsAnswers
from gateway.run.claims import LEASE, RENEW_EVERY, TAKE_OVER_EVERY, Claims
from gateway.run.ports import Judges, MessageStore, WorkerDied

CRASHES: Final = 3  # judgements of one message that may crash before it is held
# Ends of the node during judgements of one message before it is held: more, since whatever kills a node again
# and again meets sound messages, too.
NODE_ENDS: Final = 10
_SET_BACK: Final = timedelta(seconds=1)  # a smaller step is ordinary clock correction
IDLE: Final = 0.5  # seconds between polls when nothing wakes a loop
PENDING_RECEIPTS_EVERY: Final = 2.0
REMIND_EVERY: Final = 10.0
GIVE_UP_EVERY: Final = 10.0
# Bytes of packages beyond which no more is claimed than keeps the workers at work: large ones of one account,
# which take seconds each, must not lie before everybody's.
_MANY_BYTES: Final = 1024 * 1024
_ANSWERS: Final = 256  # that are taken in together: five for each declaration, whose commits they share

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """The parts of a node. `accounts` gives the account under which unsolicited messages of a back-end are
    judged, where it sends any. `unfit` returns the reason why nothing may be judged or signed at a time, if
    there is one: the node then still receives messages, and delivers what is signed already. `backoff` holds
    the pauses of each loop while it fails."""

    messages: MessageStore
    claims: Claims
    dispatch: Dispatcher
    answers: CustomsAnswers
    reminders: Reminders
    pending_receipts: PendingReceipts
    judges: Judges
    backends: Mapping[str, Backend]
    accounts: Mapping[str, str]
    blobs: BlobStore
    clock: Clock
    unfit: Callable[[datetime], str]
    backoff: Backoff = WHILE_THE_STORE_FAILS
    observer: Observer = UNOBSERVED


class Node:
    """Runs until `stop`. It is the `Intake` of the channels: a message that is added is judged at once."""

    def __init__(self, config: NodeConfig) -> None:
        self._config = config
        self._arrived = asyncio.Event()
        self._heard = asyncio.Event()
        self._stopping = asyncio.Event()
        self._judging = 0
        self._judging_bytes = 0  # the sizes of their packages
        self._small = False  # whether the messages that were claimed last were small
        self._judging_again = 0  # of these, those whose judgement began before and came to no end
        self._latest: datetime | None = None  # the last time that the clock showed
        self._at_work: set[asyncio.Task[None]] = set()

    async def add(
        self, arrival: Arrival, sender: Account | None = None, *, body: bytes | None = None
    ) -> None:
        await self._config.messages.add(arrival, sender, body=body)
        self._config.observer.received(arrival)
        self._arrived.set()

    async def add_all(self, messages: Sequence[NewMessage]) -> Sequence[BaseException | None]:
        outcomes = await self._config.messages.add_all(messages)
        for message, failure in zip(messages, outcomes, strict=True):
            if failure is None:
                self._config.observer.received(message.arrival)
        self._arrived.set()
        return outcomes

    async def run(self) -> None:
        """Takes up the work that the last node left, runs until `stop`, and returns when all work in progress
        is committed. When cancelled, it leaves that work to the next node, which finds it as after a
        crash."""
        await self._config.claims.take_over(self._config.clock(), alone=True)
        await self._config.dispatch.try_all()
        try:
            async with asyncio.TaskGroup() as loops:
                loops.create_task(self._signing(self._judge_some, self._arrived))
                loops.create_task(self._signing(self._expire_some, asyncio.Event()))
                loops.create_task(self._loop(self._end_waits, asyncio.Event()))
                loops.create_task(self._loop(self._renew_leases, asyncio.Event(), RENEW_EVERY))
                loops.create_task(self._loop(self._take_over, asyncio.Event(), TAKE_OVER_EVERY))
                loops.create_task(self._loop(self._dispatch_some, self._config.dispatch.wake))
                loops.create_task(self._loop(self._config.dispatch.give_up, asyncio.Event(), GIVE_UP_EVERY))
                # One loop for each: a back-end that does not answer must not block the others.
                for name, taken in self._config.dispatch.taken.items():
                    loops.create_task(
                        self._signing(partial(self._hear_answers, name), taken, called=f"hear_{name}")
                    )
                loops.create_task(
                    self._signing(self._config.reminders.send_some, self._heard, REMIND_EVERY, "tell_some")
                )
                loops.create_task(
                    self._signing(
                        *(self._config.pending_receipts.send_some, asyncio.Event(), PENDING_RECEIPTS_EVERY),
                        "send_pending_receipts",
                    )
                )
            if self._at_work:
                await asyncio.wait(self._at_work)
            await self._config.dispatch.idle()
        finally:
            await self._config.dispatch.break_off()

    def stop(self) -> None:
        """Ends the loops after the work in progress; what is only stored waits for the next node."""
        self._stopping.set()
        self._config.dispatch.stop()
        for woken in (self._arrived, self._heard, *self._config.dispatch.taken.values()):
            woken.set()

    async def _signing(
        self,
        work: Callable[[], Awaitable[bool]],
        wake: asyncio.Event,
        idle: float = IDLE,
        called: str | None = None,
    ) -> None:
        """Runs a loop that decides or signs; it pauses while the node is unfit for that."""

        async def fit() -> bool:
            unfit = await asyncio.to_thread(self._config.unfit, self._config.clock())
            return False if unfit else await work()

        await self._loop(fit, wake, idle, called or work.__name__.strip("_"))

    async def _loop(
        self,
        work: Callable[[], Awaitable[bool]],
        wake: asyncio.Event,
        idle: float = IDLE,
        called: str | None = None,
    ) -> None:
        name, failures = called or work.__name__.strip("_"), 0
        while not self._stopping.is_set():
            wake.clear()
            self._config.observer.ticked(name, self._config.clock())
            try:
                more = await work()
            except Exception as error:
                # The store could not be read or written: nothing is lost by trying again.
                pause = self._config.backoff.pause(failures := failures + 1)
                log.error("loop failed", work=name, error=printable(repr(error), 500), again_in=pause)
                await _until(self._stopping, pause)
                continue
            failures = 0
            if not more:
                await _either(wake, self._stopping, idle)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)

    async def _judge_some(self) -> bool:
        slots = self._config.judges.slots
        free = slots - self._judging
        # The end of a judgement wakes this loop. It claims several at a time, since the others keep the
        # workers at work meanwhile.
        few = 2 * self._config.judges.workers
        if free < max(1, slots // 4) or (self._judging >= few and self._judging_bytes >= _MANY_BYTES):
            return False
        # What broke off may have broken the node: no more of it than is judged at the same time, so that
        # another crash counts against nothing that was only waiting for a worker.
        again = max(0, self._config.judges.workers - self._judging_again)
        # Sizes are known when a message is claimed: more are claimed at once after the last ones were small.
        at_once = min(free, max(few, slots // 2) if self._small else few)
        claimed = await self._config.messages.claim(at_once, self._config.clock(), LEASE, again=again)
        if claimed:
            self._small = sum(received.arrival.size for received in claimed) < _MANY_BYTES
        self._judging += len(claimed)
        self._judging_bytes += sum(received.arrival.size for received in claimed)
        self._judging_again += sum(received.attempts > 1 for received in claimed)
        for received in claimed:
            self._start(self._judge(received))
        return len(claimed) > 0

    async def _end_waits(self) -> bool:
        """Ends waits that a fast clock wrote: at the start, and when the clock was set back since the last
        round. Always False, so that the loop rests between rounds."""
        now = self._config.clock()
        set_back = self._latest is None or now < self._latest - _SET_BACK
        self._latest = now
        if set_back and (freed := await self._config.messages.end_waits(now, LEASE)):
            log.warning("the clock was set back; what waited goes on", count=freed)
            self._arrived.set()
            self._config.dispatch.wake.set()
        return False

    async def _take_over(self) -> bool:
        if await self._config.claims.take_over(self._config.clock()):
            self._arrived.set()
            self._config.dispatch.wake.set()
        return False

    async def _renew_leases(self) -> bool:
        await self._config.claims.renew(self._config.clock())
        return False

    async def _expire_some(self) -> bool:
        expired = await self._config.messages.expire(self._config.clock())
        if expired:
            self._arrived.set()
        return expired > 0

    async def _judge(self, received: Received) -> None:
        messages, now = self._config.messages, self._config.clock()
        message = received.arrival.id
        try:
            decision = await self._decision(received, now)
            decided = self._config.clock()
            outcome = await messages.decide(decision, decided)
        except JudgementDeferred as deferred:
            await self._put_back(received, now + timedelta(seconds=deferred.seconds), crashed=False)
        except WorkerDied:
            await self._put_back(received, now, crashed=True)
        except Exception as error:
            # The store did not take the decision: tried again soon, and held if it never does.
            log.error("decision not written", message=message, error=type(error).__name__)
            await self._put_back(received, now + timedelta(seconds=1), crashed=True)
        else:
            match outcome:
                case Applied(state):
                    self._config.observer.judged(received, decision, state, decided)
                    self._report(received, decision, state)
                    if state is State.ACCEPTED:
                        self._config.dispatch.wake.set()
                case Refusal.SUPERSEDED:
                    await self._put_back(received, now, crashed=False)
                case Refusal.LATE:
                    log.warning("decision came too late", message=message, attempt=received.attempts)
        finally:
            self._judging -= 1
            self._judging_bytes -= received.arrival.size
            self._judging_again -= received.attempts > 1
            self._arrived.set()

    async def _put_back(self, received: Received, not_before: datetime, *, crashed: bool) -> None:
        """Puts a message back to be judged again. Retries until the store can write it: nobody else would
        take the message up before its lease ends, which may be long after a full disk has room again."""
        message, failures = received.arrival.id, 0
        while True:
            try:
                await self._config.messages.put_back(received, not_before, crashed=crashed)
                return
            except Exception as error:
                why, pause = type(error).__name__, self._config.backoff.pause(failures := failures + 1)
                log.error("message not put back", message=message, error=why, again_in=pause)
            if self._stopping.is_set():
                return
            await _until(self._stopping, pause)

    async def _decision(self, received: Received, now: datetime) -> Decision:
        """The judgement, or the decision to hold a message whose judgement failed by our own fault."""
        if received.attempts > NODE_ENDS:
            return _failed(received, f"{NODE_ENDS} judgements of it came to no end")
        try:
            return await self._config.judges.judge(received, now)
        except WorkerDied as died:
            log.error(
                "judgement crashed",
                message=received.arrival.id,
                attempt=received.attempts,
                error=str(died),
            )
            if received.attempts < CRASHES:
                raise
            return _failed(received, f"{received.attempts} judgements of it crashed; the last: {died}")
        except JudgementDeferred:
            raise
        except Exception as error:
            log.error("judgement failed", message=received.arrival.id, error=printable(str(error), 2000))
            return _failed(received, f"judgement failed: {type(error).__name__}")

    def _report(self, received: Received, decision: Decision, state: State) -> None:
        log.info(
            "judged",
            message=received.arrival.id,
            account=received.arrival.account,
            state=state.value,
            faults=sorted({found.code for found in decision.findings}),
        )

    async def _dispatch_some(self) -> bool:
        return await self._config.dispatch.turn()

    async def _hear_answers(self, name: str) -> bool:
        heard = await self._hear(name, self._config.backends[name])
        if heard:
            self._heard.set()
        return heard

    async def _hear(self, name: str, backend: Backend) -> bool:
        said = await backend.answers(_ANSWERS)
        if said:
            own = await self._config.answers.take_in(name, said, speaks=name in self._config.accounts)
            for message in own:
                package = await asyncio.to_thread(kept, message.body, self._config.blobs)
                await self.add(self._arrival(name, message, package), body=package.body)
            await backend.acknowledge([each.id for each in said])
        return len(said) > 0

    def _arrival(self, backend: str, message: Answer, package: Package) -> Arrival:
        """Of an unsolicited message. If it is sent again, it is judged like any duplicate."""
        now = self._config.clock()
        return Arrival(
            id=new_id(now, random.randbytes(10)),  # noqa: S311  tells two of one moment apart, no secret
            account=self._config.accounts[backend],
            channel="backend",
            name=message.name,
            sha256=package.sha256,
            size=package.size,
            received_at=now,
        )


def _failed(received: Received, reason: str) -> Decision:
    return Decision(
        message=received.arrival.id,
        attempt=received.attempts,
        fence=received.fence,
        event=Event.FAILED,
        reason=reason,
    )


async def _until(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


async def _either(first: asyncio.Event, second: asyncio.Event, seconds: float) -> None:
    waits = [asyncio.ensure_future(first.wait()), asyncio.ensure_future(second.wait())]
    with contextlib.suppress(TimeoutError):
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
