"""What fails waits longer each time, within a bound, and goes on by itself once it can."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from adapters.sandbox.customs.customs import ReferenceCustoms
from adapters.store.tables.messages import deliveries, messages
from adapters.store.write.answers import SqlAnswers
from adapters.store.write.deliveries import SqlOutbox
from adapters.store.write.destinations import SqlDestinations
from adapters.store.write.document_requests import SqlDocumentRequests
from adapters.store.write.pending_receipts import SqlPendingReceipts
from adapters.store.write.take_over import SqlClaims
from gateway.deliver.dispatcher import DOWN_AFTER, DispatchConfig, Dispatcher
from gateway.deliver.ports import Backend
from gateway.model.backoff import Backoff
from gateway.model.blobs import Package
from gateway.model.decision import Decision
from gateway.model.message import Arrival, Received, new_id
from gateway.model.states import DeliveryState, State
from gateway.monitor.observer import Observers
from gateway.notify.pending_receipts import PendingReceipts
from gateway.notify.reminders import Reminders
from gateway.respond.answer_intake import CustomsAnswers
from gateway.run.worker import Node, NodeConfig
from tests.deliver.test_customs_down import Clock, SwitchedBackend
from tests.support.declarations import INVOICE, Declaration, Document
from tests.support.harness import Harness
from tests.support.pdfs import pdf
from tests.support.rendering import packed

WITHIN: Final = 120.0
BACKOFF: Final = Backoff(first=0.01, longest=0.08)
PAUSES: Final = [0.01, 0.02, 0.04, 0.08, 0.08, 0.08, 0.08]
DECLARED: Final = Declaration(documents=(Document(code=INVOICE, body=pdf()),))

Line = MutableMapping[str, Any]


class Rounds(Observers):
    """When each loop began its rounds."""

    def __init__(self) -> None:
        super().__init__()
        self.at: defaultdict[str, list[float]] = defaultdict(list)

    def ticked(self, loop: str, now: datetime) -> None:
        self.at[loop].append(monotonic())


def dispatch_of(harness: Harness, clock: Clock, **backends: Backend) -> Dispatcher:
    return Dispatcher(
        DispatchConfig(
            outbox=SqlOutbox(harness.database, timedelta(hours=24)),
            destinations=SqlDestinations(harness.database),
            backends=backends,
            limits={},
            budget=timedelta(hours=72),
            blobs=harness.blobs,
            clock=clock,
            backoff=BACKOFF,
        )
    )


def node_of(harness: Harness, clock: Clock, dispatch: Dispatcher, observer: Observers) -> Node:
    policy, answer_store = harness.rules.policy, SqlAnswers(harness.database, clock)
    return Node(
        NodeConfig(
            messages=harness.messages,
            claims=SqlClaims(harness.database),
            dispatch=dispatch,
            answers=CustomsAnswers(answer_store, harness.judges, clock),
            reminders=Reminders(
                SqlDocumentRequests(harness.database), harness.register, harness.judges, policy, clock
            ),
            pending_receipts=PendingReceipts(
                SqlPendingReceipts(harness.database), harness.judges, dispatch.down, DOWN_AFTER, clock
            ),
            judges=harness.judges,
            backends={},
            accounts={},
            blobs=harness.blobs,
            clock=clock,
            unfit=lambda _now: "",
            backoff=BACKOFF,
            observer=observer,
        )
    )


@contextmanager
def without_table(harness: Harness, table: str) -> Iterator[None]:
    """The store's file lacks a table meanwhile: whatever reads or writes it fails."""

    def rename(name: str, to: str) -> None:
        statement = f"ALTER TABLE {name} RENAME TO {to}"
        harness.database.submit(lambda change: change.connection.exec_driver_sql(statement)).result(WITHIN)

    rename(table, "elsewhere")
    try:
        yield
    finally:
        rename("elsewhere", table)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(WITHIN):
        while not condition():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def running(node: Node) -> AsyncIterator[None]:
    work = asyncio.create_task(node.run())
    try:
        yield
    finally:
        node.stop()
        await asyncio.wait_for(work, WITHIN)


def failures(lines: list[Line], event: str, work: str | None = None) -> list[float]:
    return [line["again_in"] for line in lines if line["event"] == event and line.get("work") == work]


