"""Delivers accepted messages to their destinations, each at its own pace, none waiting for another.

A turn looks up which destinations have waiting submissions, asks the breaker and the rate limit of each how
many may go, and claims that many; each submission is then sent by its own task. `retry` decides what an
outcome means for the delivery, `circuit_breaker` and `rate_limit` what it means for the destination.
"""

import asyncio
import random
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from gateway.deliver.ports import Backend, Destinations, Outbox
from gateway.deliver.rate_limit import RateLimit, RateLimits
from gateway.deliver.retry import FAILING, NextAttempt, next_step
from gateway.model.backoff import WHILE_THE_STORE_FAILS, Backoff
from gateway.model.blobs import BlobStore
from gateway.model.circuit_breaker import BreakerState, CircuitBreaker, Pause
from gateway.model.clock import Clock
from gateway.model.delivery import Outcome, Outgoing
from gateway.model.faults import printable
from gateway.monitor.observer import UNOBSERVED, Observer

DOWN_AFTER: Final = timedelta(seconds=5)  # before a destination is reported down, or others take over
_UNLIMITED: Final = RateLimits(at_once=8)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchConfig:
    """The back-ends, and the limits of those that have any. `budget` is how long a delivery is tried;
    `backoff` holds the pauses while an outcome cannot be written."""

    outbox: Outbox
    destinations: Destinations
    backends: Mapping[str, Backend]
    limits: Mapping[str, RateLimits]
    budget: timedelta
    blobs: BlobStore
    clock: Clock
    backoff: Backoff = WHILE_THE_STORE_FAILS
    observer: Observer = UNOBSERVED


@dataclass(slots=True)
class _Lane:
    """The state of one destination in this node."""

    breaker: CircuitBreaker
    rate_limit: RateLimit
    at_work: int = 0
    pause: Pause | None = None

    def free(self, now: datetime) -> int:
        if self.pause is not None:
            return 0
        if self.breaker.closed:
            return self.rate_limit.free(self.at_work, now)
        return 1 if self.breaker.may_probe(now) else 0

    def down_since(self) -> datetime | None:
        if self.pause is not None:
            return self.pause.at
        return None if self.breaker.closed else self.breaker.since


