"""`messages list`: what each filter takes, paging, and that it reads an index in order and sorts nothing."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from sqlalchemy import event

from adapters.operators.messages import age
from adapters.stores.listing import Wanted, list_messages
from adapters.stores.tables import messages
from gateway.decision import Decision
from gateway.faults import Fault
from gateway.states import State
from tests.declarations import owing_nothing
from tests.desk import NOW, Desk
from tests.rendering import render


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk.at(tmp_path / "home") as opened:
        yield opened


def sent(desk: Desk, reference: str) -> Decision:
    return desk.judged("broker-aa", f"file-{reference}.xml", render(owing_nothing(reference)))


def names(desk: Desk, limit: int = 100, **wanted: Any) -> list[str]:
    with desk.database.engine.connect() as reader:
        found = [row["id"] for row in list_messages(reader, Wanted(**wanted), limit)]
    known = {row["id"]: row["name"] for row in desk.rows(messages)}
    return [known[id_].removeprefix("file-").removesuffix(".xml") for id_ in found]


@pytest.fixture
def four(desk: Desk) -> list[str]:
    """R1, R2 and R3 are accepted; the fourth is refused, of another account, and never had a reference."""
    ids = [sent(desk, reference).message for reference in ("R1", "R2", "R3")]
    return [*ids, desk.judged("trader-b", "file-bad.xml", b"<nothing/>").message]


def test_each_filter_takes_what_it_says(desk: Desk, four: list[str]) -> None:
    broker, first = desk.party("broker-aa").code, NOW + timedelta(seconds=1)
    accepted = ["R1", "R2", "R3"]
    for wanted, expected in (
        ({}, [*accepted, "bad"]),
        ({"state": State.REJECTED}, ["bad"]),
        ({"party": broker}, accepted),
        ({"account": "broker-aa"}, accepted),
        ({"account": "trader-b", "state": State.ACCEPTED}, []),
        ({"family": "cn-dec"}, accepted),
        ({"type": "DecMessage"}, accepted),
        ({"type": "Nothing"}, []),
        ({"fault": Fault.FAMILY_UNKNOWN.code}, ["bad"]),
        ({"fault": Fault.FAMILY_UNKNOWN.code[:-1]}, []),
        ({"fault": '"%'}, []),
        ({"text": "R2"}, ["R2"]),
        ({"text": "R"}, accepted),
        ({"text": "file-b"}, ["bad"]),
        ({"text": "%"}, []),
        ({"since": first + timedelta(seconds=2)}, ["R3", "bad"]),
        ({"before": first + timedelta(seconds=2)}, ["R1", "R2"]),
        ({"since": first + timedelta(days=1)}, []),
    ):
        assert names(desk, **wanted) == expected, wanted


def test_the_newest_are_shown_oldest_first_and_pages_go_on_from_an_id(desk: Desk, four: list[str]) -> None:
    assert names(desk, limit=2) == ["R3", "bad"]
    assert names(desk, limit=2, after="0") == ["R1", "R2"]
    assert names(desk, limit=2, after=four[1]) == ["R3", "bad"]
    assert names(desk, limit=0, after=four[0], state=State.ACCEPTED) == ["R2", "R3"]
    assert names(desk, after=four[3]) == []


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"state": State.CLOSED},
        {"account": "broker-aa"},
        {"party": "1207980011"},
        {"account": "broker-aa", "state": State.CLOSED},
        {"type": "DecMessage", "after": "0"},
        {"since": NOW},
    ],
    ids=str,
)
def test_a_list_walks_in_order_and_sorts_no_more_than_it_shows(desk: Desk, wanted: dict[str, Any]) -> None:
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_others: Any) -> None:
        asked.append((statement, parameters))

    with desk.database.engine.connect() as reader:
        event.listen(desk.database.engine, "before_cursor_execute", note)
        list_messages(reader, Wanted(**wanted), 100)
        event.remove(desk.database.engine, "before_cursor_execute", note)
        statement, parameters = asked[-1]
        plan = [str(row[3]) for row in reader.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    inner = plan[plan.index(next(step for step in plan if "SUBQUERY" in step)) + 1 :]
    assert not any("TEMP B-TREE" in step for step in inner), plan


@pytest.mark.parametrize(("text", "minutes"), [("30m", 30), ("2h", 120), ("3d", 4320)])
def test_an_age_is_a_number_with_its_unit(text: str, minutes: int) -> None:
    assert age(text) == timedelta(minutes=minutes)


@pytest.mark.parametrize("text", ["", "h", "2", "-2h", "2 h", "999999d"])
def test_what_is_no_age_is_a_wrong_use(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        age(text)
