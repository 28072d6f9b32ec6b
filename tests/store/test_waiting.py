"""What every store must promise of messages that wait, and of the agreements that they wait for."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from typing import Any, Final

import pytest
from sqlalchemy import select

from adapters.store.apply import apply_notice
from adapters.store.tables.messages import agreement_acts, agreements, deliveries, events, messages, receipts
from gateway.model.agreements import (
    PROPOSED,
    Act,
    Agreement,
    AgreementChange,
    AgreementKind,
    AgreementState,
    NoticeAct,
    state_after,
)
from gateway.model.decision import AgreementOutcome, Decision, DeclarationOutcome, SeenAgreement, Wait
from gateway.model.folders import Folder
from gateway.model.message import Arrival, Receipt, ReceiptKind
from gateway.model.states import CustomsStatus, DeliveryState, Event, State
from gateway.model.transition import Applied, NotAsRead, Refusal
from gateway.model.waits import Awaited
from tests.support.acts import replay
from tests.support.stores import (
    KEY,
    LEASE,
    NOW,
    Store,
    accepted,
    add_and_claim,
    arrival,
    customs_says,
    names,
    receipt,
)

NUMBER: Final = "195200016172325"
AWAITED: Final = f"agreement {NUMBER}"
UNTIL: Final = NOW + timedelta(hours=48)
AGREEMENT: Final = Agreement(
    number=NUMBER,
    kind=AgreementKind.PER_SHIPMENT,
    trader="1207940101",
    broker="1207980011",
    state=AgreementState.IN_FORCE,
    valid_from=date(2026, 1, 1),
)


def read(text: str) -> Awaited:
    awaited = Awaited.read(text)
    assert awaited is not None
    return awaited


def waiting_decision(sent: Arrival, attempt: int = 1, *, awaited: str = AWAITED, seen: int = 0) -> Decision:
    own_receipt = Receipt(
        account="broker",
        name=f"Gateway_waits_{attempt}_{sent.name}",
        kind=ReceiptKind.GATEWAY,
        body=f"waits {attempt}".encode(),
        verdict="waiting",
    )
    return Decision(
        message=sent.id,
        attempt=attempt,
        fence=attempt,
        event=Event.WAITING,
        receipts=(own_receipt,),
        wait=Wait(awaited=read(awaited), seen=seen, until=UNTIL),
    )


def under(sent: Arrival, store: Store, attempt: int = 1) -> Decision:
    """Accepted under the agreement as the register has it now, with a key of its own."""
    decision = accepted(sent, attempt)
    assert decision.facts is not None
    used = store.register.agreement(NUMBER)
    assert used is not None
    facts = replace(decision.facts, key=replace(KEY, reference=sent.name))
    return replace(decision, facts=facts, outcome=DeclarationOutcome(use=used))


async def notify(store: Store, act: NoticeAct = Act.CONFIRMED, *, holds: bool = False, **terms: Any) -> None:
    """The commit of a notice of the association."""
    number = 100 + len(rows(store, messages))
    notice = arrival(number, "association")
    present = store.register.agreement(NUMBER)
    after = replace(AGREEMENT, state=state_after(act), **terms)
    if present is not None:
        after = replace(after, used_by=present.agreement.used_by)
    change = AgreementChange(
        after=after, act=act, at=NOW, reason="", seen=0 if present is None else present.revision
    )
    await store.messages.add(notice)
    claimed = await store.messages.claim(10, NOW, LEASE)
    assert notice in [item.arrival for item in claimed]
    decision = Decision(
        message=notice.id,
        attempt=1,
        fence=1,
        event=Event.ACCEPTED_NO_DELIVERY,
        outcome=AgreementOutcome(
            seen=SeenAgreement(number=change.after.number, revision=change.seen), change=change, holds=holds
        ),
    )
    assert await store.messages.decide(decision, NOW) == Applied(State.CLOSED)


async def accepted_under(store: Store) -> Arrival:
    """A declaration that was accepted under the agreement, which was confirmed before."""
    await notify(store)
    sent = arrival()
    await add_and_claim(store, sent)
    await store.messages.decide(under(sent, store), NOW)
    return sent


async def wait(store: Store, sent: Arrival, **wait_options: Any) -> None:
    await add_and_claim(store, sent)
    assert await store.messages.decide(waiting_decision(sent, **wait_options), NOW) == Applied(State.WAITING)


def rows(store: Store, table: Any, **where: object) -> list[Any]:
    with store.database.engine.connect() as reader:
        return list(reader.execute(select(table).filter_by(**where).order_by(*table.primary_key)))


def row_of(store: Store, sent: Arrival) -> Any:
    (row,) = rows(store, messages, id=sent.id)
    return row


def events_of(store: Store, sent: Arrival) -> list[str]:
    return [row.event for row in rows(store, events, message=sent.id)]


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def test_a_waiting_message_says_for_what_and_until_when_and_stays_visible_to_its_sender(store: Store) -> None:
    async def test() -> None:
        sent = arrival()
        await wait(store, sent)
        row = row_of(store, sent)
        assert (row.state, row.waiting_for, row.until) == (State.WAITING, AWAITED, UNTIL)
        assert await names(store, Folder.OUTBOX) == [sent.name]
        assert await names(store, Folder.INBOX) == [f"Gateway_waits_1_{sent.name}"]
        assert await store.messages.claim(10, NOW + LEASE * 2, LEASE) == ()

    run(test)


def test_the_coming_of_the_thing_wakes_what_waits_for_it_and_nothing_else(store: Store) -> None:
    async def test() -> None:
        sent, other = arrival(1), arrival(2)
        await wait(store, sent)
        await wait(store, other, awaited="agreement 9")
        await notify(store)
        assert (row_of(store, sent).state, row_of(store, other).state) == (State.RECEIVED, State.WAITING)
        (woken,) = await store.messages.claim(10, NOW, LEASE)
        assert (woken.arrival, woken.attempts, woken.overdue) == (sent, 1, "")
        assert events_of(store, sent) == [Event.RECEIVED, Event.WAITING, Event.ARRIVED]

    run(test)


def test_a_message_that_waits_again_gives_one_pending_receipt(store: Store) -> None:
    async def test() -> None:
        sent = arrival()
        await wait(store, sent)
        await notify(store, PROPOSED)
        await store.messages.claim(1, NOW, LEASE)
        again = replace(waiting_decision(sent, seen=1), fence=2)
        assert await store.messages.decide(again, NOW) == Applied(State.WAITING)
        assert len(rows(store, receipts, message=sent.id)) == 1

    run(test)


def test_a_message_does_not_wait_for_what_arrived_while_it_was_judged(store: Store) -> None:
    async def test() -> None:
        sent = arrival()
        (received,) = await add_and_claim(store, sent)
        await notify(store)
        refused = await store.messages.decide(waiting_decision(sent), NOW)
        assert refused is Refusal.SUPERSEDED
        row = row_of(store, sent)
        assert (row.state, row.waiting_for) == (State.RECEIVED, None)
        assert rows(store, receipts, message=sent.id) == []
        await store.messages.put_back(received, NOW, crashed=False)
        (again,) = await store.messages.claim(1, NOW, LEASE)
        decision = replace(under(sent, store), fence=again.fence)
        assert await store.messages.decide(decision, NOW) == Applied(State.ACCEPTED)

    run(test)


def test_a_message_that_waited_too_long_is_judged_a_last_time_with_what_it_waited_for(store: Store) -> None:
    async def test() -> None:
        sent = arrival()
        await wait(store, sent)
        assert await store.messages.expire(UNTIL - timedelta(microseconds=1)) == 0
        assert await store.messages.claim(1, UNTIL, LEASE) == ()
        assert await store.messages.expire(UNTIL) == 1
        assert await store.messages.expire(UNTIL) == 0
        (overdue,) = await store.messages.claim(1, UNTIL, LEASE)
        assert (overdue.arrival, overdue.overdue) == (sent, AWAITED)
        refusal = Decision(
            message=sent.id,
            attempt=1,
            fence=2,
            event=Event.REFUSED,
            receipts=(receipt("rejected", "Gateway_1.xml"),),
        )
        assert await store.messages.decide(refusal, UNTIL) == Applied(State.REJECTED)
        row = row_of(store, sent)
        assert (row.waiting_for, row.until) == (None, None)
        assert events_of(store, sent) == [Event.RECEIVED, Event.WAITING, Event.EXPIRED, Event.REFUSED]

    run(test)


def test_a_message_refused_as_overdue_may_wait_again_after_a_replay(store: Store) -> None:
    async def test() -> None:
        sent = arrival()
        await wait(store, sent)
        await store.messages.expire(UNTIL)
        await store.messages.claim(1, UNTIL, LEASE)
        refusal = Decision(message=sent.id, attempt=1, fence=2, event=Event.REFUSED)
        await store.messages.decide(refusal, UNTIL)
        store.database.submit(lambda to: replay(to, sent.id, "operator", "it is on its way", NOW)).result()
        (again,) = await store.messages.claim(1, UNTIL, LEASE)
        assert again.overdue == ""

    run(test)


def test_of_two_declarations_under_one_agreement_for_one_shipment_the_second_is_judged_again(
    store: Store,
) -> None:
    async def test() -> None:
        await notify(store)
        first, second = arrival(1), arrival(2)
        await add_and_claim(store, first, second)
        outcomes = await asyncio.gather(
            *(store.messages.decide(under(message, store), NOW) for message in (first, second)),
        )
        assert list(outcomes) == [Applied(State.ACCEPTED), Refusal.SUPERSEDED]
        (row,) = rows(store, agreements, number=NUMBER)
        assert (row.state, row.used_by) == (AgreementState.USED, first.id)
        assert [row.message for row in rows(store, deliveries)] == [first.id]

    run(test)


def test_a_long_term_mandate_is_used_by_many(store: Store) -> None:
    async def test() -> None:
        await notify(store, kind=AgreementKind.LONG_TERM)
        first, second = arrival(1), arrival(2)
        await add_and_claim(store, first, second)
        for message in (first, second):
            assert await store.messages.decide(under(message, store), NOW) == Applied(State.ACCEPTED)
        (row,) = rows(store, agreements, number=NUMBER)
        assert (row.state, row.used_by) == (AgreementState.IN_FORCE, None)
        acts = [(act.act, act.message) for act in rows(store, agreement_acts, number=NUMBER)][1:]
        assert acts == [(Act.USED, first.id), (Act.USED, second.id)]

    run(test)


def test_a_notice_that_was_judged_on_an_older_state_is_not_written(store: Store) -> None:
    async def test() -> None:
        await accepted_under(store)
        late = AgreementChange(
            after=replace(AGREEMENT, state=AgreementState.TERMINATED),
            act=Act.TERMINATED,
            at=NOW,
            reason="",
            seen=1,
        )
        for change in (late, replace(late, seen=0)):
            with pytest.raises(NotAsRead):
                store.database.submit(
                    partial(apply_notice, change=change, notice=arrival(9), actor="association", at=NOW)
                ).result()
        assert [row.act for row in rows(store, agreement_acts)] == [
            Act.CONFIRMED,
            Act.USED,
        ]

    run(test)


@pytest.mark.parametrize(
    ("status", "state", "acts"),
    [
        (CustomsStatus.REFUSED, AgreementState.IN_FORCE, [Act.FREED]),
        (CustomsStatus.DELETED, AgreementState.USED, []),
        (CustomsStatus.CLOSED, AgreementState.USED, []),
        (CustomsStatus.STORED, AgreementState.USED, []),
    ],
)
def test_an_agreement_is_released_when_customs_refuses_and_only_then(
    store: Store, status: CustomsStatus, state: AgreementState, acts: list[Act]
) -> None:
    async def test() -> None:
        sent = await accepted_under(store)
        assert await customs_says(store, sent, status, b"<a/>")
        assert await customs_says(store, sent, status, b"<b/>")
        (row,) = rows(store, agreements, number=NUMBER)
        assert (row.state, row.used_by) == (state, None if acts else sent.id)
        assert [act.act for act in rows(store, agreement_acts)] == [
            Act.CONFIRMED,
            Act.USED,
            *acts,
        ]
        assert row_of(store, sent).agreement == NUMBER  # the verdict is frozen

    run(test)


def test_a_terminated_agreement_does_not_come_in_force_again_when_its_declaration_is_refused(
    store: Store,
) -> None:
    async def test() -> None:
        sent = await accepted_under(store)
        await notify(store, Act.TERMINATED)
        assert await customs_says(store, sent, CustomsStatus.REFUSED, b"<a/>")
        (row,) = rows(store, agreements, number=NUMBER)
        assert (row.state, row.used_by) == (AgreementState.TERMINATED, None)

    run(test)


def test_a_revoked_agreement_holds_what_customs_has_not_taken_where_the_notice_says_so(store: Store) -> None:
    async def test() -> None:
        await notify(store, kind=AgreementKind.LONG_TERM)
        taken, sending, waiting = arrival(1), arrival(2), arrival(3)
        await add_and_claim(store, taken, sending, waiting)
        for delivery in (taken, sending):
            await store.messages.decide(under(delivery, store), NOW)
        first, second = await store.outbox.claim("customs", 10, NOW)
        await store.outbox.settle(first, DeliveryState.DELIVERED, "", NOW, NOW)
        await store.messages.decide(under(waiting, store), NOW)
        await notify(store, Act.TERMINATED, holds=True, kind=AgreementKind.LONG_TERM)

        states = [row_of(store, delivery).state for delivery in (taken, sending, waiting)]
        assert states == [State.DELIVERED, State.HELD, State.HELD]
        assert NUMBER in row_of(store, waiting).reason
        assert [row.state for row in rows(store, deliveries)] == ["delivered", "sending", "held"]
        assert await store.outbox.claim("customs", 10, NOW + LEASE) == ()
        # What was on the wire when it happened is not sent again by itself.
        await store.outbox.settle(second, DeliveryState.PENDING, "refused connection", NOW, NOW)
        assert await store.outbox.claim("customs", 10, NOW + LEASE) == ()
        assert [row.state for row in rows(store, deliveries)] == ["delivered", "held", "held"]

    run(test)


def test_a_delivery_taken_after_its_message_was_held_is_delivered(store: Store) -> None:
    async def test() -> None:
        sent = await accepted_under(store)
        (delivery,) = await store.outbox.claim("customs", 10, NOW)
        await notify(store, Act.TERMINATED, holds=True)
        await store.outbox.settle(delivery, DeliveryState.DELIVERED, "", NOW, NOW)
        assert row_of(store, sent).state == State.DELIVERED

    run(test)


def test_a_node_that_dies_does_not_send_what_was_held_while_it_was_sent(store: Store) -> None:
    async def test() -> None:
        sent = await accepted_under(store)
        await store.outbox.claim("customs", 10, NOW)
        await notify(store, Act.TERMINATED, holds=True)
        assert await store.restarted() == 1
        assert await store.outbox.claim("customs", 10, NOW) == ()
        store.database.submit(lambda to: replay(to, sent.id, "operator", "it may go", NOW)).result()
        (again,) = await store.outbox.claim("customs", 10, NOW)
        assert again.unknown

    run(test)


def test_a_revoked_agreement_stops_nothing_where_the_notice_does_not_say_so(store: Store) -> None:
    async def test() -> None:
        sent = await accepted_under(store)
        await notify(store, Act.TERMINATED)
        assert row_of(store, sent).state == State.ACCEPTED
        assert len(await store.outbox.claim("customs", 10, NOW)) == 1

    run(test)
