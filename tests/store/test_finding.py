"""Which message an operator means who gives a name that several have."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert

from adapters.store.read.message_detail import find_messages
from adapters.store.tables.operations import replies
from gateway.model.states import Event, State
from tests.support.acts import hold
from tests.support.declarations import owing_nothing
from tests.support.desk import LATER, Desk
from tests.support.operating import BROKER, accepted, gateway
from tests.support.rendering import render


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk.at(tmp_path / "home") as opened:
        yield opened


def sent(desk: Desk, name: str, reference: str = "R1") -> str:
    return desk.judged(BROKER, name, render(owing_nothing(reference))).message


def test_a_reference_means_the_declaration_however_often_it_was_repeated(desk: Desk) -> None:
    first = sent(desk, "R1.xml")
    repeats = [sent(desk, f"again-{number}.xml") for number in range(11)]
    assert {desk.message(id_)["state"] for id_ in repeats} == {State.CLOSED}
    said = gateway(desk, "messages", "show", "R1", "--json")
    assert said.json["id"] == first
    assert said.json["next"]["en"].startswith("It goes on to customs by itself")
    others = ", ".join(f"{id_} (a repeat)" for id_ in repeats[:1:-1])
    assert said.err == f"gateway: the newest of several by R1 is {first}; others: {others}\n"
    assert [row["event"] for row in gateway(desk, "messages", "trace", "R1", "--json").json] == [
        Event.RECEIVED,
        Event.PASSED,
    ]


def test_an_act_by_reference_is_on_the_declaration_and_not_on_its_repeat(desk: Desk) -> None:
    first, repeat = sent(desk, "R1.xml"), sent(desk, "again.xml")
    desk.database.submit(lambda to: hold(to, first, "operator", "look at it", LATER)).result()
    assert gateway(desk, "messages", "release", "R1", "--reason", "it is good").code == 0
    assert desk.message(first)["state"] == State.ACCEPTED
    assert desk.message(repeat)["state"] == State.CLOSED


def test_a_repeat_is_shown_by_its_id_and_says_of_what_it_is_one_and_how_that_stands(desk: Desk) -> None:
    first, repeat = sent(desk, "R1.xml"), sent(desk, "again.xml")
    said = gateway(desk, "messages", "show", repeat, "--json")
    assert (said.json["id"], said.json["name"], said.err) == (repeat, "again.xml", "")
    assert said.json["next"]["en"].startswith(
        f"It is a repeat of {first}, which is accepted: look at that one"
    )
    assert f"与先收到的报文 {first} 相同" in said.json["next"]["zh"]


def said_over_amqp(desk: Desk, message: str, account: str, message_id: str) -> None:
    values = {"message": message, "account": account, "message_id": message_id, "correlation": message_id}
    with desk.database.engine.begin() as connection:
        connection.execute(insert(replies), {**values, "reply_to": ""})


def test_a_message_is_found_by_the_message_id_that_its_sender_gave_it(desk: Desk) -> None:
    message = sent(desk, "R1.xml")
    sent(desk, "R2.xml", "R2")
    said_over_amqp(desk, message, BROKER, "urn:erp:4711")
    for command in ("show", "trace"):
        said = gateway(desk, "messages", command, "urn:erp:4711", "--json")
        assert (said.code, said.err) == (0, "")
        assert message in said.out or command == "trace"
    assert gateway(desk, "messages", "hold", "urn:erp:4711", "--reason", "look at it").code == 0
    assert desk.message(message)["state"] == State.HELD


def test_of_two_senders_with_one_message_id_the_newest_is_meant_and_the_other_is_named(desk: Desk) -> None:
    first, second = sent(desk, "R1.xml"), accepted(desk, "R2")
    said_over_amqp(desk, first, BROKER, "1")
    said_over_amqp(desk, second, "trader-b", "1")
    said = gateway(desk, "messages", "show", "1", "--json")
    assert said.json["id"] == second
    assert said.err == f"gateway: the newest of several by 1 is {second}; others: {first}\n"


def test_a_message_is_found_by_indexes_whatever_it_is_called_by(desk: Desk) -> None:
    plans: list[str] = []

    @event.listens_for(desk.database.engine, "before_cursor_execute")
    def explain(connection: Any, cursor: Any, statement: str, values: Any, *_: object) -> None:
        if statement.startswith("SELECT messages"):
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", values)
            plans.extend(row[3] for row in cursor.fetchall())

    with desk.database.engine.connect() as reader:
        assert find_messages(reader, "R1") == []
    assert [plan for plan in plans if "replies_by_message_id" in plan]
    assert [plan for plan in plans if plan.startswith("SCAN") and "SUBQUERY" not in plan] == []
