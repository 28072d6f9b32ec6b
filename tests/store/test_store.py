"""What every store must promise to the node: ports.MessageStore, Outbox, Mailbox, Register and
AnswerStore."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from adapters.store.database import GENESIS, chained
from adapters.store.tables.messages import events
from gateway.model.answer import Answer
from gateway.model.decision import Decision
from gateway.model.delivery import Outgoing
from gateway.model.folders import Folder
from gateway.model.states import CustomsStatus, DeliveryState, Event, State
from gateway.model.transition import Applied, Refusal
from tests.support.acts import replay
from tests.support.invariants import logged
from tests.support.stores import (
    KEY,
    LEASE,
    NOW,
    WAITS,
    Store,
    accept,
    accepted,
    add_and_claim,
    arrival,
    customs_says,
    customs_says_of,
    filed,
    names,
    receipt,
    refused,
    target_of,
)


def test_a_claimed_message_is_no_one_elses_until_its_lease_ends(store: Store) -> None:
    async def run() -> None:
        await add_and_claim(store, arrival())
        assert await store.messages.claim(10, NOW + LEASE / 2, LEASE) == ()
        # Its owner does not take over from itself: its own task ends the claim.
        assert await store.messages.claim(10, NOW + LEASE * 2, LEASE) == ()
        store.database.owner = "another node"
        assert await store.claims.take_over(NOW + LEASE / 2) == 0
        assert await store.messages.claim(10, NOW + LEASE * 2, LEASE) == ()
        assert await store.claims.take_over(NOW + LEASE) == 1
        again = await store.messages.claim(10, NOW + LEASE, LEASE)
        assert [(received.attempts, received.fence) for received in again] == [(2, 2)]

    asyncio.run(run())


def test_messages_are_claimed_oldest_first_and_no_more_than_asked_for(store: Store) -> None:
    async def run() -> None:
        sent = [arrival(number) for number in range(1, 6)]
        for upload in sent:
            await store.messages.add(upload)
        first = await store.messages.claim(2, NOW, LEASE)
        rest = await store.messages.claim(10, NOW, LEASE)
        assert [received.arrival.id for received in (*first, *rest)] == [upload.id for upload in sent]

    asyncio.run(run())


def test_an_account_with_many_messages_does_not_keep_anothers_waiting(store: Store) -> None:
    async def run() -> None:
        many = [arrival(number, "busy") for number in range(1, 9)]
        one = arrival(9, "other")
        for upload in (*many, one):
            await store.messages.add(upload)
        first = await store.messages.claim(2, NOW, LEASE)
        assert [received.arrival.id for received in first] == [many[0].id, one.id]
        # The other account has nothing more: all places are the first one's, in its order.
        rest = await store.messages.claim(3, NOW, LEASE)
        assert [received.arrival.id for received in rest] == [upload.id for upload in many[1:4]]
        late = arrival(10, "other")
        await store.messages.add(late)
        (next_,) = await store.messages.claim(1, NOW, LEASE)
        assert next_.arrival.id == late.id

    asyncio.run(run())


def test_however_many_messages_an_account_has_anothers_is_among_the_next(store: Store) -> None:
    async def run() -> None:
        # As when an agreement comes that thousands wait for: they are older than what others send meanwhile.
        for number in range(1, 2101):
            await store.messages.add(arrival(number, "busy"))
        one = arrival(2101, "other")
        await store.messages.add(one)
        claimed = await store.messages.claim(2, NOW, LEASE)
        assert one.id in [received.arrival.id for received in claimed]

    asyncio.run(run())


def test_recovery_releases_claims_and_keeps_their_attempts(store: Store) -> None:
    async def run() -> None:
        await add_and_claim(store, arrival())
        assert await store.restarted() == 1
        (again,) = await store.messages.claim(1, NOW, LEASE)
        assert again.attempts == 2

    asyncio.run(run())


def test_of_messages_whose_judgement_broke_off_only_as_many_are_claimed_as_asked_for(store: Store) -> None:
    async def run() -> None:
        sent = [arrival(number) for number in range(1, 7)]
        for upload in sent[:5]:
            await store.messages.add(upload)
        assert len(await store.messages.claim(5, NOW, LEASE, again=2)) == 5
        assert await store.restarted() == 5
        await store.messages.add(sent[5])
        claimed = await store.messages.claim(10, NOW, LEASE, again=2)
        assert [received.arrival.id for received in claimed] == [sent[0].id, sent[1].id, sent[5].id]
        assert [received.attempts for received in claimed] == [2, 2, 1]
        assert not await store.messages.claim(10, NOW, LEASE, again=0)
        # The attempts of those that were left alone are as before.
        rest = await store.messages.claim(10, NOW, LEASE)
        assert [(received.arrival.id, received.attempts) for received in rest] == [
            (upload.id, 2) for upload in sent[2:5]
        ]

    asyncio.run(run())


def test_a_message_that_is_put_back_counts_only_a_crash(store: Store) -> None:
    async def run() -> None:
        sent = arrival()
        (first,) = await add_and_claim(store, sent)
        await store.messages.put_back(first, NOW + timedelta(seconds=5), crashed=False)
        assert await store.messages.claim(1, NOW, LEASE) == ()
        (again,) = await store.messages.claim(1, NOW + timedelta(seconds=6), LEASE)
        assert again.attempts == 1
        await store.messages.put_back(again, NOW, crashed=True)
        (third,) = await store.messages.claim(1, NOW + timedelta(seconds=6), LEASE)
        assert third.attempts == 2

    asyncio.run(run())


def test_a_decision_that_comes_after_another_attempt_began_is_not_written(store: Store) -> None:
    async def run() -> None:
        sent = arrival()
        await add_and_claim(store, sent)
        await store.restarted()
        await store.messages.claim(1, NOW, LEASE)
        refused = await store.messages.decide(accepted(sent, attempt=1), NOW)
        assert refused is Refusal.LATE
        assert await names(store, Folder.INBOX) == []
        assert await store.messages.decide(accepted(sent, attempt=2), NOW) == Applied(State.ACCEPTED)

    asyncio.run(run())


def test_a_decision_is_written_once(store: Store) -> None:
    async def run() -> None:
        sent = arrival()
        await accept(store, sent)
        refused = await store.messages.decide(accepted(sent), NOW)
        assert refused is Refusal.LATE
        assert len(await store.outbox.claim("customs", 10, NOW)) == 1

    asyncio.run(run())


def test_a_key_is_taken_by_one_of_two_messages_judged_at_the_same_time(store: Store) -> None:
    async def run() -> None:
        first, second = arrival(1), arrival(2)
        await add_and_claim(store, first, second)
        outcomes = await asyncio.gather(
            store.messages.decide(accepted(first), NOW),
            store.messages.decide(accepted(second), NOW),
        )
        assert list(outcomes) == [Applied(State.ACCEPTED), Refusal.SUPERSEDED]
        assert len(await store.outbox.claim("customs", 10, NOW)) == 1
        holder = store.register.holder(KEY)
        assert holder is not None
        assert holder.id == first.id

    asyncio.run(run())


def test_a_correction_takes_the_key_over_from_the_message_it_was_judged_against(store: Store) -> None:
    async def run() -> None:
        first, second = arrival(1), arrival(2)
        await accept(store, first)
        await add_and_claim(store, second)
        decision = accepted(second, content="d" * 64, holder=first.id)
        assert await store.messages.decide(decision, NOW) == Applied(State.ACCEPTED)
        holder = store.register.holder(KEY)
        assert holder is not None
        assert holder.id == second.id

    asyncio.run(run())


def test_a_message_whose_submission_cannot_be_written_changes_in_nothing(store: Store) -> None:
    async def run() -> None:
        first, second = arrival(1), arrival(2)
        await accept(store, first)
        await add_and_claim(store, second)
        (submission,) = accepted(first).submissions
        broken = replace(accepted(second, holder=first.id), submissions=(submission,))  # a key used before
        with pytest.raises(Exception, match="UNIQUE"):
            await store.messages.decide(broken, NOW)
        assert await names(store, Folder.OUTBOX) == ["2.zip"]
        assert await names(store, Folder.INBOX) == ["Gateway_1.zip"]
        holder = store.register.holder(KEY)
        assert holder is not None
        assert holder.id == first.id

    asyncio.run(run())


def test_the_folders_follow_the_verdict(store: Store) -> None:
    async def run() -> None:
        good, bad = arrival(1), arrival(2)
        await store.messages.add(good)
        assert await names(store, Folder.OUTBOX) == ["1.zip"]
        await store.messages.claim(1, NOW, LEASE)
        await store.messages.decide(accepted(good), NOW)
        await add_and_claim(store, bad)
        await store.messages.decide(refused(bad), NOW)
        assert await names(store, Folder.OUTBOX) == []
        assert await names(store, Folder.SENTBOX) == ["1.zip"]
        assert await names(store, Folder.FAILBOX) == ["2.zip"]
        assert await names(store, Folder.INBOX) == ["Gateway_1.zip", "Gateway_2.zip"]

    asyncio.run(run())


def test_no_account_sees_or_reads_what_is_anothers(store: Store) -> None:
    async def run() -> None:
        await accept(store, arrival())
        (entry,) = await store.mailbox.page("broker", Folder.INBOX, "", 100)
        assert entry.receipt is not None
        assert await names(store, Folder.INBOX, "other") == []
        assert await store.mailbox.entry("other", Folder.INBOX, entry.name) is None
        with pytest.raises(KeyError):
            await store.mailbox.body("other", entry.receipt)
        await store.mailbox.collected("other", entry.receipt, NOW, removed=True)
        assert await store.mailbox.body("broker", entry.receipt) == b"accepted"

    asyncio.run(run())


def test_a_removed_receipt_is_gone_from_the_folder(store: Store) -> None:
    async def run() -> None:
        await accept(store, arrival())
        (entry,) = await store.mailbox.page("broker", Folder.INBOX, "", 100)
        assert entry.receipt is not None
        await store.mailbox.collected("broker", entry.receipt, NOW, removed=False)
        assert await names(store, Folder.INBOX) == [entry.name]
        await store.mailbox.collected("broker", entry.receipt, NOW, removed=True)
        assert await names(store, Folder.INBOX) == []

    asyncio.run(run())


def test_a_repeated_message_gets_the_same_receipts_again_under_its_own_name(store: Store) -> None:
    async def run() -> None:
        first, second = arrival(1), arrival(2)
        await accept(store, first)
        await add_and_claim(store, second)
        repeated = Decision(
            message=second.id,
            attempt=1,
            fence=1,
            event=Event.REPEATED,
            facts=accepted(second).facts,
            linked=first.id,
        )
        assert await store.messages.decide(repeated, NOW) == Applied(State.CLOSED)
        page = await store.mailbox.page("broker", Folder.INBOX, "", 100)
        assert len({entry.name for entry in page}) == 2
        bodies = [await store.mailbox.body("broker", entry.receipt or 0) for entry in page]
        assert bodies == [b"accepted", b"accepted"]
        assert len(await store.outbox.claim("customs", 10, NOW)) == 1

    asyncio.run(run())


def test_a_rejected_message_holds_no_key_but_is_found_for_its_correction(store: Store) -> None:
    async def run() -> None:
        sent = arrival()
        await add_and_claim(store, sent)
        await store.messages.decide(refused(sent), NOW)
        earlier = store.register.holder(KEY)
        assert earlier is not None
        assert (earlier.id, earlier.state) == (sent.id, State.REJECTED)
        correction = arrival(2)
        await add_and_claim(store, correction)
        assert await store.messages.decide(accepted(correction), NOW) == Applied(State.ACCEPTED)

    asyncio.run(run())


def test_a_held_message_never_counts_as_an_earlier_one(store: Store) -> None:
    async def run() -> None:
        sent = arrival()
        await add_and_claim(store, sent)
        broke = replace(refused(sent), event=Event.FAILED, receipts=(), reason="three crashes")
        await store.messages.decide(broke, NOW)
        assert store.register.holder(KEY) is None

    asyncio.run(run())


def test_a_held_message_is_announced_once(store: Store) -> None:
    async def run() -> None:
        sent = arrival()
        await add_and_claim(store, sent)
        await store.messages.decide(Decision(message=sent.id, attempt=1, fence=1, event=Event.FAILED), NOW)
        assert await store.pending_receipts.claim(NOW - timedelta(minutes=5), NOW, {}, 10, NOW) == ()
        (held,) = await store.pending_receipts.claim(NOW + timedelta(minutes=5), NOW, {}, 10, NOW)
        pending = replace(receipt("held", "Gateway_held"), final=False)
        await store.pending_receipts.send(held, pending, NOW)
        await store.pending_receipts.send(held, pending, NOW)
        assert await names(store, Folder.INBOX) == ["Gateway_held"]
        assert await store.pending_receipts.claim(NOW + timedelta(minutes=5), NOW, {}, 10, NOW) == ()

    asyncio.run(run())


def test_the_same_verdict_after_a_replay_gives_no_second_final_receipt(store: Store) -> None:
    async def run() -> None:
        sent = arrival()
        await add_and_claim(store, sent)
        await store.messages.decide(refused(sent), NOW)
        await store.database.write(lambda transaction: replay(transaction, sent.id, "op", "why", NOW))
        assert len(await store.messages.claim(1, NOW, LEASE)) == 1
        again = replace(refused(sent), fence=2, receipts=(receipt("rejected", "Gateway_again"),))
        await store.messages.decide(again, NOW)
        assert await names(store, Folder.INBOX) == ["Gateway_1.zip"]

    asyncio.run(run())


def test_another_verdict_after_a_replay_takes_the_place_of_the_first(store: Store) -> None:
    async def run() -> None:
        sent = arrival()
        await add_and_claim(store, sent)
        await store.messages.decide(refused(sent), NOW)
        await store.database.write(lambda transaction: replay(transaction, sent.id, "op", "why", NOW))
        await store.messages.claim(1, NOW, LEASE)
        passed = replace(accepted(sent), fence=2, receipts=(receipt("accepted", "Gateway_now"),))
        assert await store.messages.decide(passed, NOW) == Applied(State.ACCEPTED)
        assert await names(store, Folder.INBOX) == ["Gateway_1.zip", "Gateway_now"]

    asyncio.run(run())


def settled(store: Store, delivery: Outgoing, state: DeliveryState) -> "asyncio.Future[bool]":
    return asyncio.ensure_future(store.outbox.settle(delivery, state, "", NOW, NOW + timedelta(seconds=30)))


def test_a_delivery_is_claimed_once_and_comes_back_when_it_is_due(store: Store) -> None:
    async def run() -> None:
        await accept(store, arrival())
        (delivery,) = await store.outbox.claim("customs", 10, NOW)
        assert not delivery.unknown
        assert await store.outbox.claim("customs", 10, NOW) == ()
        await settled(store, delivery, DeliveryState.PENDING)
        assert await store.outbox.claim("customs", 10, NOW) == ()
        (again,) = await store.outbox.claim("customs", 10, NOW + timedelta(minutes=1))
        assert (again.id, again.attempts) == (delivery.id, 2)

    asyncio.run(run())


def test_a_delivery_that_a_dead_node_was_sending_is_asked_about_first(store: Store) -> None:
    async def run() -> None:
        await accept(store, arrival())
        await store.outbox.claim("customs", 10, NOW)
        assert await store.restarted() == 1
        (again,) = await store.outbox.claim("customs", 10, NOW)
        assert again.unknown

    asyncio.run(run())


@pytest.mark.parametrize(
    ("end", "state"),
    [
        (DeliveryState.DELIVERED, State.DELIVERED),
        (DeliveryState.REFUSED, State.HELD),
        (DeliveryState.HELD, State.HELD),
    ],
)
def test_the_end_of_a_delivery_is_the_next_state_of_its_message(
    store: Store, end: DeliveryState, state: State
) -> None:
    async def run() -> None:
        sent = arrival()
        await accept(store, sent)
        (delivery,) = await store.outbox.claim("customs", 10, NOW)
        await settled(store, delivery, end)
        holder = store.register.holder(KEY)
        assert holder is not None
        assert holder.state is state

    asyncio.run(run())


def test_an_answer_that_comes_twice_is_filed_once(store: Store) -> None:
    async def run() -> None:
        sent = arrival()
        await accept(store, sent)
        assert await customs_says(store, sent, CustomsStatus.STORED, b"L")
        assert not await customs_says(store, sent, CustomsStatus.STORED, b"L")
        assert await names(store, Folder.INBOX) == ["Gateway_1.zip", "L"]

    asyncio.run(run())


def test_an_answer_that_comes_twice_at_once_is_filed_once(store: Store) -> None:
    async def run() -> None:
        sent = arrival()
        await accept(store, sent)
        declaration = await target_of(store, sent)
        stored = customs_says_of(CustomsStatus.STORED, b"L", declaration)
        closed = customs_says_of(CustomsStatus.CLOSED, b"R", declaration)
        assert await filed(store.answers, [stored, stored, closed, stored, closed]) == [stored, closed]
        assert await names(store, Folder.INBOX) == ["Gateway_1.zip", "L", "R"]

    asyncio.run(run())


def test_an_answer_of_which_nothing_is_known_is_filed_once_however_often_it_comes(store: Store) -> None:
    async def run() -> None:
        assert await filed(store.answers, [WAITS, WAITS]) == [WAITS]
        assert await filed(store.answers, [WAITS]) == []
        assert len(await store.answers.parked({"I1"})) == 1

    asyncio.run(run())


def test_an_answer_that_waited_is_taken_once_whoever_finds_it(store: Store) -> None:
    async def run() -> None:
        sent = arrival()
        await accept(store, sent)
        body = [b"L", b"R"]
        waits = [replace(WAITS, answer=Answer(id="1", name="answer.xml", body=content)) for content in body]
        assert await filed(store.answers, waits) == waits
        declaration = await target_of(store, sent)
        stored, closed = (
            replace(customs_says_of(status, parked.answer.body, declaration), parked=parked.parked)
            for status, parked in zip(
                (CustomsStatus.STORED, CustomsStatus.CLOSED), await store.answers.parked({"I1"}), strict=True
            )
        )
        assert await filed(store.answers, [stored]) == [stored]
        assert await filed(store.answers, [stored]) == []
        # What waits is given again by customs, with the key of its declaration this time.
        now = await target_of(store, sent)
        assert await filed(store.answers, [replace(closed, declaration=now, parked=None)]) == []
        assert await filed(store.answers, [replace(closed, declaration=now)]) == [
            replace(closed, declaration=now)
        ]
        assert await store.answers.parked({"I1"}) == []
        assert await names(store, Folder.INBOX) == ["Gateway_1.zip", "L", "R"]

    asyncio.run(run())


def test_a_waiting_answer_that_repeats_a_filed_one_waits_no_longer_and_is_not_relayed(store: Store) -> None:
    async def run() -> None:
        sent = arrival()
        await accept(store, sent)
        assert await customs_says(store, sent, CustomsStatus.STORED, b"L")
        assert await filed(store.answers, [WAITS]) == [WAITS]
        (parked,) = await store.answers.parked({"I1"})
        again = replace(
            customs_says_of(CustomsStatus.STORED, b"L", await target_of(store, sent)), parked=parked.parked
        )
        assert await filed(store.answers, [again]) == []
        assert await store.answers.parked({"I1"}) == []
        assert await names(store, Folder.INBOX) == ["Gateway_1.zip", "L"]

    asyncio.run(run())


def test_an_answer_decided_on_an_older_state_is_not_written(store: Store) -> None:
    async def run() -> None:
        sent = arrival()
        await accept(store, sent)
        older = await target_of(store, sent)
        assert await customs_says(store, sent, CustomsStatus.STORED, b"L")
        late = customs_says_of(CustomsStatus.CLOSED, b"R", older)
        assert await filed(store.answers, [late, WAITS]) is Refusal.SUPERSEDED
        assert await filed(store.answers, [WAITS]) == [WAITS]  # nothing of them was written
        assert await names(store, Folder.INBOX) == ["Gateway_1.zip", "L"]

    asyncio.run(run())


def test_an_answer_before_the_delivery_is_settled_closes_the_message_for_good(store: Store) -> None:
    async def run() -> None:
        sent = arrival()
        await accept(store, sent)
        (delivery,) = await store.outbox.claim("customs", 10, NOW)
        assert await customs_says(store, sent, CustomsStatus.CLOSED, b"R")
        await settled(store, delivery, DeliveryState.DELIVERED)
        holder = store.register.holder(KEY)
        assert holder is not None
        assert holder.state is State.CLOSED

    asyncio.run(run())


def test_a_declaration_refused_by_customs_may_be_sent_again(store: Store) -> None:
    async def run() -> None:
        sent = arrival()
        await accept(store, sent)
        assert await customs_says(store, sent, CustomsStatus.REFUSED, b"E")
        holder = store.register.holder(KEY)
        assert holder is not None
        assert holder.refused_by_customs

    asyncio.run(run())


def test_the_log_of_events_is_one_chain_from_the_first(store: Store) -> None:
    async def run() -> None:
        await asyncio.gather(*(store.messages.add(arrival(number)) for number in range(1, 40)))
        claimed = await store.messages.claim(40, NOW, LEASE)
        await asyncio.gather(*(store.messages.decide(refused(received.arrival), NOW) for received in claimed))
        rows = await store.database.read(
            lambda reader: reader.execute(select(events).order_by(events.c.sequence)).all()
        )
        assert len(rows) == 78
        digest = GENESIS
        for row in rows:
            digest = chained(digest, logged(row))
            assert digest == row.digest

    asyncio.run(run())


def test_a_change_that_fails_takes_nothing_else_with_it(store: Store) -> None:
    async def run() -> None:
        same = arrival(1)
        outcomes = await asyncio.gather(
            *(store.messages.add(upload) for upload in (arrival(2), same, same, arrival(3))),
            return_exceptions=True,
        )
        assert [outcome is None for outcome in outcomes] == [True, True, False, True]
        assert len(await store.messages.claim(10, NOW, LEASE)) == 3

    asyncio.run(run())
