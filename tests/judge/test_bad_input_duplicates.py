"""The same message again, and other messages under its reference (docs/for-brokers.md, "Sent twice")."""

import asyncio
from dataclasses import replace
from io import BytesIO
from zipfile import ZipFile

import pytest
from lxml import etree

from adapters.store.tables.messages import deliveries, holders, receipts
from adapters.store.write.answers import SqlAnswers
from gateway.judge.pipeline import Rules
from gateway.model.answer import Answer
from gateway.model.decision import Decision
from gateway.model.faults import Fault, Severity
from gateway.model.policy import DeclarationPolicy
from gateway.model.states import Event, State
from gateway.respond.answer_intake import CustomsAnswers
from tests.support.acts import replay
from tests.support.declarations import INVOICE, Declaration, Document, Line
from tests.support.harness import NOW, Harness
from tests.support.pdfs import pdf
from tests.support.receipts import NS, assert_refusal_is_told, read_gateway_receipt
from tests.support.rendering import files, package, packed, render

ACCOUNT = "broker-aa"
FIRST = Declaration(reference="R1")
OTHER = Declaration(reference="R1", lines=(Line(name="滚针轴承"),))
FAULTY = Declaration(reference="R1", head={"NetWt": "109"})
ANSWER = (
    "<DEC_RESULT><CUS_CIQ_NO>I20260000000000001</CUS_CIQ_NO><ENTRY_ID>020220261000000001</ENTRY_ID>"
    "<NOTICE_DATE>2026-11-23T12:30:00</NOTICE_DATE><CHANNEL>{channel}</CHANNEL></DEC_RESULT>"
)


def sent(harness: Harness, declaration: Declaration, name: str = "a.zip", account: str = ACCOUNT) -> Decision:
    return harness.judged(account, name, packed(declaration))


def refused(harness: Harness, declaration: Declaration, name: str = "a.zip") -> Decision:
    with harness.nothing_else_touched():
        decision = sent(harness, declaration, name)
    assert_refusal_is_told(harness, decision, name)
    return decision


def answered(harness: Harness, decision: Decision, channel: str) -> None:
    answer_store = SqlAnswers(harness.database, lambda: NOW)
    answers = CustomsAnswers(answer_store, harness.judges, lambda: NOW)
    body = ANSWER.format(channel=channel).encode()
    answer = Answer(id=f"{decision.message}-{channel}", name="answer.xml", body=body, key=decision.message)
    asyncio.run(answers.take_in("customs", [answer]))


def holder_of(harness: Harness) -> list[str]:
    return [row["message"] for row in harness.rows(holders)]


def inbox(harness: Harness, message: str) -> list[tuple[str, str, bytes]]:
    """The sender's: what others were told of it is not given again."""
    return [
        (row["kind"], row["verdict"], row["body"])
        for row in harness.rows(receipts, message=message, account=harness.message(message)["account"])
        if row["folder"] == "InBox"
    ]


def test_the_same_again_gets_its_receipts_again_and_has_no_second_effect(harness: Harness) -> None:
    first = sent(harness, FIRST)
    with harness.nothing_else_touched():
        again = sent(harness, FIRST, "again.zip")
    assert (again.event, again.linked, again.submissions) == (Event.REPEATED, first.message, ())
    assert harness.message(again.message)["state"] == State.CLOSED
    assert inbox(harness, again.message) == inbox(harness, first.message)
    assert [
        row["name"].startswith("Gateway_again_") for row in harness.rows(receipts, message=again.message)
    ] == [True]


def test_a_repeated_message_gets_the_answers_that_customs_has_given_since(harness: Harness) -> None:
    first = sent(harness, FIRST)
    answered(harness, first, "L")
    again = sent(harness, FIRST, "again.zip")
    assert [kind for kind, _, _ in inbox(harness, again.message)] == ["gateway", "business"]


def test_a_package_that_is_only_packed_otherwise_is_the_same(harness: Harness) -> None:
    declaration = Declaration(documents=(Document(code=INVOICE, body=pdf()),))
    attached = files(declaration)
    first = harness.judged(ACCOUNT, "a.zip", package(render(declaration), attached, "d.xml"))
    again = harness.judged(ACCOUNT, "b.zip", _stored(render(declaration), attached))
    assert (first.event, again.event) == (Event.PASSED, Event.REPEATED)


def test_a_bare_document_under_another_file_name_is_the_same(harness: Harness) -> None:
    body = render(FIRST)
    assert harness.judged(ACCOUNT, "a.xml", body).event is Event.PASSED
    assert harness.judged(ACCOUNT, "a(1).xml", body).event is Event.REPEATED


def test_other_content_under_an_accepted_reference_is_refused(harness: Harness) -> None:
    first = sent(harness, FIRST)
    decision = refused(harness, OTHER)
    (finding,) = decision.findings
    assert finding.code == Fault.DUPLICATE_REFERENCE.code
    assert finding.place.file == "R1.xml"
    assert finding.place.xpath == "/DecMessage/DecSign/ClientSeqNo"
    assert holder_of(harness) == [first.message]


def test_a_refused_duplicate_does_not_take_the_place_of_the_first(harness: Harness) -> None:
    first = sent(harness, FIRST)
    refused(harness, OTHER)
    assert refused(harness, OTHER, "b.zip").findings[0].code == Fault.DUPLICATE_REFERENCE.code
    assert sent(harness, FIRST, "c.zip").linked == first.message


