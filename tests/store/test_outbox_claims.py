"""What the outbox gives out: in turns between accounts, in order within a declaration, each place alone."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import insert, select

from adapters.store.claims import queue_for_sending
from adapters.store.tables.messages import deliveries, events, messages
from adapters.store.write.destinations import SqlBackendActs, SqlDestinations
from gateway.model.circuit_breaker import BreakerState, CircuitBreaker
from gateway.model.delivery import Outgoing
from gateway.model.folders import Folder
from gateway.model.message import Arrival, Key, Submission
from gateway.model.states import DeliveryState, Event, State
from gateway.operate.backends import pause, resume
from gateway.run.claims import LEASE
from tests.support.acts import hold
from tests.support.stores import NOW, Store, accepted, arrival, names, receipt

SOON = NOW + timedelta(seconds=1)


def run(store: Store, test: Callable[[Store], Awaitable[None]]) -> None:
    asyncio.run(_run(store, test))


async def _run(store: Store, test: Callable[[Store], Awaitable[None]]) -> None:
    await test(store)


async def send(store: Store, sent: Arrival, **changes: Any) -> str:
    """Accepts a message of this account, its submission changed so; the message's id."""
    await store.messages.add(sent)
    (claimed,) = await store.messages.claim(1, NOW, timedelta(minutes=5))
    assert claimed.arrival == sent
    decision = accepted(sent)
    assert decision.facts is not None
    key = Key(party="1207980011", family="f", type="T", reference=sent.id)
    final = replace(receipt("accepted", f"Gateway_{sent.id}"), account=sent.account)
    submissions: Sequence[Submission] = [
        replace(submission, **changes) for submission in decision.submissions
    ]
    await store.messages.decide(
        replace(
            decision,
            facts=replace(decision.facts, key=key),
            submissions=tuple(submissions),
            receipts=(final,),
        ),
        NOW,
    )
    return sent.id


async def claimed(store: Store, limit: int = 10, destination: str = "customs") -> list[str]:
    return [delivery.message for delivery in await store.outbox.claim(destination, limit, NOW)]


async def settle(store: Store, delivery: Outgoing, state: DeliveryState, **options: bool) -> None:
    await store.outbox.settle(delivery, state, "said so", NOW, SOON, **options)


def row(store: Store, message: str) -> Any:
    with store.database.engine.connect() as reader:
        return reader.execute(select(deliveries).where(deliveries.c.message == message)).one()


def test_a_party_with_thousands_delays_anothers_only_one_by_no_more_than_one_of_them(store: Store) -> None:
    async def test(store: Store) -> None:
        many = [await send(store, arrival(number, "busy")) for number in range(1, 30)]
        one = await send(store, arrival(50, "other"))
        assert await claimed(store, 2) == [many[0], one]
        late = await send(store, arrival(51, "other"))
        # One at a time, as after an outage: they take turns all the same.
        assert await claimed(store, 1) == [many[1]]
        assert await claimed(store, 1) == [late]

    run(store, test)


def test_accounts_take_turns_where_only_one_may_go_at_a_time(store: Store) -> None:
    async def test(store: Store) -> None:
        for number in range(1, 5):
            await send(store, arrival(number, "busy"))
        for number in range(5, 7):
            await send(store, arrival(number, "other"))
        order = []
        for _ in range(6):
            (delivery,) = await store.outbox.claim("customs", 1, NOW)
            await settle(store, delivery, DeliveryState.DELIVERED)
            order.append("busy" if int(delivery.submission.package_name[0]) < 5 else "other")
        assert order == ["busy", "other", "busy", "other", "busy", "busy"]

    run(store, test)


def test_a_destination_gets_its_own_and_says_where_something_waits(store: Store) -> None:
    async def test(store: Store) -> None:
        here = await send(store, arrival(1))
        there = await send(store, arrival(2), destination="association")
        assert sorted(await store.outbox.destinations()) == ["association", "customs"]
        assert await claimed(store, destination="association") == [there]
        assert await store.outbox.destinations() == ["customs"]
        assert await claimed(store) == [here]
        assert await store.outbox.destinations() == []

    run(store, test)