class Dispatcher:
    """`wake` is set when there may be something to do; `taken` has an event for each back-end, which is set
    when the back-end took a submission and may answer."""

    def __init__(self, config: DispatchConfig) -> None:
        self._config = config
        self._lanes: dict[str, _Lane] = {}
        self._at_work: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self.wake = asyncio.Event()
        self.taken = {name: asyncio.Event() for name in config.backends}

    async def try_all(self) -> None:
        """Makes everything that waits due now. Called before serving."""
        await self._config.outbox.try_all(self._config.clock())

    def stop(self) -> None:
        self._stopping.set()
        self.wake.set()

    async def idle(self) -> None:
        """Returns when no submission is under way."""
        while self._at_work:
            await asyncio.wait(self._at_work)

    async def break_off(self) -> None:
        """Cancels the submissions under way; the next node finds them and asks what became of them."""
        for task in (tasks := list(self._at_work)):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def down(self, now: datetime) -> Mapping[str, datetime]:
        """The destinations that have been down for `DOWN_AFTER`: by name, since when."""
        since = {name: lane.down_since() for name, lane in self._lanes.items()}
        return {name: at for name, at in since.items() if at is not None and now - at >= DOWN_AFTER}

    async def turn(self) -> bool:
        """Sends what may go now; returns whether there may be more to send at once."""
        now, more, waits = self._config.clock(), False, list[float]()
        await self._look()
        for name in await self._config.outbox.destinations():
            lane = self._lane(name)
            free = lane.free(now)
            claimed = await self._config.outbox.claim(name, free, now) if free else ()
            if claimed:
                # No await in between: a submission that is claimed but not started would have no owner.
                probe = not lane.breaker.closed
                lane.rate_limit = lane.rate_limit.handed(len(claimed), now)
                lane.at_work += len(claimed)
                for delivery in claimed:
                    self._start(self._deliver(name, lane, delivery, probe))
                if probe:
                    lane.breaker = lane.breaker.probing()
                    await self._write(name, lane)
                more = True
            elif free == 0 and lane.breaker.closed and (wait := lane.rate_limit.wait(now)):
                waits.append(wait)
        if waits:
            asyncio.get_running_loop().call_later(min(waits), self.wake.set)
        return await self._divert(now) or more

    async def give_up(self) -> bool:
        """Holds deliveries whose time for retries is over; returns whether there may be more."""
        config, now = self._config, self._config.clock()
        since = now - config.budget
        given_up = 0
        for name in await config.outbox.destinations():
            lane = self._lanes.get(name)
            last = "" if lane is None or not lane.breaker.note else f"; last: {lane.breaker.note}"
            note = f"not handed over within {config.budget / timedelta(hours=1):g} hours{last}"
            given_up += await config.outbox.give_up(name, since, note, now)
        return given_up > 0

    async def _look(self) -> None:
        """Reads the stored state of destinations: breakers, as the last node left them, and pauses."""
        now, statuses = self._config.clock(), await self._config.destinations.statuses()
        for name, (breaker, pause) in statuses.items():
            if name not in self._lanes:
                lane = self._lanes[name] = self._new(name, breaker.taken_over(now), now)
                lane.rate_limit = lane.rate_limit if breaker.closed else lane.rate_limit.slow()
            lane = self._lanes[name]
            lane.pause = pause
            if lane.breaker.state is BreakerState.OPEN and _sooner(breaker, lane.breaker):
                lane.breaker = breaker  # an operator asked for a try

    def _lane(self, name: str) -> _Lane:
        if name not in self._lanes:
            now = self._config.clock()
            self._lanes[name] = self._new(name, CircuitBreaker.new(now), now)
        return self._lanes[name]

    def _new(self, name: str, breaker: CircuitBreaker, now: datetime) -> _Lane:
        return _Lane(
            breaker=breaker, rate_limit=RateLimit.full(self._config.limits.get(name, _UNLIMITED), now)
        )

    async def _divert(self, now: datetime) -> bool:
        down = self.down(now)
        usable = {
            name
            for name in self._config.backends
            if (lane := self._lanes.get(name)) is None or lane.down_since() is None
        }
        moved = 0
        for name, since in down.items():
            note = f"{name} is down or paused since {since.isoformat(timespec='seconds')}"
            moved += await self._config.outbox.divert(name, usable, note, now)
        return moved > 0

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)

    async def _deliver(self, name: str, lane: _Lane, delivery: Outgoing, probe: bool) -> None:
        try:
            began_at = self._config.clock()
            outcome, reason, unsure = await self._attempt(delivery)
            note, now = printable(reason, 500), self._config.clock()
            self._config.observer.attempted(delivery, outcome, began_at, now)
            step = next_step(
                outcome,
                delivery.attempts,
                now,
                random.random(),  # noqa: S311  spreads retries, no secret
                until=delivery.since + self._config.budget,
                probe=probe,
                unsure=unsure,
            )
            if step.note:
                note = f"{step.note}: {note}"
            await self._settle(delivery, step, note, now, unsure=unsure)
        finally:
            lane.at_work -= 1
        await self._learn(name, lane, outcome, note, now, probe)
        log.info("dispatched", message=delivery.message, to=name, outcome=outcome.value)
        if outcome is Outcome.TAKEN and name in self.taken:
            self.taken[name].set()
        self.wake.set()

    async def _learn(
        self, name: str, lane: _Lane, outcome: Outcome, note: str, now: datetime, probe: bool
    ) -> None:
        """What an outcome says of its destination."""
        before = lane.breaker
        if outcome in FAILING:
            lane.breaker = before.failed(note, now, probe=probe)
        else:
            lane.breaker = before.worked(now)
            lane.rate_limit = (
                lane.rate_limit.busy(now) if outcome is Outcome.BUSY else lane.rate_limit.taken()
            )
        if lane.breaker == before:
            return
        if not lane.breaker.closed:
            lane.rate_limit = lane.rate_limit.slow()
        if lane.breaker.closed != before.closed:
            log.warning("breaker turned", backend=name, state=lane.breaker.state.value, note=note)
        await self._write(name, lane)

    async def _write(self, name: str, lane: _Lane) -> None:
        try:
            await self._config.destinations.turned(name, lane.breaker)
        except Exception as error:
            # It is known here, and written with the next change.
            log.error("breaker not written", backend=name, error=type(error).__name__)

    async def _settle(
        self, delivery: Outgoing, step: NextAttempt, note: str, now: datetime, *, unsure: bool
    ) -> None:
        """Writes the outcome, again and again until the store accepts it. If the node stops before, the next
        one asks the back-end."""
        failures = 0
        while True:
            try:
                if not await self._config.outbox.settle(
                    delivery, step.state, note, now, step.next_at, unsure=unsure, counted=step.counted
                ):
                    log.warning("outcome came too late", message=delivery.message, fence=delivery.fence)
                return
            except Exception as error:
                why, pause = type(error).__name__, self._config.backoff.pause(failures := failures + 1)
                log.error("outcome not written", message=delivery.message, error=why, again_in=pause)
            if self._stopping.is_set():
                return
            await _pause(self._stopping, pause)

    async def _attempt(self, delivery: Outgoing) -> tuple[Outcome, str, bool]:
        """The outcome, its reason, and whether customs may have the submission without having confirmed it.
        If an earlier attempt may have reached customs, only customs' answer to a question can rule that out;
        the failure of this attempt says nothing about the earlier one."""
        submission, unsure, submitted = delivery.submission, delivery.unsure, False
        backend = self._config.backends.get(submission.destination)
        if backend is None:
            return Outcome.LATER, f"no back-end is named {submission.destination}", unsure
        try:
            if delivery.unknown:
                answer, why = await backend.ask(submission.key)
                if answer not in (Outcome.LATER, None):
                    note = f"asked by key: {why}" if why else "asked by key"
                    return answer, note, unsure and answer is not Outcome.TAKEN
                unsure = unsure and answer is None
            submitted = True
            outcome, note = await backend.submit(submission, self._config.blobs.open)
        except Exception as error:
            log.error("back-end failed", backend=submission.destination, error=printable(str(error), 500))
            return Outcome.UNKNOWN, type(error).__name__, unsure or submitted
        if outcome is Outcome.TAKEN:
            return outcome, note, False
        return outcome, note, unsure or outcome is Outcome.UNKNOWN


def _sooner(stored: CircuitBreaker, ours: CircuitBreaker) -> bool:
    return stored.probe_at is not None and (ours.probe_at is None or stored.probe_at < ours.probe_at)


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return
