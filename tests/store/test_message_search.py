"""`messages list`: what each filter takes, paging; each reads an index in order and sorts nothing."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import typer
from sqlalchemy import Connection, event, select

from adapters.cli.times import age
from adapters.store.read import message_search
from adapters.store.read.delivery_detail import list_deliveries
from adapters.store.read.message_search import MessageFilter, count_messages, list_messages
from adapters.store.tables.messages import messages
from adapters.store.write.search_index import note_faults
from gateway.model.decision import Decision
from gateway.model.faults import Fault
from gateway.model.states import State
from tests.support.declarations import owing_nothing
from tests.support.harness import NOW, Harness
from tests.support.rendering import render


def sent(harness: Harness, reference: str) -> Decision:
    return harness.judged("broker-aa", f"file-{reference}.xml", render(owing_nothing(reference)))


def names(harness: Harness, limit: int = 100, **filters: Any) -> list[str]:
    with harness.database.engine.connect() as reader:
        ids = [row["id"] for row in list_messages(reader, MessageFilter(**filters), limit)]
    names_of = {row["id"]: row["name"] for row in harness.rows(messages)}
    return [names_of[id_].removeprefix("file-").removesuffix(".xml") for id_ in ids]


@pytest.fixture
def four(harness: Harness) -> list[str]:
    """R1, R2 and R3 are accepted; the fourth is refused, of another account, and never had a reference."""
    ids = [sent(harness, reference).message for reference in ("R1", "R2", "R3")]
    return [*ids, harness.judged("trader-b", "file-bad.xml", b"<nothing/>").message]


def test_each_filter_takes_what_it_says(harness: Harness, four: list[str]) -> None:
    broker, first = harness.party("broker-aa").code, NOW + timedelta(seconds=1)
    accepted = ["R1", "R2", "R3"]
    for filters, expected in (
        ({}, [*accepted, "bad"]),
        ({"state": State.REJECTED}, ["bad"]),
        ({"party": broker}, accepted),
        ({"account": "broker-aa"}, accepted),
        ({"account": "trader-b", "state": State.ACCEPTED}, []),
        ({"office": "0202"}, accepted),
        ({"office": "02"}, accepted),
        ({"office": "0201"}, []),
        ({"office": "22", "everything": True}, []),
        ({"office": "02", "account": "broker-aa", "state": State.ACCEPTED}, accepted),
        ({"account": "broker-aa", "party": broker, "type": "Nothing"}, []),
        ({"family": "cn-dec"}, accepted),
        ({"everything": True}, [*accepted, "bad"]),
        ({"family": "cn-dec", "type": "DecMessage", "office": "02"}, accepted),
        ({"type": "DecMessage"}, accepted),
        ({"type": "Nothing"}, []),
        ({"fault": Fault.FAMILY_UNKNOWN.code}, ["bad"]),
        ({"fault": Fault.FAMILY_UNKNOWN.code[:-1]}, []),
        ({"fault": '"%'}, []),
        ({"fault": Fault.FAMILY_UNKNOWN.code, "state": State.REJECTED, "account": "trader-b"}, ["bad"]),
        ({"fault": Fault.FAMILY_UNKNOWN.code, "state": State.HELD}, []),
        ({"fault": Fault.FAMILY_UNKNOWN.code, "account": "broker-aa"}, []),
        ({"fault": Fault.FAMILY_UNKNOWN.code, "since": first}, ["bad"]),
        ({"text": "R", "state": State.ACCEPTED, "office": "02"}, accepted),
        ({"text": "file-", "fault": Fault.FAMILY_UNKNOWN.code}, ["bad"]),
        ({"text": "R2"}, ["R2"]),
        ({"text": "R"}, accepted),
        ({"text": "file-b"}, ["bad"]),
        ({"text": "%"}, []),
        ({"since": first + timedelta(seconds=2)}, ["R3", "bad"]),
        ({"before": first + timedelta(seconds=2)}, ["R1", "R2"]),
        ({"since": first + timedelta(days=1)}, []),
    ):
        assert names(harness, **filters) == expected, filters
        with harness.database.engine.connect() as reader:
            assert count_messages(reader, MessageFilter(**filters)) == len(expected), filters


def test_the_newest_are_shown_oldest_first_and_pages_go_on_from_an_id(
    harness: Harness, four: list[str]
) -> None:
    assert names(harness, limit=2) == ["R3", "bad"]
    assert names(harness, limit=2, after="0") == ["R1", "R2"]
    assert names(harness, limit=2, after=four[1]) == ["R3", "bad"]
    assert names(harness, limit=0, after=four[0], state=State.ACCEPTED) == ["R2", "R3"]
    assert names(harness, after=four[3]) == []


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({}, "messages_by_state (state=? AND kind=?"),
        ({"state": State.CLOSED}, "messages_by_state (state=? AND kind=?"),
        ({"account": "broker-aa"}, "listed_by_account (account=? AND state=?"),
        ({"account": "broker-aa", "state": State.CLOSED}, "listed_by_account (account=? AND state=?"),
        ({"party": "1207980011", "office": "02"}, "listed_by_party (party=? AND state=?"),
        ({"party": "1207980011", "type": "DecMessage"}, "listed_by_party (party=? AND state=?"),
        ({"office": "02"}, "listed_by_office (office=? AND state=?"),
        ({"type": "DecMessage", "after": "0"}, "listed_by_type (family=? AND type=? AND state=?"),
        ({"family": "cn-dec"}, "listed_by_type (family=? AND type=? AND state=?"),
        ({"since": NOW}, "messages_by_state (state=? AND kind=? AND seq>?"),
        ({"fault": Fault.FAMILY_UNKNOWN.code}, "PRIMARY KEY (fault=?"),
        ({"state": State.ACCEPTED, "fault": "any"}, "messages_by_state (state=? AND kind=?"),
    ],
    ids=str,
)
def test_a_list_walks_an_index_of_its_own_in_order_and_sorts_nothing(
    harness: Harness, four: list[str], filters: dict[str, Any], index: str
) -> None:
    plans = _plans(harness, lambda reader: list_messages(reader, MessageFilter(**filters), 100))
    walks = [plan for statement, plan in plans if "LIMIT" in statement and "kind" in statement]
    walks += [plan for statement, plan in plans if "FROM message_faults" in statement]
    ordered = [plan for plan in walks if any(index in step for step in plan)]
    assert ordered, walks
    assert not any("SCAN" in step or "TEMP B-TREE" in step for plan in ordered for step in plan), walks


@pytest.mark.parametrize(
    "filters", [{"text": "R"}, {"text": "R", "party": "1", "state": State.HELD}], ids=str
)
def test_a_text_is_looked_for_by_the_index_of_each_of_its_columns(
    harness: Harness, filters: dict[str, Any]
) -> None:
    plans = _plans(harness, lambda reader: list_messages(reader, MessageFilter(**filters), 100))
    scans = [step for _statement, plan in plans for step in plan if "SEARCH" in step]
    for index in ("messages_by_reference", "messages_by_seq_no", "messages_by_entry", "listed_by_name"):
        assert sum(f"INDEX {index} (" in step for step in scans) == 2, scans  # how many, and which


def test_a_prefix_of_very_many_texts_is_searched_among_the_newest(
    harness: Harness, four: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_search, "_BROAD", 2)
    for filters, limit, expected in (
        ({"text": "R"}, 2, ["R2", "R3"]),
        ({"text": "file-"}, 2, ["R3", "bad"]),
        ({"text": "file-", "after": four[0]}, 2, ["R2", "R3"]),
        ({"text": "file-", "state": State.ACCEPTED}, 10, ["R1", "R2", "R3"]),
    ):
        assert names(harness, limit=limit, **filters) == expected, filters
    monkeypatch.setattr(message_search, "_WINDOW", 1)
    assert names(harness, limit=2, text="R") == ["R2", "R3"]
    assert names(harness, limit=1, text="file-", after=four[0]) == ["R2"]


def test_a_message_is_found_by_the_faults_that_it_has_now(harness: Harness) -> None:
    """Refused, then replayed after what was missing had been registered: nothing is left to find it by."""
    refused = harness.judged("broker-aa", "file-late.xml", b"<nothing/>")
    assert names(harness, fault=Fault.FAMILY_UNKNOWN.code) == ["late"]
    with harness.database.engine.connect() as reader:
        seq = reader.execute(select(messages.c.seq).where(messages.c.id == refused.message)).scalar_one()
    harness.database.submit(lambda to: note_faults(to, seq, [], revision=1)).result()
    assert names(harness, fault=Fault.FAMILY_UNKNOWN.code) == []


@pytest.mark.parametrize(
    ("filters", "plan"),
    [
        ({"state": "held"}, "SEARCH deliveries USING INDEX deliveries_by_state (state=?)"),
        (
            {"state": "unknown", "destination": "customs", "account": "broker-aa", "before": NOW},
            "SEARCH deliveries USING INDEX deliveries_by_state (state=?)",
        ),
        (
            {"state": "held", "message": "1", "destination": "customs"},
            "SEARCH deliveries USING INDEX deliveries_of_message (message=?)",
        ),
        # From the newest on, until enough are found.
        ({"state": "delivered", "destination": "customs"}, "SCAN deliveries"),
        ({"destination": "customs"}, "SCAN deliveries"),
    ],
    ids=str,
)
def test_a_list_of_deliveries_reads_those_of_its_state_or_the_newest_and_sorts_nothing(
    harness: Harness, filters: dict[str, Any], plan: str
) -> None:
    plans = _plans(harness, lambda reader: list_deliveries(reader, **filters, limit=100))
    ((_statement, steps),) = plans
    due = "SEARCH to_send USING INDEX to_send_item (item=?) LEFT-JOIN"
    assert steps == [plan, due]


def _plans(harness: Harness, query: Callable[[Connection], object]) -> list[tuple[str, list[str]]]:
    executed: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_others: Any) -> None:
        executed.append((statement, parameters))

    with harness.database.engine.connect() as reader:
        event.listen(harness.database.engine, "before_cursor_execute", note)
        query(reader)
        event.remove(harness.database.engine, "before_cursor_execute", note)
        return [
            (
                statement,
                [
                    str(row[3])
                    for row in reader.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                ],
            )
            for statement, parameters in executed
        ]


@pytest.mark.parametrize(("text", "minutes"), [("30m", 30), ("2h", 120), ("3d", 4320)])
def test_an_age_is_a_number_with_its_unit(text: str, minutes: int) -> None:
    assert age(text) == timedelta(minutes=minutes)


@pytest.mark.parametrize("text", ["", "h", "2", "-2h", "2 h", "999999d"])
def test_an_invalid_age_is_a_wrong_use(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        age(text)