def test_deliveries_about_one_declaration_are_sent_in_order(store: Store) -> None:
    async def test(store: Store) -> None:
        first = await send(store, arrival(1), about="A" * 26)
        second = await send(store, arrival(2, "other"), about="A" * 26)
        third = await send(store, arrival(3), about="B" * 26)
        assert await claimed(store) == [first, third]  # also within one claim
        assert await claimed(store) == []  # it is being sent
        await store.restarted()
        assert second not in await claimed(store)  # its outcome is not known
        assert row(store, second).state == DeliveryState.PENDING

    run(store, test)


def test_a_delivery_left_by_another_node_is_queried_and_its_late_outcome_is_not_written(store: Store) -> None:
    async def test(store: Store) -> None:
        sent = await send(store, arrival(1))
        (first,) = await store.outbox.claim("customs", 10, NOW)
        store.database.owner = "another node"
        assert await store.outbox.claim("customs", 10, NOW + LEASE / 2) == ()
        assert await store.claims.take_over(NOW + LEASE) == 1
        (second,) = await store.outbox.claim("customs", 10, NOW + LEASE)
        assert (first.unknown, second.unknown, second.fence) == (False, True, first.fence + 1)
        assert not await store.outbox.settle(first, DeliveryState.REFUSED, "too late", NOW, SOON)
        assert row(store, sent).state == DeliveryState.SENDING
        assert await store.outbox.settle(second, DeliveryState.DELIVERED, "taken", NOW, SOON)
        assert row(store, sent).state == DeliveryState.DELIVERED

    run(store, test)


def test_nobody_takes_over_from_a_node_that_renews_its_claims(store: Store) -> None:
    async def test(store: Store) -> None:
        await send(store, arrival(1))
        await store.outbox.claim("customs", 10, NOW)
        await store.claims.renew(NOW + LEASE / 2)
        store.database.owner = "another node"
        assert await store.outbox.claim("customs", 10, NOW + LEASE) == ()
        assert await store.claims.take_over(NOW + LEASE) == 0
        assert await store.claims.take_over(NOW + LEASE * 2) == 1

    run(store, test)


def test_the_next_of_a_declaration_goes_when_the_one_before_is_delivered(store: Store) -> None:
    async def test(store: Store) -> None:
        await send(store, arrival(1), about="A" * 26)
        second = await send(store, arrival(2), about="A" * 26)
        elsewhere = await send(store, arrival(3), about="A" * 26, destination="association")
        (delivery,) = await store.outbox.claim("customs", 10, NOW)
        assert await claimed(store, destination="association") == [elsewhere]
        await settle(store, delivery, DeliveryState.PENDING)  # later: it is not due now, and still before
        assert await claimed(store) == []
        (delivery,) = await store.outbox.claim("customs", 10, SOON)
        await settle(store, delivery, DeliveryState.DELIVERED)
        assert await claimed(store) == [second]

    run(store, test)


def test_no_delivery_overtakes_a_held_one_about_the_same_declaration(store: Store) -> None:
    async def test(store: Store) -> None:
        first = await send(store, arrival(1), about="A" * 26)
        await send(store, arrival(2), about="A" * 26)
        await store.database.write(lambda to: hold(to, first, "op", "why", NOW))
        assert await claimed(store) == []

    run(store, test)


def test_an_attempt_that_does_not_count_is_taken_back(store: Store) -> None:
    async def test(store: Store) -> None:
        await send(store, arrival(1))
        (delivery,) = await store.outbox.claim("customs", 10, NOW)
        await settle(store, delivery, DeliveryState.PENDING, counted=False)
        (delivery,) = await store.outbox.claim("customs", 10, SOON)
        assert delivery.attempts == 1
        await settle(store, delivery, DeliveryState.PENDING)
        (delivery,) = await store.outbox.claim("customs", 10, SOON)
        assert delivery.attempts == 2

    run(store, test)


