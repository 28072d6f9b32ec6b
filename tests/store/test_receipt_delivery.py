"""The contract of `ports.ReceiptDeliveries`: which receipts are due to whom, and until when."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert

from adapters.store.claims import TO_POST_OVER_AMQP
from adapters.store.database import Transaction
from adapters.store.tables.operations import replies
from adapters.store.tables.queues import to_post
from adapters.store.write.receipt_delivery import SqlReceiptDeliveries
from gateway.model.folders import Folder
from gateway.model.message import Reply
from gateway.model.parties import Delivery
from gateway.notify.ports import ReceiptDelivery
from gateway.run.claims import LEASE
from tests.support.stores import NOW, Store, accepted, add_and_claim, arrival, register

LATER = NOW + timedelta(minutes=5)


def write_receipts(store: Store) -> None:
    """Two declarations of `broker` are accepted, one receipt each."""

    async def work() -> None:
        for number in (1, 2):
            sent = arrival(number)
            await add_and_claim(store, sent)
            decision = accepted(sent, content=f"{number:064x}")
            facts = decision.facts
            assert facts is not None
            key = replace(facts.key, reference=f"R-{number}")
            await store.messages.decide(replace(decision, facts=replace(facts, key=key)), NOW)

    asyncio.run(work())


def claim(store: Store, account: str | None, at: timedelta = timedelta()) -> list[ReceiptDelivery]:
    return list(asyncio.run(SqlReceiptDeliveries(store.database).claim(account, 10, NOW + at)))


@pytest.fixture
def folders(store: Store) -> Store:
    register(store, "broker", Delivery.FOLDER, 1)
    write_receipts(store)
    return store


def test_receipts_of_an_account_with_folders_are_due_to_it_alone_the_oldest_first(folders: Store) -> None:
    claimed = claim(folders, "broker")
    assert [(item.name, item.message_name, item.reference) for item in claimed] == [
        ("Gateway_1.zip", "1.zip", "R-1"),
        ("Gateway_2.zip", "2.zip", "R-2"),
    ]
    assert {(item.account, item.folder, item.verdict, item.final) for item in claimed} == {
        ("broker", Folder.INBOX, "accepted", True)
    }
    assert claimed[0].body == b"accepted"
    assert claim(folders, "other") == claim(folders, None) == []


def test_a_delivered_receipt_is_not_due_again_and_an_undelivered_one_is_due_later(folders: Store) -> None:
    first, second = claim(folders, "broker")
    deliveries = SqlReceiptDeliveries(folders.database)
    asyncio.run(deliveries.posted([first], NOW))
    asyncio.run(deliveries.later([first, second], LATER))
    assert claim(folders, "broker") == []
    assert claim(folders, "broker", timedelta(minutes=5)) == [replace(second, fence=second.fence + 1)]


def test_a_receipt_left_by_another_node_is_claimed_again_and_the_earlier_claim_writes_nothing(
    folders: Store,
) -> None:
    deliveries, before = SqlReceiptDeliveries(folders.database), claim(folders, "broker")
    first, second = claim(folders, "broker")
    assert [first.fence, second.fence] == [delivery.fence + 1 for delivery in before]
    asyncio.run(deliveries.posted(before, NOW))
    asyncio.run(deliveries.later(before, LATER))
    asyncio.run(deliveries.posted([first], NOW))
    assert [delivery.receipt for delivery in claim(folders, "broker")] == [second.receipt]


def test_another_node_gets_what_one_claimed_only_when_its_lease_is_over(folders: Store) -> None:
    deliveries, (first, second) = SqlReceiptDeliveries(folders.database), claim(folders, "broker")
    one, folders.database.owner = folders.database.owner, "another node"
    asyncio.run(folders.claims.take_over(NOW + LEASE - timedelta(seconds=1)))
    assert claim(folders, "broker") == []
    assert asyncio.run(folders.claims.take_over(NOW + LEASE)) == 2
    claimed = claim(folders, "broker", LEASE)
    assert [delivery.receipt for delivery in claimed] == [first.receipt, second.receipt]
    folders.database.owner = one
    asyncio.run(deliveries.posted([first], NOW))
    folders.database.owner = "another node"
    asyncio.run(deliveries.posted(claimed, NOW))
    assert claim(folders, "broker", LEASE) == []


def test_an_account_with_one_receipt_waits_for_one_of_anothers_many(store: Store) -> None:
    register(store, "broker", Delivery.AMQP, 1)
    register(store, "other", Delivery.AMQP, 2)
    write_receipts(store)
    row = {"account": "other", "item": 1_000, "due_at": NOW, "fence": 0}

    def add(transaction: Transaction) -> None:
        transaction.connection.execute(insert(to_post), row)

    store.database.submit(add).result()
    claimed = store.database.submit(
        lambda transaction: TO_POST_OVER_AMQP.claim(transaction, "a node", 2, NOW, LATER)
    ).result()
    assert [account for account, _claim in claimed] == ["broker", "other"]


def test_a_receipt_that_its_account_removes_is_not_delivered(folders: Store) -> None:
    first, second = claim(folders, "broker")
    asyncio.run(folders.mailbox.collected("broker", first.receipt, NOW, removed=True))
    assert [delivery.receipt for delivery in claim(folders, "broker")] == [second.receipt]
    asyncio.run(folders.mailbox.collected("another", second.receipt, NOW, removed=True))
    assert [delivery.receipt for delivery in claim(folders, "broker")] == [second.receipt]


def test_receipts_of_an_account_over_amqp_name_the_reply_queue_of_its_message(store: Store) -> None:
    register(store, "broker", Delivery.AMQP, 1)
    write_receipts(store)
    row = {
        "message": arrival(1).id,
        "account": "broker",
        "message_id": "m-1",
        "correlation": "c-1",
        "reply_to": "broker.replies",
    }
    store.database.submit(lambda transaction: transaction.connection.execute(insert(replies), row)).result()

    first, second = claim(store, None)
    assert first.reply == Reply(message_id="m-1", correlation="c-1", to="broker.replies")
    assert second.reply is None
    assert claim(store, "broker") == []


def test_receipts_of_an_account_that_fetches_them_are_never_due(store: Store) -> None:
    register(store, "broker", Delivery.INBOX, 1)
    write_receipts(store)
    assert claim(store, "broker") == claim(store, None) == []


def test_the_folder_of_a_message_is_shown_to_its_account_alone(folders: Store) -> None:
    async def whereabouts(account: str) -> dict[str, Folder]:
        ids = [arrival(1).id, arrival(2).id, "0" * 26]
        return dict(await folders.mailbox.whereabouts(account, ids))

    assert asyncio.run(whereabouts("broker")) == dict.fromkeys((arrival(1).id, arrival(2).id), Folder.SENTBOX)
    assert asyncio.run(whereabouts("other")) == {}
