"""What the reference customs does beyond the contract of all back-ends: numbers and courses."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.sandbox.customs.answers import PACE
from adapters.sandbox.customs.courses import FORCED
from adapters.sandbox.customs.customs import ReferenceCustoms
from adapters.sandbox.customs.decisions import OfficerAct
from adapters.sandbox.customs.ledger import Ledger
from adapters.sandbox.customs.reviews import NotFitting, NotInQueue, decide
from gateway.formats.xml import parse
from gateway.model.answer import Answer
from gateway.model.china import CHINA
from gateway.model.delivery import Outcome
from gateway.model.faults import MessageRejected
from gateway.model.message import Operation
from tests.support.submissions import GATEWAY, NOW, given_answers, reference_customs, sent, values


def channels(answers: Sequence[Answer]) -> list[str]:
    return [channel(answer) for answer in answers]


def channel(answer: Answer) -> str:
    try:
        parse(answer.body)
    except MessageRejected:
        return "malformed"
    return values(answer).get("CHANNEL", "technical")


def test_a_declaration_is_taken_numbered_and_goes_its_course_to_release(customs: ReferenceCustoms) -> None:
    assert sent("C-1", ie_date="20261120").to(customs) == (Outcome.TAKEN, "")

    technical, *notices = [values(answer) for answer in given_answers(customs)]
    assert technical == {
        "ResponseCode": "0",
        "ErrorMessage": "导入成功",
        "ClientSeqNo": "C-1",
        "SeqNo": "I20260000000000001",
        "TrnPreId": "",
    }
    assert [notice["CHANNEL"] for notice in notices] == ["L", "J", "P", "R"]
    for notice in notices:
        assert notice["CUS_CIQ_NO"] == "I20260000000000001"
        assert notice["ENTRY_ID"] == "224820261000000001"
        assert notice["NOTICE_DATE"] == "2026-11-23T10:00:00"
        assert notice["CUSTOM_MASTER"] == "2248"
        assert notice["I_E_DATE"] == "20261120"
        assert notice["D_DATE"] == "2026-11-23T00:00:00"


def test_entry_numbers_distinguish_import_from_export_and_offices_from_each_other(
    customs: ReferenceCustoms,
) -> None:
    for reference, office, direction in (("A", "2248", "I"), ("B", "2248", "E"), ("C", "5317", "I")):
        assert sent(reference, office=office, direction=direction).to(customs)[0] is Outcome.TAKEN

    stored = [notice for notice in map(values, given_answers(customs)) if notice.get("CHANNEL") == "L"]
    assert [(notice["CUS_CIQ_NO"], notice["ENTRY_ID"]) for notice in stored] == [
        ("I20260000000000001", "224820261000000001"),
        ("E20260000000000002", "224820260000000001"),
        ("I20260000000000003", "531720261000000001"),
    ]


def test_a_save_is_numbered_and_the_declaration_after_it_keeps_the_number(customs: ReferenceCustoms) -> None:
    sent("C-1", Operation.SAVE).to(customs)
    sent("C-1", Operation.SAVE, party="2200980002").to(customs)
    sent("C-1", Operation.DECLARE).to(customs)

    saved, anothers, declared, *notices = [values(answer) for answer in given_answers(customs)]
    assert saved["SeqNo"] == declared["SeqNo"] == notices[0]["CUS_CIQ_NO"]
    assert anothers["SeqNo"] != saved["SeqNo"]
    assert [notice["CHANNEL"] for notice in notices] == ["L", "J", "P", "R"]


@pytest.mark.parametrize(
    ("reference", "operation", "course"),
    [
        ("RELEASED-1", Operation.DECLARE, ["technical", "L", "J", "P", "R"]),
        ("RETURNED-1", Operation.DECLARE, ["technical", "E"]),
        ("RETURNED-1", Operation.SAVE, ["technical"]),
        ("FAILED-1", Operation.DECLARE, ["technical"]),
        ("FAILED-1", Operation.SAVE, ["technical"]),
        ("SUPPLEMENT-1", Operation.DECLARE, ["technical", "L", "Sp1"]),
        ("PAPER-1", Operation.DECLARE, ["technical", "L", "G"]),
        ("INSPECT-1", Operation.DECLARE, ["technical", "L", "J", "C"]),
        ("DUTY-1", Operation.DECLARE, ["technical", "L", "J", "T"]),
        ("DELETED-1", Operation.DECLARE, ["technical", "L", "J", "P", "D"]),
        ("HAND-1", Operation.DECLARE, ["technical", "L"]),
        ("CLOSING-1", Operation.DECLARE, ["technical", "L", "J", "P"]),
        ("HAND-1", Operation.SAVE, ["technical"]),
        ("SILENT-1", Operation.DECLARE, []),
        ("SILENT-1", Operation.SAVE, []),
        (
            "TWICE-1",
            Operation.DECLARE,
            ["technical", "technical", "L", "L", "J", "J", "P", "P", "R", "R"],
        ),
        ("TWICE-1", Operation.SAVE, ["technical", "technical"]),
        ("ORDER-1", Operation.DECLARE, ["R", "P", "J", "L", "technical"]),
        ("BROKEN-1", Operation.DECLARE, ["technical", "L", "malformed", "P", "R"]),
        ("BROKEN-1", Operation.SAVE, ["technical"]),
        ("C-FAILED-1", Operation.DECLARE, ["technical", "L", "J", "P", "R"]),
    ],
)
def test_a_reference_forces_its_course(
    customs: ReferenceCustoms, reference: str, operation: Operation, course: list[str]
) -> None:
    assert sent(reference, operation).to(customs)[0] is Outcome.TAKEN

    assert channels(given_answers(customs)) == course


def test_an_answer_that_is_given_twice_is_the_same_byte_for_byte(customs: ReferenceCustoms) -> None:
    sent("TWICE-1").to(customs)

    bodies = [answer.body for answer in given_answers(customs)]
    assert bodies[::2] == bodies[1::2]


def test_slow_answers_are_given_one_by_one_and_each_is_dated_when_it_is_given(tmp_path: Path) -> None:
    now = NOW
    with closing(ReferenceCustoms(tmp_path, GATEWAY.certificate_pem, lambda: now)) as customs:
        sent("SLOW-1").to(customs)
        codes = [channels(given_answers(customs))]
        for _ in range(4):
            now += PACE - timedelta(microseconds=1)
            codes.append(channels(given_answers(customs)))
            now += timedelta(microseconds=1)
            codes.append(channels(given_answers(customs)))
        last = values(given_answers(customs)[-1])

    whole = ["technical", "L", "J", "P", "R"]
    assert codes == [whole[:count] for count in (1, 1, 2, 2, 3, 3, 4, 4, 5)]
    assert last["NOTICE_DATE"] == f"{now.astimezone(CHINA):%Y-%m-%dT%H:%M:%S}"


def test_a_slow_declaration_keeps_no_other_waiting(customs: ReferenceCustoms) -> None:
    sent("SLOW-1").to(customs)
    sent("C-1").to(customs)

    assert channels(given_answers(customs)) == ["technical", "technical", "L", "J", "P", "R"]


def test_a_ledger_made_before_answers_had_a_time_still_opens_and_says_what_it_owed(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "customs.db")) as old:
        old.executescript(
            "CREATE TABLE answers (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL,"
            " name TEXT NOT NULL, body BLOB NOT NULL, acknowledged INTEGER NOT NULL DEFAULT 0) STRICT;"
            "INSERT INTO answers (key, name, body) VALUES ('K', 'Receipt_K_P.xml', x'3c612f3e');"
        )

    for _ in range(2):
        with closing(reference_customs(tmp_path)) as customs:
            (owed,) = given_answers(customs)
            assert (owed.key, owed.name, owed.body) == ("K", "Receipt_K_P.xml", b"<a/>")


def test_a_returned_declaration_has_a_reason_and_no_entry_number(customs: ReferenceCustoms) -> None:
    sent("RETURNED-1").to(customs)

    returned = values(given_answers(customs)[-1])
    assert returned["NOTE"].startswith("海关退单")
    assert returned["ENTRY_ID"] == ""
    assert returned["CUS_CIQ_NO"] == "I20260000000000001"


def test_a_failed_import_is_given_no_number(customs: ReferenceCustoms) -> None:
    sent("FAILED-1").to(customs)

    (failed,) = map(values, given_answers(customs))
    assert failed["ResponseCode"] == "1"
    assert failed["ErrorMessage"]
    assert failed["ClientSeqNo"] == "FAILED-1"
    assert "SeqNo" not in failed


def test_a_declaration_to_no_office_is_refused_and_uses_up_no_number(customs: ReferenceCustoms) -> None:
    outcome, reason = sent("A", office="").to(customs)
    assert outcome is Outcome.NEVER
    assert "office" in reason

    sent("B").to(customs)
    assert values(given_answers(customs)[0])["SeqNo"] == "I20260000000000001"


def decided(ledger: Ledger, key: str, act: OfficerAct) -> None:
    decide(ledger, key, act, actor="officer", reason="实货与申报相符", now=NOW)


def queued(ledger: Ledger) -> list[tuple[str, str]]:
    return [(declaration.submission.reference, declaration.waits.value) for declaration in ledger.waiting()]


def test_only_what_waits_for_a_person_stands_in_the_queue(customs: ReferenceCustoms, ledger: Ledger) -> None:
    for prefix in FORCED:
        sent(f"{prefix}1").to(customs)
    sent("HAND-2", Operation.SAVE).to(customs)
    sent("C-1").to(customs)

    assert queued(ledger) == [
        ("SUPPLEMENT-1", "supplement"),
        ("PAPER-1", "paper"),
        ("INSPECT-1", "inspection"),
        ("DUTY-1", "duty"),
        ("HAND-1", "review"),
        ("CLOSING-1", "closing"),
    ]


@pytest.mark.parametrize(
    ("act", "expected", "status"),
    [
        (OfficerAct.RELEASE, ["P", "R"], None),
        (OfficerAct.RETURN, ["E"], None),
        (OfficerAct.INSPECT, ["C"], "inspection"),
        (OfficerAct.SUPPLEMENT, ["Sp1"], "supplement"),
        (OfficerAct.PAPER, ["G"], "paper"),
        (OfficerAct.DUTY, ["T"], "duty"),
        (OfficerAct.LET_GO, ["P"], "closing"),
        (OfficerAct.DELETE, ["D"], None),
    ],
)
def test_a_decision_is_answered_with_its_reason_and_leaves_or_stays_in_the_queue(
    customs: ReferenceCustoms, ledger: Ledger, act: OfficerAct, expected: list[str], status: str | None
) -> None:
    waiting = sent("HAND-1", ie_date="20261120")
    waiting.to(customs)

    decided(ledger, waiting.key, act)

    technical, stored, *after = given_answers(customs)
    assert channels(after) == expected
    assert {answer.key for answer in after} == {waiting.key}
    for notice in map(values, after):
        assert notice["NOTE"].endswith("：实货与申报相符")
        assert notice["ENTRY_ID"] == values(stored)["ENTRY_ID"]
        assert notice["CUS_CIQ_NO"] == values(technical)["SeqNo"]
        assert (notice["CUSTOM_MASTER"], notice["I_E_DATE"]) == ("2248", "20261120")
    assert queued(ledger) == ([] if status is None else [("HAND-1", status)])


def test_one_decision_follows_another_until_the_release_and_each_is_noted(
    customs: ReferenceCustoms, ledger: Ledger, tmp_path: Path
) -> None:
    waiting = sent("HAND-1")
    waiting.to(customs)

    for act in (OfficerAct.SUPPLEMENT, OfficerAct.INSPECT, OfficerAct.RELEASE):
        decided(ledger, waiting.key, act)

    assert channels(given_answers(customs)) == ["technical", "L", "Sp1", "C", "P", "R"]
    with closing(sqlite3.connect(tmp_path / "customs.db")) as database:
        acts = database.execute("SELECT key, act, actor, reason, at FROM acts ORDER BY id").fetchall()
    assert acts == [
        (waiting.key, act, "officer", "实货与申报相符", NOW.isoformat())
        for act in ("supplement", "inspect", "release")
    ]


@pytest.mark.parametrize(
    "act", [OfficerAct.CLOSE, OfficerAct.DEPART, OfficerAct.ARRIVE, OfficerAct.WRITE_OFF]
)
def test_an_act_for_something_else_is_not_done(
    customs: ReferenceCustoms, ledger: Ledger, act: OfficerAct
) -> None:
    waiting = sent("HAND-1")
    waiting.to(customs)

    with pytest.raises(NotFitting, match="waits for review"):
        decided(ledger, waiting.key, act)
    assert channels(given_answers(customs)) == ["technical", "L"]
    assert queued(ledger) == [("HAND-1", "review")]


def test_a_release_to_premises_is_closed_or_deleted_by_an_officer(
    customs: ReferenceCustoms, ledger: Ledger
) -> None:
    closed, deleted = sent("CLOSING-1"), sent("CLOSING-2")
    for submission in (closed, deleted):
        submission.to(customs)

    with pytest.raises(NotFitting, match="waits for closing"):
        decided(ledger, closed.key, OfficerAct.RELEASE)
    decided(ledger, closed.key, OfficerAct.CLOSE)
    decided(ledger, deleted.key, OfficerAct.DELETE)

    assert channels(given_answers(customs))[-2:] == ["R", "D"]
    assert queued(ledger) == []


@pytest.mark.parametrize("reference", ["C-1", "RETURNED-1", "SILENT-1"])
def test_a_declaration_that_does_not_wait_cannot_be_decided(
    customs: ReferenceCustoms, ledger: Ledger, reference: str
) -> None:
    other = sent(reference)
    other.to(customs)
    before = given_answers(customs)

    for key in (other.key, "nobody"):
        with pytest.raises(NotInQueue):
            decided(ledger, key, OfficerAct.RELEASE)
    assert given_answers(customs) == before


def test_a_declaration_is_released_once(customs: ReferenceCustoms, ledger: Ledger) -> None:
    waiting = sent("HAND-1")
    waiting.to(customs)
    decided(ledger, waiting.key, OfficerAct.RELEASE)

    with pytest.raises(NotInQueue):
        decided(ledger, waiting.key, OfficerAct.RELEASE)
    assert channels(given_answers(customs)) == ["technical", "L", "P", "R"]