def test_a_delivery_that_waits_too_long_is_held_with_its_message_and_the_reason(store: Store) -> None:
    async def test(store: Store) -> None:
        waits, unknown = await send(store, arrival(1)), await send(store, arrival(2))
        items = await store.outbox.claim("customs", 10, NOW)
        await settle(store, items[0], DeliveryState.PENDING)
        await settle(store, items[1], DeliveryState.UNKNOWN, unsure=True)
        assert await store.outbox.give_up("customs", NOW, "over", SOON) == 0
        assert await store.outbox.give_up("customs", SOON, "over", SOON) == 2
        assert [row(store, message).unsure for message in (waits, unknown)] == [False, True]
        with store.database.engine.connect() as reader:
            rows = reader.execute(select(messages.c.state, messages.c.reason)).all()
        assert [tuple(row) for row in rows] == [(State.HELD, "over")] * 2
        (pending, _other) = await store.pending_receipts.claim(NOW + timedelta(hours=1), NOW, {}, 10, SOON)
        assert pending.received.arrival.id == waits  # its sender has a final receipt, and hears of it

    run(store, test)


def test_a_delivery_is_diverted_to_the_first_alternative_that_is_usable(store: Store) -> None:
    async def test(store: Store) -> None:
        message = await send(store, arrival(1), about="A" * 26, alternatives=("one", "two"))
        follows = await send(store, arrival(2), about="A" * 26)
        stays = await send(store, arrival(3))
        assert await store.outbox.divert("customs", {"three"}, "down", SOON) == 0
        assert await store.outbox.divert("customs", {"two"}, "down", SOON) == 2
        assert await store.outbox.divert("customs", {"two"}, "down", SOON) == 0
        assert [row(store, sent_message).destination for sent_message in (message, follows, stays)] == [
            "two",
            "two",
            "customs",
        ]
        assert row(store, message).alternatives == ["one", "customs"]
        assert await claimed(store) == [stays]
        with store.database.engine.connect() as reader:
            event = reader.execute(
                select(events).where(events.c.message == message, events.c.event == Event.DIVERTED)
            ).one()
        assert '"instead_of": "customs"' in event.detail
        assert event.state == State.ACCEPTED

    run(store, test)


def test_an_unsure_delivery_and_others_about_its_declaration_are_never_diverted(store: Store) -> None:
    async def test(store: Store) -> None:
        options = {"about": "A" * 26, "alternatives": ("two",)}
        first = await send(store, arrival(1), **options)
        await send(store, arrival(2), **options)
        (delivery,) = await store.outbox.claim("customs", 10, NOW)
        assert await store.outbox.divert("customs", {"two"}, "down", NOW) == 0  # it is being sent
        await settle(store, delivery, DeliveryState.UNKNOWN, unsure=True)
        assert await store.outbox.divert("customs", {"two"}, "down", NOW) == 0
        (delivery,) = await store.outbox.claim("customs", 10, SOON)
        await settle(store, delivery, DeliveryState.PENDING)  # asked, and customs says that it has not got it
        assert row(store, first).alternatives == []
        assert await store.outbox.divert("customs", {"two"}, "down", SOON) == 0

    run(store, test)


def test_a_sender_is_notified_once_that_its_message_waits_for_a_destination_that_is_down(
    store: Store,
) -> None:
    async def test(store: Store) -> None:
        message = await send(store, arrival(1))
        down = {"customs": NOW}
        assert await store.pending_receipts.claim(NOW, NOW, down, 10, SOON) == ()  # not for long enough
        assert await store.pending_receipts.claim(NOW, SOON, {"association": NOW}, 10, SOON) == ()
        (pending_receipt,) = await store.pending_receipts.claim(NOW, SOON, down, 10, SOON)
        assert (pending_receipt.received.arrival.id, pending_receipt.down_since) == (message, NOW)
        assert pending_receipt.facts is not None
        pending = replace(receipt("waiting", "Gateway_waits"), final=False)
        await store.pending_receipts.send(pending_receipt, pending, SOON)
        await store.pending_receipts.send(pending_receipt, pending, SOON)
        assert await names(store, Folder.INBOX) == [f"Gateway_{message}", "Gateway_waits"]
        assert await store.pending_receipts.claim(NOW, SOON, down, 10, SOON) == ()

    run(store, test)


