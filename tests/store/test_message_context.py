"""`messages show` tells what stands around a message as well."""

from typing import Any

from sqlalchemy import insert, select

from adapters.store.read.message_detail import show_message
from adapters.store.tables.messages import messages
from adapters.store.tables.operations import destinations, replies, undertaking_items, undertakings
from tests.support.declarations import Declaration, owing_nothing
from tests.support.harness import NOW, Harness
from tests.support.operating import BROKER, gateway
from tests.support.rendering import render


def message_json(harness: Harness, message: str) -> dict[str, Any]:
    with harness.database.engine.connect() as reader:
        row = reader.execute(select(messages).where(messages.c.id == message)).one()
        return show_message(reader, row, NOW)


def test_a_single_message_has_an_empty_context(harness: Harness) -> None:
    decision = message_json(
        harness, harness.judged("broker-aa", "R1.xml", render(owing_nothing("R1"))).message
    )
    assert (decision["links"], decision["reply"], decision["backends"], decision["undertakings"]) == (
        [],
        None,
        [],
        [],
    )
    assert {receipt["post_at"] for receipt in decision["receipts"]} == {None}


def test_links_are_shown_from_both_ends(harness: Harness) -> None:
    body = render(owing_nothing("R1"))
    first = harness.judged("broker-aa", "R1.xml", body).message
    again = harness.judged("broker-aa", "again.xml", body).message
    assert [(link["link"], link["id"]) for link in message_json(harness, first)["links"]] == [("from", again)]
    assert [(link["link"], link["id"]) for link in message_json(harness, again)["links"]] == [("to", first)]


def test_the_context_has_back_ends_the_reply_and_bulk_requests(harness: Harness) -> None:
    message = harness.judged("broker-aa", "R1.xml", render(owing_nothing("R1"))).message
    with harness.database.engine.begin() as connection:
        for table, values in (
            (replies, {"message": message, "account": "broker-aa", "message_id": "m-1"}),
            (destinations, {"name": "customs", "breaker": "open", "failures": 5, "since": NOW, "note": "no"}),
            (undertakings, {"id": "U", "act": "replay", "stage": "judge", "wanted": {}, "reason": "mended"}),
            (undertaking_items, {"undertaking": "U", "message": message, "outcome": "done", "note": ""}),
        ):
            if table is replies:
                values |= {"correlation": "c-1", "reply_to": ""}
            if table is undertakings:
                values |= {"state": "done", "actor": "wang", "created_at": NOW}
            connection.execute(insert(table), values)
    row = message_json(harness, message)
    assert row["reply"] == {"message_id": "m-1", "correlation": "c-1", "reply_to": ""}
    assert [(backend["name"], backend["breaker"], backend["note"]) for backend in row["backends"]] == [
        ("customs", "open", "no")
    ]
    assert [(request["act"], request["outcome"], request["actor"]) for request in row["undertakings"]] == [
        ("replay", "done", "wang")
    ]


def test_a_fault_is_shown_with_the_value_that_was_found(harness: Harness) -> None:
    harness.judged(BROKER, "R1.xml", render(Declaration(reference="R1", head={"GrossWet": "1"})))
    for options, word, fault in (((), "value: ", "error"), (("--lang", "zh"), "所填内容：", "错误")):
        lines = gateway(harness, "messages", "show", "R1", *options).out.splitlines()
        place = next(number for number, line in enumerate(lines) if line.startswith(f"{fault} DEC-501 "))
        assert lines[place + 2].startswith(f"  {word}")
