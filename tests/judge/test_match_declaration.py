"""Documents that follow a declaration: linked, sent on to where it went, refused to strangers."""

from typing import Final

import pytest

from adapters.store.tables.messages import obligations
from gateway.formats.submission import read_envelope
from gateway.formats.xml import trusted
from gateway.model.decision import Decision
from gateway.model.faults import Fault
from gateway.model.message import Operation
from gateway.model.states import Event
from tests.support.customs import customs_answers
from tests.support.declarations import CONTRACT, INVOICE, Declaration
from tests.support.harness import Harness
from tests.support.later_documents import document_package
from tests.support.rendering import render

SEQ_NO: Final = "I20260000000000001"
ENTRY: Final = "020220261000000001"


def declared(harness: Harness, reference: str = "R-1") -> str:
    """By broker-aa for trader-a, which owes invoice and contract after release; customs has numbered it."""
    decision = harness.judged("broker-aa", f"{reference}.xml", render(Declaration(reference=reference)))
    assert decision.event is Event.PASSED
    return decision.message


def sent(
    harness: Harness,
    number: str,
    value: str,
    account: str = "broker-aa",
    codes: tuple[str, ...] = (INVOICE,),
) -> Decision:
    return harness.judged(account, "later.zip", document_package(number, value, codes))


@pytest.fixture
def declaration(harness: Harness) -> str:
    message = declared(harness)
    customs_answers(harness, message, SEQ_NO, ENTRY, "L")
    return message


@pytest.mark.parametrize(("number", "value"), [("ClientSeqNo", "R-1"), ("SeqNo", SEQ_NO), ("EntryId", ENTRY)])
def test_documents_are_matched_to_a_declaration_by_any_of_its_numbers(
    harness: Harness, declaration: str, number: str, value: str
) -> None:
    decision = sent(harness, number, value)
    assert (decision.event, decision.linked) == (Event.PASSED, declaration)
    (row,) = harness.rows(obligations, message=declaration)
    assert row["missing"] == [CONTRACT]
    (receipt,) = (receipt for receipt in decision.receipts if receipt.final)
    assert receipt.verdict == "accepted"


def test_documents_go_to_the_back_end_of_their_declaration_and_name_it(
    harness: Harness, declaration: str
) -> None:
    (submission,) = sent(harness, "EntryId", ENTRY).submissions
    envelope = read_envelope(trusted(submission.envelope))
    assert (submission.destination, envelope.linked) == ("customs", declaration)
    assert envelope.operation is Operation.INFORM
    assert [part.name for part in envelope.parts] == ["documents.xml", f"documents-{INVOICE}.pdf"]


@pytest.mark.usefixtures("declaration")
@pytest.mark.parametrize(("number", "value"), [("SeqNo", SEQ_NO), ("EntryId", ENTRY)])
def test_the_trader_may_send_them_too(harness: Harness, number: str, value: str) -> None:
    assert sent(harness, number, value, "trader-a").event is Event.PASSED


@pytest.mark.usefixtures("declaration")
@pytest.mark.parametrize(
    ("number", "value", "account"),
    [
        ("ClientSeqNo", "R-2", "broker-aa"),
        ("SeqNo", "I20260000000000002", "broker-aa"),
        ("EntryId", ENTRY, "broker-b"),
        ("EntryId", ENTRY, "trader-b"),
        ("SeqNo", SEQ_NO, "broker-b"),
        # A reference is the sender's own.
        ("ClientSeqNo", "R-1", "trader-a"),
    ],
)
def test_strangers_learn_nothing_of_others_declarations(
    harness: Harness, number: str, value: str, account: str
) -> None:
    decision = sent(harness, number, value, account)
    assert decision.event is Event.REFUSED
    assert [finding.code for finding in decision.findings] == [Fault.DECLARATION_UNKNOWN.code]
    assert decision.linked is None
    assert decision.submissions == ()


def test_the_same_package_again_has_no_second_effect(harness: Harness, declaration: str) -> None:
    first = sent(harness, "EntryId", ENTRY)
    again = sent(harness, "EntryId", ENTRY)
    assert (again.event, again.linked) == (Event.REPEATED, first.message)
    assert declaration != first.message


@pytest.mark.usefixtures("declaration")
def test_several_document_packages_may_follow_one_declaration(harness: Harness) -> None:
    assert sent(harness, "EntryId", ENTRY, codes=(INVOICE,)).event is Event.PASSED
    assert sent(harness, "EntryId", ENTRY, codes=(CONTRACT,)).event is Event.PASSED
    assert [row["missing"] for row in harness.rows(obligations)] == [[]]


def test_documents_do_not_follow_a_declaration_that_was_refused_here(harness: Harness) -> None:
    refused = harness.judged("broker-aa", "r.xml", render(Declaration(reference="R-9", office="9999")))
    assert refused.event is Event.REFUSED
    assert [finding.code for finding in sent(harness, "ClientSeqNo", "R-9").findings] == [
        "declaration-unknown"
    ]


def test_the_number_by_which_no_declaration_is_known_is_named_as_people_call_it(harness: Harness) -> None:
    ((finding,), (other,)) = (
        sent(harness, *number).findings
        for number in (("ClientSeqNo", "R-8"), ("SeqNo", "I20260000000000099"))
    )
    assert ("(reference R-8)" in finding.en, "（客户端编号 R-8）" in finding.zh) == (True, True)
    assert ("(SeqNo I20260000000000099)" in other.en, "（统一编号 I20260000000000099）" in other.zh) == (
        True,
        True,
    )


@pytest.mark.parametrize("channel", ["E", "D"])
def test_a_refused_or_deleted_declaration_takes_no_more_documents(
    harness: Harness, declaration: str, channel: str
) -> None:
    customs_answers(harness, declaration, SEQ_NO, ENTRY, channel)
    decision = sent(harness, "EntryId", ENTRY)
    assert decision.event is Event.REFUSED
    assert [finding.code for finding in decision.findings] == [Fault.DECLARATION_ENDED.code]
    (row,) = harness.rows(obligations, message=declaration)
    assert row["missing"] == [INVOICE, CONTRACT]
