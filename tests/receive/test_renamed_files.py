"""What was taken under a name that its sender did not mean, and is renamed."""

import asyncio
from datetime import datetime, timedelta

import pytest

from adapters.store.read.mailbox import SqlMailbox
from adapters.store.read.message_detail import find_messages, trace_message
from adapters.store.read.message_search import MessageFilter, list_messages
from adapters.store.tables.messages import messages, receipts
from gateway.model.decision import Decision
from gateway.model.folders import Folder
from gateway.model.states import Event, State
from gateway.model.transition import Refusal
from gateway.receive.ports import MailboxEntry
from gateway.receive.renaming import RENAMED_WITHIN, NotRenamed
from tests.support.declarations import Declaration, Document
from tests.support.habits import AU3
from tests.support.harness import NOW, Harness
from tests.support.pdfs import pdf
from tests.support.rendering import files, render

ACCOUNT = "broker-aa"
SOON = NOW + timedelta(seconds=40)
LISTED = Declaration(documents=(Document(body=pdf()),))
((MEANT, PDF),) = files(LISTED, AU3).items()


def rename(
    harness: Harness, name: str, to: str, now: datetime = SOON, account: str = ACCOUNT
) -> MailboxEntry | None:
    return asyncio.run(SqlMailbox(harness.database).rename(account, name, to, now))


def again(harness: Harness, at: datetime = SOON) -> Decision:
    decision = harness.judgement(harness.claimed(at), at)
    asyncio.run(harness.messages.decide(decision, at))
    return decision


def declared(harness: Harness, name: str = "d.xml.1") -> Decision:
    return harness.judged(ACCOUNT, name, render(Declaration(), AU3))


def test_a_judged_file_keeps_its_verdict_and_is_found_by_both_names(harness: Harness) -> None:
    decision = declared(harness)
    before = harness.rows(receipts, message=decision.message)
    renamed = rename(harness, "d.xml.1", "d.xml")
    assert renamed is not None
    assert (renamed.folder, renamed.name) == (Folder.SENTBOX, "d.xml")
    row = harness.message(decision.message)
    assert (row["name"], row["state"], row["folder"]) == ("d.xml", State.ACCEPTED, "SentBox")
    assert harness.rows(receipts, message=decision.message) == before
    assert len(harness.rows(messages)) == 1
    with harness.database.engine.connect() as reader:
        (*_, last) = trace_message(reader, decision.message)
        assert (last["event"], last["actor"]) == (Event.RENAMED, ACCOUNT)
        assert (last["detail"]["name"], last["detail"]["to"]) == ("d.xml.1", "d.xml")
        for text in ("d.xml.1", "d.xml", "d.x"):
            for limit in (0, 5):
                rows = list_messages(reader, MessageFilter(text=text), limit)
                assert [row["id"] for row in rows] == [decision.message], text
        assert [row.id for row in find_messages(reader, "d.xml.1")] == [decision.message]


def test_a_receipt_that_is_written_later_bears_the_new_name(harness: Harness) -> None:
    received = harness.received(ACCOUNT, "d.xml.1", render(Declaration(), AU3))
    under_the_old_one = harness.judgement(received)
    rename(harness, "d.xml.1", "d.xml")
    refused = asyncio.run(harness.messages.decide(under_the_old_one, SOON))
    assert refused is Refusal.SUPERSEDED
    asyncio.run(harness.messages.put_back(received, SOON, crashed=False))
    decision = again(harness)
    assert decision.event is Event.PASSED
    receipt_rows = harness.rows(receipts, message=decision.message, account=ACCOUNT)
    assert {row["name"].split("_")[1] for row in receipt_rows} == {"d"}
    assert b'name="d.xml"' in decision.receipts[0].body


def test_only_the_account_itself_renames_and_only_for_ten_minutes(harness: Harness) -> None:
    id_ = declared(harness).message
    assert rename(harness, "d.xml.1", "d.xml", account="broker-b") is None
    assert rename(harness, "other.xml", "d.xml") is None
    late = NOW + RENAMED_WITHIN + timedelta(minutes=1)
    assert rename(harness, "d.xml.1", "d.xml", now=late) is None
    assert harness.message(id_)["name"] == "d.xml.1"
    assert rename(harness, "d.xml.1", "d.xml.1") is not None


def test_of_several_files_of_a_name_the_newest_is_renamed(harness: Harness) -> None:
    older, newer = declared(harness).message, declared(harness).message
    rename(harness, "d.xml.1", "d.xml")
    assert harness.message(older)["name"] == "d.xml.1"
    assert harness.message(newer)["name"] == "d.xml"


def test_a_file_that_waits_in_out_box_is_not_covered_by_another(harness: Harness) -> None:
    harness.judged(ACCOUNT, "a.pdf", PDF)
    declared(harness)
    with pytest.raises(NotRenamed, match="another file"):
        rename(harness, "d.xml.1", "a.pdf")


def test_a_pdf_that_waits_is_found_by_its_new_name(harness: Harness) -> None:
    alone = harness.judged(ACCOUNT, f"{MEANT}.x", PDF)
    listing = harness.judged(ACCOUNT, "d.xml", render(LISTED, AU3))
    assert listing.event is Event.WAITING
    assert rename(harness, f"{MEANT}.x", MEANT) is not None
    assert harness.message(alone.message)["state"] == State.RECEIVED
    assert again(harness).event is Event.WAITING
    receipt_rows = harness.rows(receipts, message=alone.message)
    assert [row["name"].rpartition("_")[0] for row in receipt_rows] == [
        f"Gateway_{MEANT}.x",
        f"Gateway_{MEANT}",
    ]
    later = again(harness, SOON + timedelta(seconds=1))
    assert (later.message, later.event) == (listing.message, Event.PASSED)
    assert harness.message(alone.message)["state"] == State.CLOSED
    with pytest.raises(NotRenamed, match="part of a declaration"):
        rename(harness, MEANT, "other.pdf")


def test_a_pdf_that_was_refused_for_its_name_is_judged_again_under_another(harness: Harness) -> None:
    refused = harness.judged(ACCOUNT, "a:b.pdf", PDF)
    assert refused.event is Event.REFUSED
    rename(harness, "a:b.pdf", MEANT)
    assert harness.message(refused.message)["folder"] == "OutBox"
    assert again(harness).event is Event.WAITING
    assert [row["verdict"] for row in harness.rows(receipts, message=refused.message, kind="gateway")] == [
        *("rejected", "waiting")
    ]
    assert harness.judged(ACCOUNT, "d.xml", render(LISTED, AU3)).event is Event.PASSED
    finals = [row for row in harness.rows(receipts, message=refused.message) if row["final"]]
    assert [(row["verdict"], row["superseded"]) for row in finals] == [
        ("rejected", True),
        ("accepted", False),
    ]


def test_a_declaration_that_was_judged_with_a_pdf_under_its_old_name_is_judged_again(
    harness: Harness,
) -> None:
    alone = harness.judged(ACCOUNT, MEANT, PDF)
    received = harness.received(ACCOUNT, "d.xml", render(LISTED, AU3))
    decision = harness.judgement(received)
    assert decision.event is Event.PASSED
    rename(harness, MEANT, "another.pdf")
    waits = harness.judgement(harness.claimed(SOON), SOON)
    asyncio.run(harness.messages.decide(waits, SOON))
    assert harness.message(alone.message)["state"] == State.WAITING
    refused = asyncio.run(harness.messages.decide(decision, SOON))
    assert refused is Refusal.SUPERSEDED
