"""The contract of `ports.ReceiptDeliveries`: which receipts are due to whom, and until when."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert

from adapters.store.tables.messages import parties
from adapters.store.tables.operations import replies
from adapters.store.write.receipt_delivery import SqlReceiptDeliveries
from gateway.model.folders import Folder
from gateway.model.message import Reply
from gateway.model.parties import Delivery
from gateway.notify.ports import ReceiptDelivery
from tests.support.stores import NOW, Store, accepted, add_and_claim, arrival

LATER = NOW + timedelta(minutes=5)


def register(store: Store, account: str, delivery: Delivery, number: int) -> None:
    row = {
        "code": f"{number:010}",
        "scc": f"{number:018}",
        "organisation": f"{number:09}",
        "account": account,
        "delivery": delivery,
        "record": {},
        "changed_at": NOW,
    }
    store.database.submit(lambda transaction: transaction.connection.execute(insert(parties), row)).result()


def given(store: Store) -> None:
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


def due(store: Store, accounts: list[str] | None, at: timedelta = timedelta()) -> list[ReceiptDelivery]:
    return list(asyncio.run(SqlReceiptDeliveries(store.database).due(accounts, 10, NOW + at)))


@pytest.fixture
def folders(store: Store) -> Store:
    register(store, "broker", Delivery.FOLDER, 1)
    given(store)
    return store


def test_receipts_of_an_account_with_folders_are_due_to_it_alone_the_oldest_first(folders: Store) -> None:
    found = due(folders, ["broker", "other"])
    assert [(each.name, each.message_name, each.reference) for each in found] == [
        ("Gateway_1.zip", "1.zip", "R-1"),
        ("Gateway_2.zip", "2.zip", "R-2"),
    ]
    assert {(each.account, each.folder, each.verdict, each.final) for each in found} == {
        ("broker", Folder.INBOX, "accepted", True)
    }
    assert found[0].body == b"accepted"
    assert due(folders, ["other"]) == due(folders, None) == []


def test_what_was_posted_is_not_due_again_and_what_could_not_be_is_due_later(folders: Store) -> None:
    first, second = due(folders, ["broker"])
    postings = SqlReceiptDeliveries(folders.database)
    asyncio.run(postings.posted([first.receipt], NOW))
    asyncio.run(postings.later([first.receipt, second.receipt], LATER))
    assert due(folders, ["broker"]) == []
    assert due(folders, ["broker"], timedelta(minutes=5)) == [second]


def test_receipts_of_an_account_that_is_published_to_tell_where_its_message_wants_them(store: Store) -> None:
    register(store, "broker", Delivery.AMQP, 1)
    given(store)
    row = {
        "message": arrival(1).id,
        "account": "broker",
        "message_id": "m-1",
        "correlation": "c-1",
        "reply_to": "broker.replies",
    }
    store.database.submit(lambda transaction: transaction.connection.execute(insert(replies), row)).result()

    first, second = due(store, None)
    assert first.reply == Reply(message_id="m-1", correlation="c-1", to="broker.replies")
    assert second.reply is None
    assert due(store, ["broker"]) == []


def test_receipts_of_an_account_that_fetches_them_are_never_due(store: Store) -> None:
    register(store, "broker", Delivery.INBOX, 1)
    given(store)
    assert due(store, ["broker"]) == due(store, None) == []


def test_where_a_message_stands_is_told_to_its_account_alone(folders: Store) -> None:
    async def asked(account: str) -> dict[str, Folder]:
        ids = [arrival(1).id, arrival(2).id, "0" * 26]
        return dict(await folders.mailbox.whereabouts(account, ids))

    assert asyncio.run(asked("broker")) == dict.fromkeys((arrival(1).id, arrival(2).id), Folder.SENTBOX)
    assert asyncio.run(asked("other")) == {}