def test_the_same_message_after_a_rejection_is_judged_again(harness: Harness) -> None:
    refused(harness, FAULTY)
    again = refused(harness, FAULTY)
    assert [finding.rule for finding in again.findings] == ["DEC-501"]


def test_a_correction_after_a_rejection_is_accepted_and_linked_to_it(harness: Harness) -> None:
    first = refused(harness, FAULTY)
    second = sent(harness, FIRST)
    assert (second.event, second.linked) == (Event.PASSED, first.message)
    receipt = read_gateway_receipt(harness, second.receipts[0])
    assert receipt.findtext("g:Linked", namespaces=NS) == first.message
    (submission,) = second.submissions
    envelope = etree.tostring(etree.XML(submission.envelope))
    assert f"<Linked>{first.message}</Linked>".encode() in envelope


@pytest.mark.parametrize("declaration", [FIRST, OTHER], ids=["same", "other"])
@pytest.mark.parametrize("channel", ["E", "Z"])
def test_a_declaration_that_customs_refused_may_be_sent_again_or_corrected(
    channel: str, declaration: Declaration, harness: Harness
) -> None:
    first = sent(harness, FIRST)
    answered(harness, first, channel)
    second = sent(harness, declaration)
    assert (second.event, second.linked) == (Event.PASSED, first.message)
    assert holder_of(harness) == [second.message]
    assert len(harness.rows(deliveries)) == 2


def test_a_declaration_after_its_temporary_save_is_an_update(harness: Harness) -> None:
    save = sent(harness, replace(FIRST, operation="G"))
    declared = sent(harness, FIRST)
    assert (save.event, declared.event, declared.linked) == (Event.PASSED, Event.PASSED, save.message)
    assert holder_of(harness) == [declared.message]


def test_a_save_after_the_declaration_is_a_duplicate(harness: Harness) -> None:
    sent(harness, FIRST)
    assert refused(harness, replace(FIRST, operation="G")).findings[0].code == Fault.DUPLICATE_REFERENCE.code


def test_a_second_save_with_other_content_is_a_duplicate(harness: Harness) -> None:
    sent(harness, replace(FIRST, operation="G"))
    assert refused(harness, replace(OTHER, operation="G")).findings[0].code == Fault.DUPLICATE_REFERENCE.code


def test_a_message_that_failed_on_our_side_does_not_count_as_a_duplicate(harness: Harness) -> None:
    received = harness.received(ACCOUNT, "a.zip", packed(FIRST))
    broken = Decision(message=received.arrival.id, attempt=1, fence=1, event=Event.FAILED, reason="tests")
    asyncio.run(harness.messages.decide(broken, NOW))
    second = sent(harness, OTHER)
    assert (second.event, second.linked) == (Event.PASSED, None)


def test_another_party_has_references_of_its_own(harness: Harness) -> None:
    sent(harness, FIRST)
    theirs = replace(FIRST, agent=replace(OTHER.trader), lines=OTHER.lines)
    assert sent(harness, theirs, account="trader-a").event is Event.PASSED


def test_a_replayed_rejection_that_is_rejected_again_gives_no_second_receipt(harness: Harness) -> None:
    first = refused(harness, FAULTY)
    harness.database.submit(lambda to: replay(to, first.message, "tests", "again", NOW)).result()
    asyncio.run(harness.messages.decide(harness.judgement(harness.claimed(NOW)), NOW))
    assert harness.message(first.message)["state"] == State.REJECTED
    assert_refusal_is_told(harness, first, "a.zip")


def test_the_same_goods_under_another_reference_are_accepted_with_a_warning(harness: Harness) -> None:
    sent(harness, FIRST)
    second = sent(harness, Declaration(reference="R2", head=_identity_of(FIRST)))
    assert second.event is Event.PASSED
    assert [(finding.code, finding.severity) for finding in second.findings] == [
        (Fault.SAME_CONTENT.code, Severity.WARNING)
    ]
    receipt = read_gateway_receipt(harness, second.receipts[0])
    assert [fault.get("severity") for fault in receipt.iterfind("g:Faults/g:Fault", NS)] == ["warning"]


def test_the_same_goods_are_refused_where_policy_says_so_however_often_they_are_sent(
    harness: Harness,
) -> None:
    strict = harness.rules.policy.model_copy(update={"declaration": DeclarationPolicy(same_content="refuse")})
    harness.rules = Rules(families=harness.rules.families, policy=strict, routes=harness.rules.routes)
    sent(harness, FIRST)
    for name in ("a.zip", "b.zip"):
        decision = refused(harness, Declaration(reference="R2", head=_identity_of(FIRST)), name)
        assert [finding.code for finding in decision.findings] == [Fault.SAME_CONTENT.code]


def _stored(document: bytes, attached: dict[str, bytes]) -> bytes:
    """The package in another order, not compressed."""
    out = BytesIO()
    with ZipFile(out, "w") as archive:
        for name, body in (*attached.items(), ("d.xml", document)):
            archive.writestr(name, body)
    return out.getvalue()


def _identity_of(declaration: Declaration) -> dict[str, str | None]:
    """The fields of the head that tests derive from the reference, which brokers do not."""
    root = etree.XML(render(declaration))
    return {name: root.findtext(f"d:DecHead/d:{name}", namespaces=NS) for name in ("BillNo", "ContrNo")}
