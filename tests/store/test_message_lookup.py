"""Which message an operator means who gives a name that several have."""

from typing import Any

from sqlalchemy import event, insert

from adapters.store.read.message_detail import find_messages
from adapters.store.tables.operations import replies
from gateway.model.states import Event, State
from tests.support.acts import hold
from tests.support.declarations import owing_nothing
from tests.support.harness import LATER, Harness
from tests.support.operating import BROKER, accepted, gateway
from tests.support.rendering import render


def sent(harness: Harness, name: str, reference: str = "R1") -> str:
    return harness.judged(BROKER, name, render(owing_nothing(reference))).message


def test_a_reference_means_the_declaration_however_often_it_was_repeated(harness: Harness) -> None:
    first = sent(harness, "R1.xml")
    repeats = [sent(harness, f"again-{number}.xml") for number in range(11)]
    assert {harness.message(id_)["state"] for id_ in repeats} == {State.CLOSED}
    result = gateway(harness, "messages", "show", "R1", "--json")
    assert result.json["id"] == first
    assert result.json["next"]["en"].startswith("It goes on to customs by itself")
    others = ", ".join(f"{id_} (a repeat)" for id_ in repeats[:1:-1])
    assert result.err == f"gateway: the newest of several by R1 is {first}; others: {others}\n"
    assert [row["event"] for row in gateway(harness, "messages", "trace", "R1", "--json").json] == [
        Event.RECEIVED,
        Event.PASSED,
    ]


def test_an_act_by_reference_is_on_the_declaration_and_not_on_its_repeat(harness: Harness) -> None:
    first, repeat = sent(harness, "R1.xml"), sent(harness, "again.xml")
    harness.database.submit(lambda to: hold(to, first, "operator", "look at it", LATER)).result()
    assert gateway(harness, "messages", "release", "R1", "--reason", "it is good").code == 0
    assert harness.message(first)["state"] == State.ACCEPTED
    assert harness.message(repeat)["state"] == State.CLOSED


def test_a_repeat_is_shown_by_its_id_and_says_of_what_it_is_one_and_how_that_stands(harness: Harness) -> None:
    first, repeat = sent(harness, "R1.xml"), sent(harness, "again.xml")
    result = gateway(harness, "messages", "show", repeat, "--json")
    assert (result.json["id"], result.json["name"], result.err) == (repeat, "again.xml", "")
    assert result.json["next"]["en"].startswith(
        f"It is a repeat of {first}, which is accepted: look at that one"
    )
    assert f"与先收到的报文 {first} 相同" in result.json["next"]["zh"]


def record_reply(harness: Harness, message: str, account: str, message_id: str) -> None:
    values = {"message": message, "account": account, "message_id": message_id, "correlation": message_id}
    with harness.database.engine.begin() as connection:
        connection.execute(insert(replies), {**values, "reply_to": ""})


def test_a_message_is_found_by_the_message_id_that_its_sender_gave_it(harness: Harness) -> None:
    message = sent(harness, "R1.xml")
    sent(harness, "R2.xml", "R2")
    record_reply(harness, message, BROKER, "urn:erp:4711")
    for command in ("show", "trace"):
        result = gateway(harness, "messages", command, "urn:erp:4711", "--json")
        assert (result.code, result.err) == (0, "")
        assert message in result.out or command == "trace"
    assert gateway(harness, "messages", "hold", "urn:erp:4711", "--reason", "look at it").code == 0
    assert harness.message(message)["state"] == State.HELD


def test_of_two_senders_with_one_message_id_the_newest_is_meant_and_the_other_is_named(
    harness: Harness,
) -> None:
    first, second = sent(harness, "R1.xml"), accepted(harness, "R2")
    record_reply(harness, first, BROKER, "1")
    record_reply(harness, second, "trader-b", "1")
    result = gateway(harness, "messages", "show", "1", "--json")
    assert result.json["id"] == second
    assert result.err == f"gateway: the newest of several by 1 is {second}; others: {first}\n"


def test_a_message_is_found_by_indexes_whatever_it_is_called_by(harness: Harness) -> None:
    plans: list[str] = []

    @event.listens_for(harness.database.engine, "before_cursor_execute")
    def explain(connection: Any, cursor: Any, statement: str, values: Any, *_: object) -> None:
        if statement.startswith("SELECT messages"):
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", values)
            plans.extend(row[3] for row in cursor.fetchall())

    with harness.database.engine.connect() as reader:
        assert find_messages(reader, "R1") == []
    assert [plan for plan in plans if "replies_by_message_id" in plan]
    assert [plan for plan in plans if plan.startswith("SCAN") and "SUBQUERY" not in plan] == []
