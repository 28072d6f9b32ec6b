"""Answers of customs that do not fit: held for an operator, and no other answer waits for that."""

import asyncio
from datetime import datetime, timedelta
from itertools import count

from adapters.store.tables.messages import messages, receipts
from adapters.store.write.answers import SqlAnswers
from gateway.model.answer import Answer
from gateway.respond.answer_intake import CustomsAnswers
from tests.support.declarations import Declaration, Document, enterprise
from tests.support.harness import NOW, Harness
from tests.support.pdfs import pdf
from tests.support.rendering import packed

RESULT = (
    "<DEC_RESULT><CUS_CIQ_NO>{seq_no}</CUS_CIQ_NO><ENTRY_ID/><NOTICE_DATE>2026-11-02T09:00:00</NOTICE_DATE>"
    "<CHANNEL>{channel}</CHANNEL><NOTE>n</NOTE><CUSTOM_MASTER/><I_E_DATE/><D_DATE/></DEC_RESULT>"
)


_TICKS = count()


def clock() -> datetime:
    """Never the same twice, as a real one: receipts are named by it."""
    return NOW + timedelta(microseconds=next(_TICKS))


def take_in(harness: Harness, *answers: Answer, backend: str = "customs") -> None:
    answer_store = SqlAnswers(harness.database, clock)
    customs_answers = CustomsAnswers(answer_store, harness.judges, clock)
    asyncio.run(customs_answers.take_in(backend, answers))


def result(key: str, seq_no: str, channel: str) -> Answer:
    body = RESULT.format(seq_no=seq_no, channel=channel).encode()
    return Answer(id=f"{key}{channel}{seq_no}", name="r.xml", body=body, key=key)


def test_an_answer_that_names_another_unified_number_is_held_and_changes_nothing(harness: Harness) -> None:
    sent = harness.judged("broker-aa", "a.zip", packed(Declaration(reference="R1"))).message
    take_in(harness, result(sent, "I20260000000000001", "L"))
    take_in(harness, result(sent, "I20260000000000002", "R"), result(sent, "I20260000000000001", "J"))
    row = harness.message(sent)
    assert (row["seq_no"], row["customs_status"]) == ("I20260000000000001", "reviewed")
    (held,) = [row for row in harness.rows(messages, kind="answer") if row["state"] == "held"]
    assert "it names I20260000000000002" in held["reason"]
    receipt_rows = harness.rows(receipts, message=sent, account="broker-aa")
    assert [row["kind"] for row in receipt_rows].count("business") == 2


def test_a_back_end_says_nothing_of_what_another_one_was_given(harness: Harness) -> None:
    sent = harness.judged("broker-aa", "a.zip", packed(Declaration(reference="R1"))).message
    take_in(harness, result(sent, "I20260000000000001", "L"))
    take_in(harness, result(sent, "I20260000000000001", "P"), backend="association")
    assert harness.message(sent)["customs_status"] == "stored"


def test_an_answer_with_an_empty_key_is_matched_by_what_it_names(harness: Harness) -> None:
    sent = harness.judged("broker-aa", "a.zip", packed(Declaration(reference="R1"))).message
    take_in(harness, result(sent, "I20260000000000001", "L"))
    take_in(harness, result("", "I20260000000000001", "P"))
    assert harness.message(sent)["customs_status"] == "released"


def test_a_file_that_is_no_answer_is_held_and_the_others_are_processed(harness: Harness) -> None:
    sent = harness.judged("broker-aa", "a.zip", packed(Declaration(reference="R1"))).message
    bad = Answer(id="1", name="bad.xml", body=b"\x00<not", key=sent)
    take_in(harness, bad, result(sent, "I20260000000000001", "L"))
    assert harness.message(sent)["customs_status"] == "stored"
    (held,) = [row for row in harness.rows(messages, kind="answer") if row["state"] == "held"]
    assert held["reason"].startswith("cannot be read: xml-")


def test_an_answer_that_names_two_parties_declarations_by_their_reference_is_held_not_guessed(
    harness: Harness,
) -> None:
    documents = (Document(body=pdf()),)
    first = harness.judged("broker-aa", "a.zip", packed(Declaration(reference="C-1", documents=documents)))
    body = (
        b'<DecImportResponse xmlns="http://www.chinaport.gov.cn/dec"><ResponseCode>0</ResponseCode>'
        b"<ErrorMessage/><ClientSeqNo>C-1</ClientSeqNo><SeqNo>%s</SeqNo><TrnPreId/></DecImportResponse>"
    )
    agent = enterprise("broker-b")
    declaration = Declaration(reference="C-1", agent=agent, documents=documents)
    second = harness.judged("broker-b", "b.zip", packed(declaration))
    assert all(decision.submissions for decision in (first, second))
    unnamed = Answer(id="1", name="s.xml", body=body % b"I20260000000000001")
    take_in(harness, unnamed)
    (held,) = [row for row in harness.rows(messages, kind="answer") if row["state"] == "held"]
    assert "more than one party has an open declaration with reference C-1" in held["reason"]
    assert {harness.message(decision.message)["seq_no"] for decision in (first, second)} == {None}
    # With the key of its submission it is certain, and what is left is certain too.
    take_in(harness, Answer(id="2", name="s.xml", body=body % b"I20260000000000002", key=second.message))
    take_in(harness, Answer(id="3", name="s.xml", body=body % b"I20260000000000003"))
    assert harness.message(first.message)["seq_no"] == "I20260000000000003"
    assert harness.message(second.message)["seq_no"] == "I20260000000000002"
