"""What the reference customs does beyond the contract of all back-ends: numbers and courses."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from adapters.backends.reference.customs import ReferenceCustoms
from gateway.message import Operation
from gateway.ports import Answer, Outcome
from tests.submissions import reference_customs, sent, told, values


@pytest.fixture
def customs(tmp_path: Path) -> Iterator[ReferenceCustoms]:
    with closing(reference_customs(tmp_path)) as opened:
        yield opened


def channels(answers: Sequence[Answer]) -> list[str]:
    return [values(answer).get("CHANNEL", "technical") for answer in answers]


def test_a_declaration_is_taken_numbered_and_goes_its_course_to_release(customs: ReferenceCustoms) -> None:
    assert sent("C-1", ie_date="20261120").to(customs) == (Outcome.TAKEN, "")

    technical, *notices = [values(answer) for answer in told(customs)]
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


def test_numbers_tell_import_from_export_and_office_from_office(customs: ReferenceCustoms) -> None:
    for reference, office, direction in (("A", "2248", "I"), ("B", "2248", "E"), ("C", "5317", "I")):
        assert sent(reference, office=office, direction=direction).to(customs)[0] is Outcome.TAKEN

    stored = [notice for notice in map(values, told(customs)) if notice.get("CHANNEL") == "L"]
    assert [(notice["CUS_CIQ_NO"], notice["ENTRY_ID"]) for notice in stored] == [
        ("I20260000000000001", "224820261000000001"),
        ("E20260000000000002", "224820260000000001"),
        ("I20260000000000003", "531720261000000001"),
    ]


def test_a_save_is_numbered_and_the_declaration_after_it_keeps_the_number(customs: ReferenceCustoms) -> None:
    sent("C-1", Operation.SAVE).to(customs)
    sent("C-1", Operation.SAVE, party="2200980002").to(customs)
    sent("C-1", Operation.DECLARE).to(customs)

    saved, anothers, declared, *notices = [values(answer) for answer in told(customs)]
    assert saved["SeqNo"] == declared["SeqNo"] == notices[0]["CUS_CIQ_NO"]
    assert anothers["SeqNo"] != saved["SeqNo"]
    assert [notice["CHANNEL"] for notice in notices] == ["L", "J", "P", "R"]


@pytest.mark.parametrize(
    ("reference", "operation", "course"),
    [
        ("RETURNED-1", Operation.DECLARE, ["technical", "E"]),
        ("RETURNED-1", Operation.SAVE, ["technical"]),
        ("FAILED-1", Operation.DECLARE, ["technical"]),
        ("FAILED-1", Operation.SAVE, ["technical"]),
        ("C-FAILED-1", Operation.DECLARE, ["technical", "L", "J", "P", "R"]),
    ],
)
def test_a_reference_forces_its_course(
    customs: ReferenceCustoms, reference: str, operation: Operation, course: list[str]
) -> None:
    assert sent(reference, operation).to(customs)[0] is Outcome.TAKEN

    assert channels(told(customs)) == course


def test_a_returned_declaration_has_a_reason_and_no_entry_number(customs: ReferenceCustoms) -> None:
    sent("RETURNED-1").to(customs)

    returned = values(told(customs)[-1])
    assert returned["NOTE"].startswith("海关退单")
    assert returned["ENTRY_ID"] == ""
    assert returned["CUS_CIQ_NO"] == "I20260000000000001"


def test_a_failed_import_is_given_no_number(customs: ReferenceCustoms) -> None:
    sent("FAILED-1").to(customs)

    (failed,) = map(values, told(customs))
    assert failed["ResponseCode"] == "1"
    assert failed["ErrorMessage"]
    assert failed["ClientSeqNo"] == "FAILED-1"
    assert "SeqNo" not in failed


def test_a_declaration_to_no_office_is_refused_and_uses_up_no_number(customs: ReferenceCustoms) -> None:
    outcome, reason = sent("A", office="").to(customs)
    assert outcome is Outcome.NEVER
    assert "office" in reason

    sent("B").to(customs)
    assert values(told(customs)[0])["SeqNo"] == "I20260000000000001"
