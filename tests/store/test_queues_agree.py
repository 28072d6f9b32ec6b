"""Whatever is done in whatever order, the queues have exactly the work that the wide tables have open."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from adapters.store.database import Transaction
from adapters.store.tables.messages import deliveries, messages, receipts
from adapters.store.tables.queues import QUEUED, to_judge, to_post, to_send
from adapters.store.write.delivery_actions import act_on
from adapters.store.write.operator_store import stopped
from adapters.store.write.receipt_delivery import SqlReceiptDeliveries
from gateway.model.delivery import Outgoing
from gateway.model.message import Key, Received
from gateway.model.parties import Delivery
from gateway.model.rejection import Rejection
from gateway.model.states import CustomsStatus, DeliveryState, State
from gateway.notify.ports import ReceiptDelivery
from gateway.operate.delivery_actions import DeliveryAct
from gateway.operate.message_actions import Impossible, ReplayStage
from gateway.run.claims import LEASE
from tests.support.acts import hold, reject, release, replay
from tests.support.stores import (
    NOW,
    PARSED_ANSWER,
    Store,
    accepted,
    arrival,
    customs_says_of,
    filed,
    receipt,
    refused,
    register,
)

PLACES = ("customs", "two")
OUTCOMES = (
    DeliveryState.DELIVERED,
    DeliveryState.PENDING,
    DeliveryState.UNKNOWN,
    DeliveryState.HELD,
    DeliveryState.REFUSED,
)


@dataclass
class Course:
    """`judging`, `sending` and `posting` also keep what was lost meanwhile: its outcome comes late."""

    store: Store
    chance: random.Random
    now: datetime = NOW
    added: int = 0
    judging: list[Received] = field(default_factory=list)
    sending: list[Outgoing] = field(default_factory=list)
    posting: list[ReceiptDelivery] = field(default_factory=list)
    maybe_taken: set[str] = field(default_factory=set)

    async def add(self) -> None:
        self.added += 1
        sent = arrival(self.added, self.chance.choice(("broker", "other")))
        await self.store.messages.add(sent)

    async def claim(self) -> None:
        self.judging += await self.store.messages.claim(self.chance.randint(1, 3), self.now, LEASE)

    async def decide(self) -> None:
        if not self.judging:
            return
        received = self._one(self.judging)
        sent = received.arrival
        decision = accepted(sent) if self.chance.random() < 0.8 else refused(sent)
        assert decision.facts is not None
        key = Key(party="1207980011", family="f", type="T", reference=sent.id)
        about = self.chance.choice(("", "A" * 26))
        changed = [
            replace(submission, about=about, alternatives=("two",)) for submission in decision.submissions
        ]
        if changed and self.chance.random() < 0.4:
            changed.append(replace(changed[0], key=f"{sent.id}-2", destination="two", alternatives=()))
        own_receipt = replace(receipt("accepted", f"{sent.id}-{received.fence}"), account=sent.account)
        decision = replace(
            decision,
            attempt=received.attempts,
            fence=received.fence,
            facts=replace(decision.facts, key=key),
            receipts=(own_receipt,),
            submissions=tuple(changed),
        )
        await self.store.messages.decide(decision, self.now)

    async def put_back(self) -> None:
        if self.judging:
            received = self._one(self.judging)
            crashed = self.chance.random() < 0.5
            before = self._rows(select(to_judge).order_by(to_judge.c.item))
            await self.store.messages.put_back(received, self._soon(), crashed=crashed)
            after = self._rows(select(to_judge).order_by(to_judge.c.item))
            for was, row in zip(before, after, strict=True):
                ours = was.lease_until is not None and row.lease_until is None
                assert ours or was == row  # a claim that was lost gives nothing back

    async def send(self) -> None:
        limit = self.chance.randint(1, 3)
        claimed = await self.store.outbox.claim(self.chance.choice(PLACES), limit, self.now)
        for item in claimed:
            assert item.unknown or item.submission.key not in self.maybe_taken
            self.maybe_taken.add(item.submission.key)
        self.sending += claimed

    async def settle(self) -> None:
        if not self.sending:
            return
        each = self._one(self.sending)
        state = self.chance.choice(OUTCOMES)
        unsure = state is DeliveryState.UNKNOWN or self.chance.random() < 0.2
        before = {row.item: row for row in self._rows(select(to_send))}.get(each.id)
        ours = before is not None and before.lease_until is not None and before.fence == each.fence
        wrote = await self.store.outbox.settle(each, state, "said", self.now, self._soon(), unsure=unsure)
        assert wrote == ours
        if wrote and state is DeliveryState.PENDING and not unsure:
            self.maybe_taken.discard(each.submission.key)  # customs says that it has not got it

    async def give_up(self) -> None:
        if self.chance.random() < 0.3:
            await self.store.outbox.give_up(self.chance.choice(PLACES), self.now, "over", self.now)

    async def divert(self) -> None:
        here, there = self.chance.sample(PLACES, 2)
        await self.store.outbox.divert(here, {there}, "down", self.now)

    async def post(self) -> None:
        """What was not claimed last comes late."""
        account, deliveries = self.chance.choice((None, "other")), SqlReceiptDeliveries(self.store.database)
        self.posting += await deliveries.claim(account, self.chance.randint(1, 3), self.now)
        if self.posting:
            posted = self._one(self.posting)
            if self.chance.random() < 0.7:
                await deliveries.posted([posted], self.now)
            else:
                await deliveries.later([posted], self._soon())

    async def remove(self) -> None:
        receipt = self._a(receipts.c.id, receipts.c.removed_at.is_(None))
        if receipt is not None and self.chance.random() < 0.5:
            account = self._a(receipts.c.account, receipts.c.id == receipt)
            await self.store.mailbox.collected(account, receipt, self.now, removed=True)

    async def renew(self) -> None:
        await self.store.claims.renew(self.now)

    async def another_owner(self) -> None:
        """Another node works on; what this one began comes late, or in time."""
        self.store.database.owner = self.chance.choice(("a", "b", "c"))
        await self.store.claims.take_over(self.now)

    async def restart(self) -> None:
        await self.store.restarted(self.now)
        assert self._rows(select(to_send).where(to_send.c.lease_until.is_not(None))) == []

    async def clock(self) -> None:
        self.now += self.chance.choice((LEASE * 2, timedelta(minutes=1), -timedelta(minutes=40)))
        await self.store.messages.end_waits(self.now, LEASE)

    async def act(self) -> None:
        message = self._a(messages.c.id)
        if message is None:
            return
        chosen = self.chance.choice((hold, release, self._replay, self._reject))
        await self._try(lambda to: chosen(to, message, "op", "why", self.now))

    async def act_on_delivery(self) -> None:
        delivery = self._a(deliveries.c.id)
        if delivery is not None:
            act = self.chance.choice(list(DeliveryAct))
            await self._try(lambda to: act_on(to, act, delivery, "op", "why", self.now))

    async def answer(self) -> None:
        row = self._a(messages.c.id, messages.c.state.in_((State.ACCEPTED, State.DELIVERED)))
        if row is None or self.chance.random() < 0.5:
            return
        status = self.chance.choice((CustomsStatus.STORED, CustomsStatus.RELEASED))
        self.added += 1
        numbered = replace(PARSED_ANSWER, seq_no=f"I{row}")
        declaration = self.store.declarations.target(numbered, row, "customs")
        if declaration is not None:
            matched = customs_says_of(status, f"L{self.added}".encode(), declaration)
            assert matched.effect is not None
            effect = replace(matched.effect, seq_no=numbered.seq_no)
            parsed = replace(numbered, status=status)
            await filed(self.store.answers, [replace(matched, parsed=parsed, effect=effect)])

    def agree(self) -> None:
        received = self._rows(select(messages).where(messages.c.state == State.RECEIVED))
        queued = {row.item: row for row in self._rows(select(to_judge))}
        assert {row.seq for row in received} == set(queued)
        for row in received:
            assert (queued[row.seq].account, queued[row.seq].fence >= row.fence) == (row.account, True)
        open_ = self._rows(select(deliveries).where(deliveries.c.state.in_(QUEUED)))
        queue = {row.item: row for row in self._rows(select(to_send))}
        assert {row.id for row in open_} == set(queue)
        for row in open_:
            own = queue[row.id]
            assert (own.destination, own.account, own.about) == (row.destination, row.account, row.about)
            assert own.fence >= row.fence
            assert (own.lease_until is not None) == (row.state == DeliveryState.SENDING)
        due = (receipts.c.removed_at.is_(None), receipts.c.collected_at.is_(None))
        posts = self._rows(select(to_post))
        assert {row.item for row in posts} == {
            row.id for row in self._rows(select(receipts.c.id).where(*due))
        }
        for own in (*queued.values(), *queue.values(), *posts):
            assert (own.owner is None) == (own.lease_until is None)

    def _replay(self, to: Transaction, message: str, actor: str, reason: str, now: datetime) -> State:
        return replay(to, message, actor, reason, now, stage=self.chance.choice(list(ReplayStage)))

    def _reject(self, to: Transaction, message: str, actor: str, reason: str, now: datetime) -> Any:
        present = stopped(to.connection, message)
        dismissal = Rejection(message=message, revision=present.revision, findings=(), receipts=(), trail={})
        return reject(to, dismissal, actor, reason, now)

    async def _try(self, act: Callable[[Transaction], Any]) -> None:
        with suppress(Impossible):
            await self.store.database.write(act)

    def _rows(self, query: Any) -> list[Any]:
        with self.store.database.engine.connect() as reader:
            return list(reader.execute(query).all())

    def _a(self, column: Any, *where: Any) -> Any:
        query = [row[0] for row in self._rows(select(column).where(*where).order_by(column))]
        return self.chance.choice(query) if query else None

    def _one(self, choices: list[Any]) -> Any:
        """Some are kept, so that their outcome may come a second time."""
        place = self.chance.randrange(len(choices))
        return choices[place] if self.chance.random() < 0.3 else choices.pop(place)

    def _soon(self) -> datetime:
        return self.now + timedelta(seconds=self.chance.choice((0, 0, 90)))


STEPS: tuple[Callable[[Course], Awaitable[None]], ...] = (
    *(
        Course.add,
        Course.claim,
        Course.decide,
        Course.decide,
        Course.decide,
        Course.put_back,
        Course.send,
        Course.send,
    ),
    *(Course.settle, Course.settle, Course.give_up, Course.divert, Course.renew, Course.another_owner),
    *(Course.post, Course.post, Course.remove),
    *(Course.restart, Course.clock, Course.act, Course.act_on_delivery, Course.answer),
)


@pytest.mark.parametrize("seed", range(12))
def test_queues_and_wide_tables_agree_after_every_step(store: Store, seed: int) -> None:
    async def test() -> None:
        chance = random.Random(seed)  # noqa: S311
        course = Course(store, chance)
        register(store, "broker", Delivery.AMQP, 1)
        register(store, "other", Delivery.FOLDER, 2)
        done: list[str] = []
        for _ in range(200):
            step = chance.choice(STEPS)
            done.append(getattr(step, "__name__", ""))
            await step(course)
            course.agree()
        assert course.maybe_taken

    asyncio.run(test())
