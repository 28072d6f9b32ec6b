"""What customs may have is known of a delivery whatever its last attempt said: every order of outcomes."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import IO, Any, Final

import pytest
from sqlalchemy import select

from adapters.blobs.filesystem import FilesystemBlobs
from adapters.store.read.message_status import message_status
from adapters.store.tables.messages import deliveries
from adapters.store.write.delivery_actions import act_on
from adapters.store.write.destinations import SqlDestinations
from gateway.deliver.dispatcher import DispatchConfig, Dispatcher
from gateway.model.answer import Answer
from gateway.model.delivery import Outcome
from gateway.model.message import Key, Submission
from gateway.model.states import CustomsStatus, DeliveryState, State
from gateway.operate.delivery_actions import DeliveryAct
from gateway.operate.message_actions import Impossible, MessageAct, ReplayStage, event_of
from tests.support.acts import hold, release
from tests.support.stores import LEASE, NOW, Store, accept, accepted, arrival, customs_says, receipt

# What an attempt comes to: sent and no word of it, customs having it or not; what says nothing of customs;
# and the node that ends while it sends.
ATTEMPTS: Final = ("lost", "kept", "later", "busy", "denied", "crash")
ORDERS: Final = (
    *itertools.product(("later",), ATTEMPTS, ATTEMPTS),
    *itertools.product(("kept", "later", "crash"), repeat=3),
)
SAYS: Final = {
    "lost": Outcome.UNKNOWN,
    "kept": Outcome.UNKNOWN,
    "later": Outcome.LATER,
    "busy": Outcome.BUSY,
    "denied": Outcome.DENIED,
}
BUDGET: Final = timedelta(hours=72)


@dataclass
class ScriptedCustoms:
    """A customs whose connection does what the test says. `answers_questions` as it has it, or there is
    nobody to ask."""

    answers_questions: bool
    next: str = "later"
    has: bool = False

    async def submit(self, submission: Submission, opened: Callable[[str], IO[bytes]]) -> tuple[Outcome, str]:
        self.has = self.has or self.next == "kept"
        return SAYS[self.next], self.next

    async def ask(self, key: str) -> tuple[Outcome | None, str]:
        if not self.answers_questions:
            return None, ""
        return Outcome.TAKEN if self.has else Outcome.LATER, ""

    async def answers(self, limit: int) -> Sequence[Answer]:
        return ()

    async def acknowledge(self, ids: Sequence[str]) -> None:
        return None


@dataclass
class Case:
    """One message to a back-end of its own. `doubtful` is what must be known of it."""

    order: tuple[str, ...]
    customs: ScriptedCustoms
    message: str
    name: str
    doubtful: bool = False
    over: bool = False

    def tried(self, how: str) -> None:
        if how == "crash":
            self.doubtful = self.customs.has = True
            return
        if self.doubtful and self.customs.answers_questions:
            self.doubtful, self.over = False, self.customs.has
        if not self.over and how in ("lost", "kept"):
            self.doubtful = True


class Run:
    def __init__(self, store: Store, cases: Sequence[Case], blobs: FilesystemBlobs) -> None:
        self.store, self.cases, self.now = store, cases, NOW
        self.config = DispatchConfig(
            outbox=store.outbox,
            destinations=SqlDestinations(store.database),
            backends={case.name: case.customs for case in cases},
            limits={},
            budget=BUDGET,
            blobs=blobs,
            clock=lambda: self.now,
        )
        self.dispatch = Dispatcher(self.config)

    async def step(self, number: int) -> None:
        """The `number`-th attempt of every case that is still on its way."""
        self.now += timedelta(minutes=10)
        for case in self.cases:
            if not case.over:
                case.tried(how := case.order[number])
                case.customs.next = how
                if how == "crash":
                    assert len(await self.store.outbox.claim(case.name, 1, self.now)) == 1
        await self.dispatch.turn()
        await self.dispatch.idle()
        await self.store.restarted(self.now)

    def row(self, case: Case) -> Any:
        with self.store.database.engine.connect() as reader:
            return reader.execute(select(deliveries).where(deliveries.c.message == case.message)).one()

    def act(self, act: Callable[..., Any], case: Case, **options: Any) -> Any:
        work = self.store.database.submit(
            lambda to: act(to, case.message, "tests", "why", self.now, **options)
        )
        return work.result()


def can(run: Run, case: Case, act: MessageAct, stage: ReplayStage | None = None) -> bool:
    with run.store.database.engine.connect() as reader:
        _row, present = message_status(reader, case.message)
    try:
        event_of(act, present, stage)
    except Impossible:
        return False
    return True


async def sent_to(store: Store, number: int, name: str) -> str:
    sent = arrival(number)
    await store.messages.add(sent)
    await store.messages.claim(1, NOW, LEASE)
    decision = accepted(sent)
    assert decision.facts is not None
    key = Key(party="1207980011", family="f", type="T", reference=sent.id)
    submissions = tuple(
        replace(submission, destination=name, alternatives=("spare",)) for submission in decision.submissions
    )
    own_receipt = replace(receipt("accepted", f"Gateway_{sent.id}"), account=sent.account)
    facts = replace(decision.facts, key=key)
    await store.messages.decide(
        replace(decision, facts=facts, submissions=submissions, receipts=(own_receipt,)), NOW
    )
    return sent.id


async def held_by_an_operator(run: Run, case: Case) -> None:
    assert run.act(hold, case) is State.HELD


async def held_released_and_held(run: Run, case: Case) -> None:
    for act in (hold, release, hold):
        run.act(act, case)


async def given_up(run: Run, case: Case) -> None:
    run.now += BUDGET
    assert await run.store.outbox.give_up(case.name, run.now, "its time is over", run.now) == 1


async def given_to_another(run: Run, case: Case) -> None:
    """While its own back-end is down, unless it was ever doubtful; then it is held."""
    moved = await run.store.outbox.divert(case.name, {"spare"}, "down", run.now)
    assert moved == (not {"lost", "kept", "crash"} & set(case.order)), case
    run.act(hold, case)


ENDS: Final = (held_by_an_operator, held_released_and_held, given_up, given_to_another)


@pytest.mark.parametrize("asked", [True, False], ids=["questions", "nobody to ask"])
def test_an_unsure_delivery_stays_unsure_until_customs_answers_for_it(
    store: Store, tmp_path: Path, asked: bool
) -> None:
    async def test() -> None:
        cases = [
            Case(order, ScriptedCustoms(asked), await sent_to(store, number, f"b{number}"), f"b{number}")
            for number, order in enumerate(ORDERS, 1)
        ]
        run = Run(store, cases, FilesystemBlobs(tmp_path / "blobs"))
        for number in range(3):
            await run.step(number)
        for case, end in zip(cases, itertools.cycle(ENDS), strict=False):
            assert case.doubtful or case.over or not case.customs.has, "the model itself"
            row = run.row(case)
            if case.over:
                assert (row.state, row.unsure) == (DeliveryState.DELIVERED, False), case
                continue
            assert row.state == (DeliveryState.UNKNOWN if case.doubtful else DeliveryState.PENDING), case
            await end(run, case)
            # Nothing by which it could be declared a second time, where customs may have it; else all of it.
            assert run.row(case).unsure == case.doubtful, case
            assert can(run, case, MessageAct.REJECT) == (not case.doubtful), case
            assert can(run, case, MessageAct.REPLAY, ReplayStage.JUDGEMENT) == (not case.doubtful), case
            assert can(run, case, MessageAct.RELEASE), case

    asyncio.run(test())


def test_a_delivery_that_customs_answers_counts_as_taken_whatever_the_connection_returned(
    store: Store,
) -> None:
    async def test() -> None:
        sent = arrival()
        await accept(store, sent)
        (delivery,) = await store.outbox.claim("customs", 1, NOW)
        assert await customs_says(store, sent, CustomsStatus.IMPORTED, b"answer")
        await store.outbox.settle(delivery, DeliveryState.PENDING, "connection refused", NOW, NOW)
        run = Run(store, [], FilesystemBlobs(Path("unused")))
        case = Case((), ScriptedCustoms(True), sent.id, "customs")
        run.act(hold, case)
        assert run.row(case).unsure
        assert not can(run, case, MessageAct.REJECT)

    asyncio.run(test())


def test_a_redelivery_stays_unsure_until_customs_says_that_it_does_not_have_it(
    store: Store,
) -> None:
    async def test() -> None:
        sent = arrival()
        await accept(store, sent)
        (delivery,) = await store.outbox.claim("customs", 1, NOW)
        await store.outbox.settle(delivery, DeliveryState.DELIVERED, "", NOW, NOW)
        again = store.database.submit(
            lambda to: act_on(to, DeliveryAct.REPLAY, delivery.id, "tests", "customs lost it", NOW)
        )
        assert again.result() == (DeliveryState.UNKNOWN, State.DELIVERED)
        (delivery,) = await store.outbox.claim("customs", 1, NOW)
        assert (delivery.unknown, delivery.unsure) == (True, True)

    asyncio.run(test())
