"""The same message again, and other messages under its reference: CONTRACT.md, "Duplicates"."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest
from lxml import etree

from adapters.store.tables.messages import deliveries, holders, receipts
from adapters.store.write.answers import SqlAnswers
from gateway.judge.pipeline import Rules
from gateway.model.decision import Decision
from gateway.model.faults import Fault, Severity
from gateway.model.policy import DeclarationPolicy
from gateway.model.ports import Answer
from gateway.model.states import Event, State
from gateway.respond.answer_intake import CustomsAnswers
from tests.support.acts import replay
from tests.support.declarations import INVOICE, Declaration, Document, Line
from tests.support.desk import NOW, Desk
from tests.support.judging import families
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


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk.at(tmp_path / "home") as desk:
        yield desk


def sent(desk: Desk, declaration: Declaration, name: str = "a.zip", account: str = ACCOUNT) -> Decision:
    return desk.judged(account, name, packed(declaration))


def refused(desk: Desk, declaration: Declaration, name: str = "a.zip") -> Decision:
    with desk.nothing_else_touched():
        decision = sent(desk, declaration, name)
    assert_refusal_is_told(desk, decision, name)
    return decision


def answered(desk: Desk, decision: Decision, channel: str) -> None:
    book = SqlAnswers(desk.database, lambda: NOW)
    answers = CustomsAnswers(book, desk.register, families(), desk.rules.policy, desk.judges, lambda: NOW)
    body = ANSWER.format(channel=channel).encode()
    answer = Answer(id=f"{decision.message}-{channel}", name="answer.xml", body=body, key=decision.message)
    asyncio.run(answers.take_in("customs", [answer]))


def holder_of(desk: Desk) -> list[str]:
    return [row["message"] for row in desk.rows(holders)]


def inbox(desk: Desk, message: str) -> list[tuple[str, str, bytes]]:
    """The sender's: what others were told of it is not given again."""
    return [
        (row["kind"], row["verdict"], row["body"])
        for row in desk.rows(receipts, message=message, account=desk.message(message)["account"])
        if row["folder"] == "InBox"
    ]


def test_the_same_again_gets_its_receipts_again_and_has_no_second_effect(desk: Desk) -> None:
    first = sent(desk, FIRST)
    with desk.nothing_else_touched():
        again = sent(desk, FIRST, "again.zip")
    assert (again.event, again.linked, again.submissions) == (Event.REPEATED, first.message, ())
    assert desk.message(again.message)["state"] == State.CLOSED
    assert inbox(desk, again.message) == inbox(desk, first.message)
    assert [
        row["name"].startswith("Gateway_again_") for row in desk.rows(receipts, message=again.message)
    ] == [True]


def test_a_repetition_brings_what_customs_has_said_since(desk: Desk) -> None:
    first = sent(desk, FIRST)
    answered(desk, first, "L")
    again = sent(desk, FIRST, "again.zip")
    assert [kind for kind, _, _ in inbox(desk, again.message)] == ["gateway", "business"]


def test_a_package_that_is_only_packed_otherwise_is_the_same(desk: Desk) -> None:
    declaration = Declaration(documents=(Document(code=INVOICE, body=pdf()),))
    attached = files(declaration)
    first = desk.judged(ACCOUNT, "a.zip", package(render(declaration), attached, "d.xml"))
    again = desk.judged(ACCOUNT, "b.zip", _stored(render(declaration), attached))
    assert (first.event, again.event) == (Event.PASSED, Event.REPEATED)


def test_a_bare_document_under_another_file_name_is_the_same(desk: Desk) -> None:
    body = render(FIRST)
    assert desk.judged(ACCOUNT, "a.xml", body).event is Event.PASSED
    assert desk.judged(ACCOUNT, "a(1).xml", body).event is Event.REPEATED


def test_other_content_under_an_accepted_reference_is_refused(desk: Desk) -> None:
    first = sent(desk, FIRST)
    decision = refused(desk, OTHER)
    (found,) = decision.findings
    assert found.code == Fault.DUPLICATE_REFERENCE.code
    assert found.place.file == "R1.xml"
    assert found.place.xpath == "/DecMessage/DecSign/ClientSeqNo"
    assert holder_of(desk) == [first.message]


def test_what_was_refused_as_a_duplicate_does_not_take_the_place_of_the_first(desk: Desk) -> None:
    first = sent(desk, FIRST)
    refused(desk, OTHER)
    assert refused(desk, OTHER, "b.zip").findings[0].code == Fault.DUPLICATE_REFERENCE.code
    assert sent(desk, FIRST, "c.zip").linked == first.message


