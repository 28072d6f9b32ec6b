"""Customs being down, slow, or of two minds, in simulated time: the real outbox and the reference customs."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Final

import pytest
from sqlalchemy import update

from adapters.backends.rest import Rest
from adapters.sandbox.customs.customs import ReferenceCustoms
from adapters.store.tables.messages import deliveries, events, receipts
from adapters.store.tables.operations import destinations
from adapters.store.tables.queues import to_judge
from adapters.store.write.answers import SqlAnswers
from adapters.store.write.deliveries import SqlOutbox
from adapters.store.write.destinations import SqlBackendActs, SqlDestinations
from adapters.store.write.document_requests import SqlDocumentRequests
from adapters.store.write.pending_receipts import SqlPendingReceipts
from adapters.store.write.take_over import SqlClaims
from gateway.deliver.dispatcher import DOWN_AFTER, DispatchConfig, Dispatcher
from gateway.deliver.ports import Backend
from gateway.deliver.rate_limit import RateLimits
from gateway.model.answer import Answer
from gateway.model.circuit_breaker import BreakerState
from gateway.model.delivery import Outcome
from gateway.model.message import Receipt, ReceiptKind, Submission
from gateway.model.states import DeliveryState, State
from gateway.notify.pending_receipts import PendingReceipts
from gateway.notify.reminders import Reminders
from gateway.operate.backends import pause, resume, try_now
from gateway.respond.answer_intake import CustomsAnswers
from gateway.run.worker import Node, NodeConfig
from tests.support.acts import hold, replay
from tests.support.declarations import INVOICE, Declaration, Document, owing_nothing
from tests.support.harness import NOW, Harness
from tests.support.pdfs import pdf
from tests.support.receipts import NS, read_gateway_receipt
from tests.support.rendering import packed, render

SECOND: Final = timedelta(seconds=1)
ACCOUNT: Final = "broker-aa"
WITHIN: Final = 120.0  # seconds of real time for what the node does by itself


@dataclass
class Clock:
    now: datetime = NOW + timedelta(hours=1)

    def __call__(self) -> datetime:
        # Never the same twice, as a real one: receipts are named by it.
        self.now += timedelta(microseconds=1)
        return self.now


@dataclass
class SwitchedBackend:
    """A back-end behind a switch: what `says` gives instead of handing over, in turn, then `always`. TAKEN
    hands over; with `silent` it does and then gives no word, as where the connection breaks."""

    behind: Backend
    clock: Clock
    says: list[Outcome] = field(default_factory=list)
    always: Outcome = Outcome.TAKEN
    silent: int = 0
    tried: list[tuple[datetime, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    cannot_be_asked: str = ""
    open: asyncio.Event | None = None  # nothing comes back before it is set

    async def submit(self, submission: Submission, opened: Callable[[str], IO[bytes]]) -> tuple[Outcome, str]:
        self.tried.append((self.clock.now, submission.key))
        if self.open is not None:
            await self.open.wait()
        outcome = self.says.pop(0) if self.says else self.always
        if outcome is not Outcome.TAKEN:
            return outcome, "connection refused"
        result = await self.behind.submit(submission, opened)
        if self.silent:
            self.silent -= 1
            raise TimeoutError
        return result

    async def ask(self, key: str) -> tuple[Outcome | None, str]:
        self.asked.append(key)
        if self.cannot_be_asked:
            return Outcome.UNKNOWN, self.cannot_be_asked
        return await self.behind.ask(key)

    async def answers(self, limit: int) -> Sequence[Answer]:
        if self.open is not None:
            await self.open.wait()
        return await self.behind.answers(limit)

    async def acknowledge(self, ids: Sequence[str]) -> None:
        await self.behind.acknowledge(ids)


@dataclass
class World:
    """A harness whose declarations go to `customs` and, where a route says so, to `other`."""

    harness: Harness
    clock: Clock
    customs: SwitchedBackend
    other: SwitchedBackend
    limits: dict[str, RateLimits] = field(default_factory=dict)
    dispatch: Dispatcher = field(init=False)

    def __post_init__(self) -> None:
        self.started()

    def started(self) -> None:
        """As after a start: what was in memory is gone."""
        self.dispatch = Dispatcher(
            DispatchConfig(
                outbox=SqlOutbox(self.harness.database, timedelta(hours=24)),
                destinations=SqlDestinations(self.harness.database),
                backends={"customs": self.customs, "other": self.other},
                limits=self.limits,
                budget=timedelta(hours=72),
                blobs=self.harness.blobs,
                clock=self.clock,
            )
        )

    def sent(self, *references: str) -> list[str]:
        """Accepted declarations; the ids of their messages."""
        documents = (Document(code=INVOICE, body=pdf()),)
        bodies = [packed(Declaration(reference=reference, documents=documents)) for reference in references]
        decisions = [self.harness.judged(ACCOUNT, f"{n}.zip", body) for n, body in enumerate(bodies)]
        assert all(decision.submissions for decision in decisions)
        return [decision.message for decision in decisions]

    async def turn(self) -> None:
        """All that may go now is handed over, and what follows from that at once."""
        while await self.dispatch.turn():
            await self.dispatch.idle()
        await self.dispatch.idle()

    def passes(self, time: timedelta, step: timedelta = SECOND) -> None:
        async def steps() -> None:
            end = self.clock.now + time
            while self.clock.now < end:
                self.clock.now += step
                await self.turn()

        asyncio.run(steps())

    def states(self) -> Counter[str]:
        return Counter(row["state"] for row in self.harness.rows(deliveries))

    def effects(self, name: str = "customs") -> Counter[str]:
        """How often each submission key was declared at a customs."""
        path = self.harness.home.path / "backends" / name / "customs.db"
        with closing(sqlite3.connect(path)) as database:
            return Counter(key for (key,) in database.execute("SELECT key FROM submissions"))

    def verdicts(self, message: str) -> list[tuple[str, bool]]:
        rows = self.harness.rows(receipts, message=message, kind="gateway")
        return [(row["verdict"], row["final"]) for row in rows]

    def breaker(self, name: str = "customs") -> str:
        ((row),) = self.harness.rows(destinations, name=name)
        return str(row["breaker"])

    def node(self) -> Node:
        harness, clock = self.harness, self.clock
        answer_store = SqlAnswers(harness.database, clock)
        policy = harness.rules.policy
        return Node(
            NodeConfig(
                unfit=lambda _now: "",
                messages=harness.messages,
                claims=SqlClaims(harness.database),
                dispatch=self.dispatch,
                answers=CustomsAnswers(answer_store, harness.judges, clock),
                reminders=Reminders(
                    SqlDocumentRequests(harness.database), harness.register, harness.judges, policy, clock
                ),
                pending_receipts=PendingReceipts(
                    SqlPendingReceipts(harness.database),
                    harness.judges,
                    self.dispatch.down,
                    DOWN_AFTER,
                    clock,
                ),
                judges=harness.judges,
                backends={"customs": self.customs, "other": self.other},
                accounts={},
                blobs=harness.blobs,
                clock=clock,
            )
        )

    def served_until(self, condition: Callable[[], bool], during: Callable[[], None] | None = None) -> None:
        """A node serves until the condition holds."""

        async def serve() -> None:
            node = self.node()
            work = asyncio.create_task(node.run())
            try:
                await _until(condition)
                if during is not None:
                    during()
            finally:
                node.stop()
                await work

        asyncio.run(serve())


async def _until(condition: Callable[[], bool]) -> None:
    async def poll() -> None:
        while not condition():
            await asyncio.sleep(0.02)

    await asyncio.wait_for(poll(), WITHIN)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with Harness.at(tmp_path / "home") as harness:
        clock = Clock()
        pem = harness.home.certificate.read_text()
        folder = harness.home.path / "backends"
        with (
            closing(ReferenceCustoms(folder / "customs", pem, clock)) as customs,
            closing(ReferenceCustoms(folder / "other", pem, clock)) as other,
        ):
            yield World(harness, clock, SwitchedBackend(customs, clock), SwitchedBackend(other, clock))


def routed(world: World, **changes: object) -> None:
    """What is accepted from now on goes by routes that are changed so."""
    rules = world.harness.rules
    changed = tuple(
        route.model_copy(update=changes) if route.backend == "customs" else route
        for route in rules.routes.route
    )
    world.harness.rules = replace(rules, routes=rules.routes.model_copy(update={"route": changed}))


def test_an_hour_of_customs_being_down_costs_some_probes_and_no_delivery_an_attempt_too_many(
    world: World,
) -> None:
    messages = world.sent(*(f"DOWN{number}" for number in range(12)))
    world.customs.always = Outcome.LATER
    world.passes(timedelta(hours=1), timedelta(seconds=5))
    assert world.states() == {DeliveryState.PENDING: 12}
    assert world.breaker() == BreakerState.OPEN
    # 12 at most before it opened; then probes, the last ones a minute apart.
    assert 60 <= len(world.customs.tried) <= 12 + 6 + 60
    assert all(row["attempts"] <= 2 for row in world.harness.rows(deliveries))

    world.served_until(lambda: all(("waiting", False) in world.verdicts(message) for message in messages))
    world.started()  # also a node that starts now knows that customs is down
    before = len(world.customs.tried)
    asyncio.run(world.turn())
    assert len(world.customs.tried) <= before + 1

    world.customs.always = Outcome.TAKEN
    world.passes(timedelta(minutes=6))
    assert world.states() == {DeliveryState.DELIVERED: 12}
    assert world.breaker() == BreakerState.CLOSED
    assert world.effects() == dict.fromkeys(messages, 1)
    for message in messages:
        assert world.verdicts(message) == [("accepted", True), ("waiting", False)]


def test_the_receipt_of_what_waits_says_since_when_in_both_languages(world: World) -> None:
    (message,) = world.sent("DOWN1")
    world.customs.always = Outcome.LATER
    world.passes(timedelta(minutes=2))
    world.served_until(lambda: ("waiting", False) in world.verdicts(message))
    receipt_rows = world.harness.rows(receipts, message=message, verdict="waiting")[0]
    assert receipt_rows["account"] == ACCOUNT
    own_receipt = Receipt(
        account=ACCOUNT, name=receipt_rows["name"], kind=ReceiptKind.GATEWAY, body=receipt_rows["body"]
    )
    root = read_gateway_receipt(world.harness, own_receipt)
    (fault,) = root.findall("g:Faults/g:Fault", NS)
    assert (fault.get("code"), fault.get("severity")) == ("customs-unreachable", "warning")
    text = "".join(text.text or "" for text in fault.findall("g:Text", NS))
    assert "2026-11-23 13:00+08:00" in text
    assert "北京时间2026年11月23日13:00" in text


def test_the_drain_after_an_outage_is_slow_at_first_and_never_above_the_rate(world: World) -> None:
    world.limits["customs"] = RateLimits(at_once=4, rate=2)
    world.started()
    world.sent(*(f"RATE{number}" for number in range(12)))
    world.customs.always = Outcome.LATER
    world.passes(timedelta(minutes=5), timedelta(seconds=5))
    world.customs.always, world.customs.tried = Outcome.TAKEN, []
    world.passes(timedelta(minutes=6), SECOND / 2)
    assert world.states() == {DeliveryState.DELIVERED: 12}
    times = [at for at, _key in world.customs.tried]
    for first in times:
        assert sum(first <= at < first + SECOND for at in times) <= 4  # two a second, and two saved up


def test_a_submission_that_was_taken_without_an_answer_is_queried_and_has_one_effect(world: World) -> None:
    (message,) = world.sent("SILENT1")
    world.customs.silent = 1
    asyncio.run(world.turn())
    assert world.states() == {DeliveryState.UNKNOWN: 1}
    world.passes(timedelta(seconds=5))
    assert world.states() == {DeliveryState.DELIVERED: 1}
    assert world.customs.asked == [message]
    assert len(world.customs.tried) == 1
    assert world.effects() == {message: 1}


def test_a_storm_of_replays_has_one_submission_key_and_one_effect(world: World) -> None:
    (message,) = world.sent("STORM1")
    world.customs.silent = 1
    asyncio.run(world.turn())
    database = world.harness.database
    for number in range(100):
        database.submit(lambda to: hold(to, message, "op", "storm", world.clock())).result()
        database.submit(lambda to: replay(to, message, "op", "storm", world.clock())).result()
        if number % 10 == 0:
            world.customs.says = [Outcome.LATER]
    world.passes(timedelta(minutes=1))
    assert [row["key"] for row in world.harness.rows(deliveries)] == [message]
    assert world.effects() == {message: 1}
    assert world.harness.message(message)["state"] == State.DELIVERED
    assert world.verdicts(message) == [("accepted", True)]


def test_answers_that_are_given_again_and_again_are_relayed_once(world: World) -> None:
    (message,) = world.sent("TWICE1")

    async def forgets(ids: Sequence[str]) -> None:
        """It gives the same answers again."""

    world.customs.acknowledge = forgets  # type: ignore[method-assign]  # a back-end that forgets
    rounds = [0]

    def answered() -> bool:
        rounds[0] += 1
        return rounds[0] > 50 and bool(world.harness.message(message)["customs_status"] == "closed")

    world.served_until(answered)
    rows = world.harness.rows(receipts, message=message)
    relayed = Counter((row["account"], row["body"]) for row in rows)
    assert set(relayed.values()) == {1}


def test_a_delivery_to_a_back_end_that_is_down_goes_to_the_alternative_and_never_to_both(
    world: World,
) -> None:
    routed(world, failover=("other",))
    unsure, *others = world.sent("OVER1", "OVER2", "OVER3")
    world.customs.always = Outcome.LATER
    world.customs.says = [Outcome.UNKNOWN]
    world.passes(timedelta(seconds=60))
    assert world.breaker() == BreakerState.OPEN
    assert world.effects("other") == dict.fromkeys(others, 1)
    assert world.effects() == {}
    by_message = {row["message"]: row for row in world.harness.rows(deliveries)}
    assert by_message[unsure]["destination"] == "customs"  # it may be there
    for message in others:
        assert [row["event"] for row in world.harness.rows(events, message=message)][-2:] == [
            "diverted",
            "taken",
        ]
        assert world.harness.message(message)["state"] == State.DELIVERED
    world.customs.always = Outcome.TAKEN
    world.passes(timedelta(minutes=6))
    assert world.effects() == {unsure: 1}
    assert world.effects("other") == dict.fromkeys(others, 1)


def test_a_delivery_that_fails_for_three_days_is_held_with_the_reason_and_its_sender_is_notified(
    world: World,
) -> None:
    (message,) = world.sent("BUDGET1")
    world.customs.always = Outcome.DENIED
    world.passes(timedelta(hours=71), timedelta(minutes=30))
    asyncio.run(_once(world.dispatch.give_up))
    assert world.states() == {DeliveryState.PENDING: 1}
    world.passes(timedelta(hours=2), timedelta(minutes=30))
    asyncio.run(_once(world.dispatch.give_up))
    assert world.states() == {DeliveryState.HELD: 1}
    row = world.harness.message(message)
    assert row["state"] == State.HELD
    assert row["reason"]
    world.clock.now += timedelta(minutes=6)
    world.served_until(lambda: ("held", False) in world.verdicts(message))
    assert world.verdicts(message).count(("accepted", True)) == 1


async def _once(work: Callable[[], Awaitable[bool]]) -> bool:
    return await work()


def test_a_busy_back_end_is_sent_less_and_uses_up_no_attempt(world: World) -> None:
    world.sent("BUSY1")
    world.customs.says = [Outcome.BUSY] * 7
    world.passes(timedelta(minutes=5))
    assert world.states() == {DeliveryState.DELIVERED: 1}
    assert [row["attempts"] for row in world.harness.rows(deliveries)] == [1]
    assert all(row["breaker"] == BreakerState.CLOSED for row in world.harness.rows(destinations))


def test_a_back_end_that_hangs_delays_neither_what_goes_to_another_nor_its_answers(world: World) -> None:
    world.sent("HANG1")
    routed(world, backend="other")
    (other,) = world.sent("RELEASED1")
    world.customs.open = hangs = asyncio.Event()

    def answered() -> bool:
        return bool(world.harness.message(other)["customs_status"] != "none")

    world.served_until(answered, during=hangs.set)
    assert world.effects("other") == {other: 1}


def test_a_pause_stops_what_goes_out_and_its_end_lets_it_go(world: World) -> None:
    database, now = world.harness.database, world.clock.now
    pause(SqlBackendActs(database), "customs", "op", "maintenance", now)
    (message,) = world.sent("PAUSE1")
    world.passes(timedelta(minutes=1))
    assert world.customs.tried == []
    world.served_until(lambda: ("waiting", False) in world.verdicts(message))
    resume(SqlBackendActs(database), "customs", "op", "done", now)
    world.passes(SECOND)
    assert world.effects() == {message: 1}


@pytest.mark.parametrize("outcome", [Outcome.LATER, Outcome.DENIED])
@pytest.mark.parametrize("how", ["tried", "resumed", "restarted"])
def test_a_repaired_back_end_is_tried_at_once_after_a_resume_or_a_restart(
    world: World, outcome: Outcome, how: str
) -> None:
    messages = world.sent(*(f"MEND{number}" for number in range(6)))
    world.customs.always = outcome
    world.passes(timedelta(minutes=20), timedelta(seconds=30))
    assert world.breaker() == BreakerState.OPEN
    world.customs.always = Outcome.TAKEN
    asyncio.run(world.turn())
    attempts = len(world.customs.tried)
    database, now = world.harness.database, world.clock.now
    match how:
        case "tried":
            rest = Rest(world.harness.home.path)
            try_now(SqlBackendActs(database), rest, "customs", "tests", "mended", now)
        case "resumed":
            pause(SqlBackendActs(database), "customs", "tests", "looked at", now)
            resume(SqlBackendActs(database), "customs", "tests", "mended", now)
        case _:
            world.started()
            asyncio.run(world.dispatch.try_all())
    world.passes(2 * SECOND)
    assert len(world.customs.tried) > attempts
    assert world.states() == {DeliveryState.DELIVERED: 6}
    assert world.effects() == dict.fromkeys(messages, 1)


def test_why_a_question_failed_stands_in_the_delivery_and_at_the_breaker(world: World) -> None:
    (message,) = world.sent("ASKED1")
    world.customs.silent = 1
    asyncio.run(world.turn())
    world.customs.cannot_be_asked = "HTTP 401: no certificate"
    world.passes(timedelta(seconds=30))
    (row,) = world.harness.rows(deliveries, message=message)
    assert (row["state"], row["note"]) == ("unknown", "asked by key: HTTP 401: no certificate")
    (rows,) = world.harness.rows(destinations, name="customs")
    assert rows["note"] == "asked by key: HTTP 401: no certificate"


def test_a_clock_that_is_set_back_while_the_node_runs_makes_nothing_wait_for_it(world: World) -> None:
    ahead = world.clock.now + timedelta(hours=1)
    message = world.harness.received(ACCOUNT, "R1.xml", render(owing_nothing("R1"))).arrival.id

    async def serve() -> None:
        world.clock.now = ahead
        node = world.node()
        work = asyncio.create_task(node.run())
        try:
            await _until(lambda: node._latest is not None)  # it knows what the clock says
            world.clock.now = ahead - timedelta(hours=1)
            await _until(lambda: world.harness.message(message)["state"] != State.RECEIVED)
        finally:
            node.stop()
            await work

    with world.harness.database.engine.begin() as connection:
        connection.execute(update(to_judge).values(lease_until=None, due_at=ahead + timedelta(minutes=5)))
    asyncio.run(serve())
    assert world.harness.message(message)["state"] in (State.ACCEPTED, State.DELIVERED, State.CLOSED)