def test_no_pending_receipt_is_sent_for_a_message_that_customs_has_taken_meanwhile(store: Store) -> None:
    async def test(store: Store) -> None:
        message = await send(store, arrival(1))
        (pending,) = await store.pending_receipts.claim(NOW, SOON, {"customs": NOW}, 10, SOON)
        (delivery,) = await store.outbox.claim("customs", 1, NOW)
        await settle(store, delivery, DeliveryState.DELIVERED)
        await store.pending_receipts.send(pending, replace(receipt("waiting", "w"), final=False), SOON)
        assert await names(store, Folder.INBOX) == [f"Gateway_{message}"]

    run(store, test)


def test_a_pending_receipt_for_a_delivery_in_progress_is_sent_once_it_waits_again(store: Store) -> None:
    async def test(store: Store) -> None:
        message = await send(store, arrival(1))
        pending = replace(receipt("waiting", "Gateway_waits"), final=False)
        (pending_receipt,) = await store.pending_receipts.claim(NOW, SOON, {"customs": NOW}, 10, SOON)
        (delivery,) = await store.outbox.claim("customs", 1, NOW)
        await store.pending_receipts.send(pending_receipt, pending, SOON)
        assert await names(store, Folder.INBOX) == [f"Gateway_{message}"]
        await settle(store, delivery, DeliveryState.PENDING)
        (pending_receipt,) = await store.pending_receipts.claim(NOW, SOON, {"customs": NOW}, 10, SOON)
        await store.pending_receipts.send(pending_receipt, pending, SOON)
        assert await names(store, Folder.INBOX) == [f"Gateway_{message}", "Gateway_waits"]

    run(store, test)


def test_the_status_of_a_destination_is_stored_beside_a_pause_and_each_pause_is_an_event(
    store: Store,
) -> None:
    async def test(store: Store) -> None:
        status_store = SqlDestinations(store.database)
        opened = CircuitBreaker(
            state=BreakerState.OPEN, failures=7, since=NOW, probe_at=SOON, note="no route"
        )
        await status_store.turned("customs", opened)
        pause(SqlBackendActs(store.database), "customs", "op", "maintenance", SOON)
        await status_store.turned("customs", opened.probing())
        ((breaker, paused),) = (await status_store.statuses()).values()
        assert breaker == opened.probing()
        assert paused is not None
        assert (paused.actor, paused.at, paused.reason) == ("op", SOON, "maintenance")
        assert resume(SqlBackendActs(store.database), "customs", "op2", "done", SOON)
        assert not resume(SqlBackendActs(store.database), "customs", "op2", "done", SOON)
        assert (await status_store.statuses())["customs"] == (opened.probing().tried(SOON), None)
        with store.database.engine.connect() as reader:
            rows = reader.execute(select(events.c.event, events.c.actor)).all()
        assert [tuple(row) for row in rows] == [("backend-paused", "op"), ("backend-resumed", "op2")]

    run(store, test)


def test_claims_from_thousands_that_wait_take_milliseconds(store: Store) -> None:
    async def test(store: Store) -> None:
        await send(store, arrival(1))
        await store.database.write(_fill)
        await claimed(store, 1)
        begun = time.process_time()
        for _ in range(20):
            assert len(await claimed(store, 4)) == 4
        assert (time.process_time() - begun) / 20 < 0.1

    run(store, test)


def _fill(transaction: Any) -> None:
    (first,) = transaction.connection.execute(select(deliveries)).mappings()
    rows = [
        {**first, "id": None, "key": f"k{number}", "account": f"a{number % 997}", "about": f"d{number}"}
        for number in range(20_000)
    ]
    transaction.connection.execute(insert(deliveries), rows)
    ids = transaction.connection.execute(select(deliveries.c.id)).scalars().all()
    queue_for_sending(transaction, ids, NOW)