def test_the_same_after_a_rejection_is_judged_anew(desk: Desk) -> None:
    refused(desk, FAULTY)
    again = refused(desk, FAULTY)
    assert [found.rule for found in again.findings] == ["DEC-501"]


def test_a_correction_after_a_rejection_is_accepted_and_linked_to_it(desk: Desk) -> None:
    first = refused(desk, FAULTY)
    second = sent(desk, FIRST)
    assert (second.event, second.linked) == (Event.PASSED, first.message)
    receipt = read_gateway_receipt(desk, second.receipts[0])
    assert receipt.findtext("g:Linked", namespaces=NS) == first.message
    (submission,) = second.submissions
    envelope = etree.tostring(etree.XML(submission.envelope))
    assert f"<Linked>{first.message}</Linked>".encode() in envelope


@pytest.mark.parametrize("declaration", [FIRST, OTHER], ids=["same", "other"])
@pytest.mark.parametrize("channel", ["E", "Z"])
def test_what_customs_refused_may_be_sent_again_or_corrected(
    channel: str, declaration: Declaration, desk: Desk
) -> None:
    first = sent(desk, FIRST)
    answered(desk, first, channel)
    second = sent(desk, declaration)
    assert (second.event, second.linked) == (Event.PASSED, first.message)
    assert holder_of(desk) == [second.message]
    assert len(desk.rows(deliveries)) == 2


def test_a_declaration_after_its_temporary_save_is_an_update(desk: Desk) -> None:
    save = sent(desk, replace(FIRST, operation="G"))
    declared = sent(desk, FIRST)
    assert (save.event, declared.event, declared.linked) == (Event.PASSED, Event.PASSED, save.message)
    assert holder_of(desk) == [declared.message]


def test_a_save_after_the_declaration_is_a_duplicate(desk: Desk) -> None:
    sent(desk, FIRST)
    assert refused(desk, replace(FIRST, operation="G")).findings[0].code == Fault.DUPLICATE_REFERENCE.code


def test_a_second_save_with_other_content_is_a_duplicate(desk: Desk) -> None:
    sent(desk, replace(FIRST, operation="G"))
    assert refused(desk, replace(OTHER, operation="G")).findings[0].code == Fault.DUPLICATE_REFERENCE.code


def test_what_failed_on_our_side_never_counts(desk: Desk) -> None:
    received = desk.received(ACCOUNT, "a.zip", packed(FIRST))
    broken = Decision(message=received.arrival.id, attempt=1, event=Event.BROKE, reason="tests")
    asyncio.run(desk.messages.decide(broken, NOW))
    second = sent(desk, OTHER)
    assert (second.event, second.linked) == (Event.PASSED, None)


def test_another_party_has_references_of_its_own(desk: Desk) -> None:
    sent(desk, FIRST)
    theirs = replace(FIRST, agent=replace(OTHER.trader), lines=OTHER.lines)
    assert sent(desk, theirs, account="trader-a").event is Event.PASSED


def test_a_replayed_rejection_that_is_rejected_again_gives_no_second_receipt(desk: Desk) -> None:
    first = refused(desk, FAULTY)
    desk.database.submit(lambda to: replay(to, first.message, "tests", "again", NOW)).result()
    asyncio.run(desk.messages.decide(desk.judgement(desk.claimed(NOW)), NOW))
    assert desk.message(first.message)["state"] == State.REJECTED
    assert_refusal_is_told(desk, first, "a.zip")


def test_the_same_goods_under_another_reference_are_accepted_with_a_warning(desk: Desk) -> None:
    sent(desk, FIRST)
    second = sent(desk, Declaration(reference="R2", head=_identity_of(FIRST)))
    assert second.event is Event.PASSED
    assert [(found.code, found.severity) for found in second.findings] == [
        (Fault.SAME_CONTENT.code, Severity.WARNING)
    ]
    receipt = read_gateway_receipt(desk, second.receipts[0])
    assert [fault.get("severity") for fault in receipt.iterfind("g:Faults/g:Fault", NS)] == ["warning"]


def test_the_same_goods_are_refused_where_policy_says_so_however_often_they_are_sent(desk: Desk) -> None:
    strict = desk.rules.policy.model_copy(update={"declaration": DeclarationPolicy(same_content="refuse")})
    desk.rules = Rules(families=desk.rules.families, policy=strict, routes=desk.rules.routes)
    sent(desk, FIRST)
    for name in ("a.zip", "b.zip"):
        decision = refused(desk, Declaration(reference="R2", head=_identity_of(FIRST)), name)
        assert [found.code for found in decision.findings] == [Fault.SAME_CONTENT.code]


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