def test_a_loop_of_the_node_that_fails_waits_longer_each_time_and_recovers(harness: Harness) -> None:
    clock, rounds = Clock(), Rounds()
    node = node_of(harness, clock, dispatch_of(harness, clock), rounds)

    async def test(lines: list[Line]) -> None:
        def failed() -> list[float]:
            return failures(lines, "loop failed", "judge_some")

        async with running(node):
            await until(lambda: rounds.at["judge_some"])
            with without_table(harness, "to_judge"):
                node._arrived.set()
                await until(lambda: len(failed()) >= len(PAUSES))
                times = rounds.at["judge_some"][-len(PAUSES) :]
                assert failed()[: len(PAUSES)] == PAUSES
                # A round begins after the pause, so that the store is not asked more often than that.
                assert times[-1] - times[0] >= 0.9 * sum(PAUSES[:-1])
            await node.add(arrival(packed(DECLARED), clock()), body=packed(DECLARED))
            await until(lambda: [row["state"] for row in harness.rows(messages)] == [State.ACCEPTED])
            before = len(failed())
            with without_table(harness, "to_judge"):
                await until(lambda: len(failed()) > before)
            assert failed()[before] == BACKOFF.first

    with capture_logs() as lines:
        asyncio.run(test(lines))


def test_a_message_judged_while_the_store_failed_is_judged_as_soon_as_it_works_again(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    node = node_of(harness, clock, dispatch_of(harness, clock), Rounds())
    judging, go, at_once = asyncio.Event(), asyncio.Event(), harness.judges.judge

    async def judge(received: Received, now: datetime) -> Decision:
        judging.set()
        await go.wait()
        return await at_once(received, now)

    monkeypatch.setattr(harness.judges, "judge", judge)

    async def test(lines: list[Line]) -> None:
        async with running(node):
            await node.add(arrival(packed(DECLARED), clock()), body=packed(DECLARED))
            await asyncio.wait_for(judging.wait(), WITHIN)
            with without_table(harness, "to_judge"):
                go.set()
                await until(lambda: len(failures(lines, "message not put back")) >= len(PAUSES))
            clock.now += timedelta(seconds=2)  # far less than a lease
            await until(lambda: [row["state"] for row in harness.rows(messages)] == [State.ACCEPTED])
        assert failures(lines, "message not put back")[: len(PAUSES)] == PAUSES

    with capture_logs() as lines:
        asyncio.run(test(lines))


def test_an_outcome_that_cannot_be_written_is_tried_again_after_longer_each_time(
    harness: Harness, tmp_path: Path
) -> None:
    clock, pem = Clock(), harness.home.certificate.read_text()
    (message,) = [harness.judged("broker-aa", "a.zip", packed(DECLARED)).message]

    async def test(lines: list[Line], customs: SwitchedBackend) -> None:
        customs.open = asyncio.Event()
        dispatch = dispatch_of(harness, clock, customs=customs)
        await dispatch.turn()
        await until(lambda: customs.tried)
        with without_table(harness, "deliveries"):
            customs.open.set()
            await until(lambda: len(failures(lines, "outcome not written")) >= len(PAUSES))
        await asyncio.wait_for(dispatch.idle(), WITHIN)
        assert failures(lines, "outcome not written")[: len(PAUSES)] == PAUSES
        assert [key for _at, key in customs.tried] == [message]

    with closing(ReferenceCustoms(tmp_path / "customs", pem, clock)) as customs, capture_logs() as lines:
        asyncio.run(test(lines, SwitchedBackend(customs, clock)))
    assert [row["state"] for row in harness.rows(deliveries)] == [DeliveryState.DELIVERED]


def arrival(body: bytes, now: datetime) -> Arrival:
    package = Package.small(body)
    return Arrival(
        id=new_id(now, bytes(10)),
        account="broker-aa",
        channel="sftp",
        name="a.zip",
        sha256=package.sha256,
        size=package.size,
        received_at=now,
    )


@pytest.mark.parametrize("backoff", [Backoff(), Backoff(first=1, longest=300), BACKOFF])
def test_pauses_double_up_to_the_longest_however_long_it_fails(backoff: Backoff) -> None:
    pauses = [backoff.pause(failures) for failures in range(1, 2000)]
    assert pauses[0] == backoff.first
    assert pauses[-1] == backoff.longest
    assert all(pause == min(backoff.longest, 2 * before) for before, pause in pairwise(pauses))
