"""A bare declaration and the PDFs that it lists, sent on their own (FORMATS 3.2, second way; issue 3, 4)."""

import asyncio
import unicodedata
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from io import BytesIO
from itertools import count
from pathlib import Path

import pytest

from adapters.sandbox.inspection import inspect
from adapters.store.tables.messages import deliveries, messages, receipts
from gateway.formats import xml
from gateway.formats.archive import ArchiveLimits, open_archive
from gateway.formats.submission import write_zip
from gateway.judge.pipeline import judge
from gateway.model.decision import Decision
from gateway.model.faults import Fault
from gateway.model.message import ATTACHMENT, EnclosureKind
from gateway.model.parties import RegisteredCertificate
from gateway.model.ports import Superseded
from gateway.model.states import Event, State
from tests.support.declarations import CONTRACT, INVOICE, PACKING_LIST, Declaration, Document
from tests.support.desk import NOW, Desk, Row
from tests.support.habits import AU3
from tests.support.pdfs import pdf
from tests.support.receipts import read_gateway_receipt
from tests.support.rendering import files, render

ACCOUNT = "broker-aa"
PDF = pdf()
LISTED = Declaration(
    documents=(
        Document(code=INVOICE, body=pdf(text="INVOICE")),
        Document(code=CONTRACT, body=pdf(pages=2, text="CONTRACT")),
    )
)
PDFS = files(LISTED, AU3)
FIRST, SECOND = PDFS


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk.at(tmp_path / "home") as desk:
        yield desk


def sent(desk: Desk, name: str, account: str = ACCOUNT) -> Decision:
    """One of the two PDFs on its own."""
    return desk.judged(account, name, PDFS[name])


def declared(desk: Desk, declaration: Declaration = LISTED, name: str = "d.xml") -> Decision:
    return desk.judged(ACCOUNT, name, render(declaration, AU3))


def again(desk: Desk) -> list[Decision]:
    """The decisions on what was woken or is overdue, committed."""
    decisions = []
    for number in count(1):
        at = NOW + timedelta(days=9, seconds=number)
        received = asyncio.run(desk.messages.claim(1, at, timedelta(minutes=1)))
        if not received:
            break
        blob = partial(desk.blobs.open, received[0].arrival.sha256)
        decisions.append(judge(received[0], blob, desk.rules, desk.register, desk.signer, at))
        asyncio.run(desk.messages.decide(decisions[-1], at))
    return decisions


def woken(desk: Desk) -> Decision:
    (decision,) = again(desk)
    return decision


def finals(desk: Desk, message: str) -> list[Row]:
    return [row for row in desk.rows(receipts, message=message) if row["final"] and not row["superseded"]]


def codes(decision: Decision) -> list[str]:
    return [found.code for found in decision.findings]


def test_pdfs_that_came_first_are_accepted_with_the_declaration_that_lists_them(desk: Desk) -> None:
    loose = [sent(desk, FIRST), sent(desk, SECOND)]
    assert [each.event for each in loose] == [Event.LACKS, Event.LACKS]
    decision = declared(desk)
    assert decision.event is Event.PASSED, decision.findings
    for each in loose:
        row = desk.message(each.message)
        assert (row["state"], row["linked"], row["folder"]) == (State.CLOSED, decision.message, "SentBox")
        assert (row["type"], row["waiting_for"], row["until"]) == (ATTACHMENT, None, None)
        assert [final["verdict"] for final in finals(desk, each.message)] == ["accepted"]
    (delivery,) = desk.rows(deliveries)
    sent_on = [each["name"] for each in delivery["enclosures"] if each["kind"] == EnclosureKind.ATTACHMENT]
    assert sent_on == [FIRST, SECOND]


def test_a_declaration_that_came_first_waits_for_all_its_pdfs_and_goes_on_by_itself(desk: Desk) -> None:
    waits = declared(desk)
    assert waits.event is Event.LACKS
    assert [found.place.file for found in waits.findings] == [FIRST, SECOND]
    assert set(codes(waits)) == {Fault.AWAITED.code}
    assert desk.message(waits.message)["waiting_for"] == f"document {desk.party(ACCOUNT).code} {FIRST}"
    sent(desk, SECOND)  # nobody waits for it alone
    assert desk.message(waits.message)["state"] == State.WAITING
    sent(desk, FIRST)
    assert woken(desk).event is Event.PASSED
    assert {row["state"] for row in desk.rows(messages)} == {State.ACCEPTED, State.CLOSED}
    told = desk.rows(receipts, message=waits.message, kind="gateway")
    assert [row["verdict"] for row in told] == ["waiting", "accepted"]


def test_a_declaration_is_not_told_again_that_it_waits(desk: Desk) -> None:
    waits = declared(desk)
    sent(desk, FIRST)
    assert woken(desk).event is Event.LACKS
    assert desk.message(waits.message)["waiting_for"] == f"document {desk.party(ACCOUNT).code} {SECOND}"
    assert len(desk.rows(receipts, message=waits.message)) == 1
    sent(desk, SECOND)
    assert woken(desk).event is Event.PASSED


@pytest.mark.parametrize("pdfs_first", [True, False])
def test_a_declaration_may_list_a_file_without_its_suffix(pdfs_first: bool, desk: Desk) -> None:
    listed = Declaration(documents=(Document(name="invoice of May", body=PDF),))
    (name,) = files(listed)
    assert name == "invoice of May"
    if pdfs_first:
        desk.judged(ACCOUNT, "invoice of May.pdf", PDF)
        assert declared(desk, listed).event is Event.PASSED
    else:
        assert declared(desk, listed).event is Event.LACKS
        desk.judged(ACCOUNT, "invoice of May.pdf", PDF)
        assert woken(desk).event is Event.PASSED


def test_the_receipt_of_the_declaration_and_those_of_its_pdfs_tell_of_one_another(desk: Desk) -> None:
    loose = sent(desk, FIRST)
    sent(desk, SECOND)
    decision = declared(desk)
    told = read_gateway_receipt(desk, decision.receipts[0])
    parts = told.findall("{*}Package/{*}Part")
    assert [part.get("name") for part in parts] == ["d.xml", FIRST, SECOND]
    assert parts[1].get("message") == loose.message
    own = xml.parse(finals(desk, loose.message)[0]["body"])
    assert own.findtext("{*}Linked") == decision.message
    assert own.findtext("{*}Reference") == FIRST
    part = own.find("{*}Package/{*}Part")
    assert part is not None
    assert part.get("sha256") == parts[1].get("sha256") == desk.message(loose.message)["sha256"]


def test_customs_takes_the_declaration_with_its_pdfs_byte_for_byte(desk: Desk, tmp_path: Path) -> None:
    for name in PDFS:
        sent(desk, name)
    (submission,) = declared(desk).submissions
    out = BytesIO()
    write_zip(submission, desk.blobs.open, out)
    own = RegisteredCertificate(pem=desk.home.certificate.read_text())
    envelope = inspect(out, (own,), NOW + timedelta(minutes=1), tmp_path)
    attached = [each.name for each in envelope.enclosures if each.kind is EnclosureKind.ATTACHMENT]
    assert attached == [FIRST, SECOND]
    archive = open_archive(out, ArchiveLimits(entries=9, ratio=100, size=1 << 24))
    held = {entry.name: b"".join(archive.open(entry)) for entry in archive.entries}
    assert {name: held[name] for name in PDFS} == PDFS
    assert held["d.xml"] == render(LISTED, AU3)


def test_pdfs_whose_names_differ_in_case_only_go_to_customs_under_two_names(
    desk: Desk, tmp_path: Path
) -> None:
    both = Declaration(
        documents=(Document(name="a.pdf", body=PDF), Document(code=PACKING_LIST, name="A.PDF", body=PDF))
    )
    ids = [desk.judged(ACCOUNT, name, PDF).message for name in ("a.pdf", "A.PDF")]
    (submission,) = declared(desk, both).submissions
    attached = [each.name for each in submission.enclosures if each.kind is EnclosureKind.ATTACHMENT]
    assert attached == ["a.pdf", f"{ids[1]}.pdf"]
    out = BytesIO()
    write_zip(submission, desk.blobs.open, out)
    own = RegisteredCertificate(pem=desk.home.certificate.read_text())
    inspect(out, (own,), NOW + timedelta(minutes=1), tmp_path)


def test_the_newest_pdf_of_a_name_counts_and_the_one_before_is_told(desk: Desk) -> None:
    older = sent(desk, FIRST)
    newer = desk.judged(ACCOUNT, FIRST, PDF)
    sent(desk, SECOND)
    row = desk.message(older.message)
    assert (row["state"], row["linked"], row["folder"]) == (State.REJECTED, newer.message, "FailBox")
    assert [found["code"] for found in row["findings"]] == [Fault.DOCUMENT_REPLACED.code]
    (final,) = finals(desk, older.message)
    assert final["verdict"] == "rejected"
    decision = declared(desk)
    assert decision.submissions[0].enclosures[0].message == newer.message
    assert desk.message(older.message)["state"] == State.REJECTED


def test_two_pdfs_of_a_name_that_are_judged_at_once_do_not_both_wait(desk: Desk) -> None:
    older = desk.received(ACCOUNT, FIRST, PDFS[FIRST])
    newer = desk.received(ACCOUNT, FIRST, PDF)
    at_once = desk.judgement(older)
    asyncio.run(desk.messages.decide(desk.judgement(newer), NOW))
    with pytest.raises(Superseded):
        asyncio.run(desk.messages.decide(at_once, NOW))
    decision = desk.judgement(older)
    assert (decision.event, codes(decision)) == (Event.REFUSED, [Fault.DOCUMENT_REPLACED.code])


def test_a_pdf_that_comes_while_its_declaration_is_judged_is_not_missed(desk: Desk) -> None:
    sent(desk, SECOND)
    received = desk.received(ACCOUNT, "d.xml", render(LISTED, AU3))
    lacking = desk.judgement(received)
    assert lacking.event is Event.LACKS
    sent(desk, FIRST)
    with pytest.raises(Superseded):
        asyncio.run(desk.messages.decide(lacking, NOW))
    assert desk.judgement(received).event is Event.PASSED


def test_of_two_declarations_that_list_one_pdf_one_gets_it(desk: Desk) -> None:
    one = Declaration(documents=LISTED.documents[:1])
    sent(desk, FIRST)
    received = desk.received(
        ACCOUNT, "other.xml", render(Declaration(reference="O", documents=one.documents), AU3)
    )
    at_once = desk.judgement(received)
    assert at_once.event is Event.PASSED
    assert declared(desk, one).event is Event.PASSED
    with pytest.raises(Superseded):
        asyncio.run(desk.messages.decide(at_once, NOW))
    assert desk.judgement(received).event is Event.LACKS


def test_of_two_that_list_one_pdf_the_first_received_gets_it_though_the_other_is_judged_first(
    desk: Desk,
) -> None:
    one = Declaration(documents=LISTED.documents[:1])
    first = declared(desk, one)
    assert first.event is Event.LACKS
    other = Declaration(reference="O", documents=one.documents)
    later = desk.received(ACCOUNT, "other.xml", render(other, AU3))
    sent(desk, FIRST)  # it wakes the first, which is not judged yet
    took = desk.judgement(later)
    assert took.event is Event.PASSED
    with pytest.raises(Superseded):
        asyncio.run(desk.messages.decide(took, NOW))
    decided = {each.message: each.event for each in again(desk)}
    assert decided.pop(first.message) is Event.PASSED
    assert Event.PASSED not in decided.values()


def test_what_waits_too_long_is_refused_with_its_name(desk: Desk) -> None:
    loose, waits = sent(desk, SECOND), declared(desk)
    hours = desk.rules.policy.pdf.wait_hours
    assert asyncio.run(desk.messages.expire(NOW + timedelta(hours=hours, minutes=1))) == 2
    pdf_late, late = again(desk)
    assert codes(pdf_late) == [Fault.WAIT_EXPIRED.code, Fault.AWAITED.code]
    assert codes(late) == [Fault.WAIT_EXPIRED.code, *[Fault.AWAITED.code] * 2]
    for message in (loose.message, waits.message):
        assert desk.message(message)["state"] == State.REJECTED
        assert [row["verdict"] for row in finals(desk, message)] == ["rejected"]


def test_a_declaration_that_repeats_has_no_second_effect(desk: Desk) -> None:
    for name in PDFS:
        sent(desk, name)
    first = declared(desk)
    second = declared(desk, name="again.xml")
    assert (second.event, second.linked) == (Event.REPEATED, first.message)
    assert len(desk.rows(deliveries)) == 1


def test_another_partys_pdf_is_not_taken(desk: Desk) -> None:
    for name in PDFS:
        sent(desk, name, account="broker-b")
    assert declared(desk).event is Event.LACKS


def test_a_declaration_with_another_fault_is_refused_at_once(desk: Desk) -> None:
    wrong = declared(desk, Declaration(documents=LISTED.documents, head={"TradeMode": None}))
    assert wrong.event is Event.REFUSED
    assert Fault.DOCUMENT_MISSING.code in codes(wrong)


def test_the_listed_pdfs_of_a_refused_declaration_go_on_waiting_for_the_next(desk: Desk) -> None:
    loose = [sent(desk, name) for name in PDFS]
    declared(desk, Declaration(documents=LISTED.documents, head={"TradeMode": None}))
    assert {desk.message(each.message)["state"] for each in loose} == {State.WAITING}
    assert declared(desk).event is Event.PASSED


UNFIT = {
    "cut short": (PDF[:-40], "a.pdf"),
    "encrypted": (pdf(encrypted=True), "a.pdf"),
    "too old": (pdf(version="1.3"), "a.pdf"),
    "too large": (pdf(pages=20, size=4 * 1024 * 1024 + 1), "a.pdf"),
    "too large per page": (pdf(size=400 * 1024 + 1), "a.pdf"),
    "long name": (PDF, "a" * 61 + ".pdf"),
    "strange name": (PDF, "what?.pdf"),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_a_pdf_that_no_declaration_could_bring_is_refused_at_once(kind: str, desk: Desk) -> None:
    body, name = UNFIT[kind]
    decision = desk.judged(ACCOUNT, name, body)
    assert (decision.event, codes(decision)) == (Event.REFUSED, [Fault.PDF_UNFIT.code])
    assert decision.findings[0].place.file == name
    assert [row["verdict"] for row in finals(desk, decision.message)] == ["rejected"]


@pytest.mark.parametrize(
    "character", ["\x7f", "\u034f", "\u115f", "\u200b", "\u202e", "\u3000", "\u3164", "\ufe0f"]
)
def test_a_name_is_a_reference_and_holds_nothing_that_cannot_be_seen(character: str, desk: Desk) -> None:
    decision = desk.judged(ACCOUNT, f"a{character}b.pdf", PDF)
    assert (decision.event, codes(decision)) == (Event.REFUSED, [Fault.TEXT_CHARACTERS.code])
    assert f"文件名：U+{ord(character):04X}" in decision.findings[0].zh


@pytest.mark.parametrize("account", ["premises", "customs", "association"])
def test_a_pdf_of_one_who_may_declare_nothing_is_refused_at_once(account: str, desk: Desk) -> None:
    decision = desk.judged(account, "a.pdf", PDF)
    assert (decision.event, codes(decision)) == (Event.REFUSED, [Fault.SENDER_ROLE.code])
    assert "可发送的为" in decision.findings[0].zh
    assert [row["verdict"] for row in finals(desk, decision.message)] == ["rejected"]


def test_a_pdf_larger_than_the_account_may_send_is_refused(desk: Desk) -> None:
    desk.change_account(ACCOUNT, max_package=len(PDF) - 1)
    assert codes(desk.judged(ACCOUNT, "a.pdf", PDF)) == [Fault.PACKAGE_TOO_LARGE.code]


def test_a_declaration_and_its_pdfs_are_together_no_larger_than_the_account_may_send(desk: Desk) -> None:
    for name in PDFS:
        sent(desk, name)
    desk.change_account(ACCOUNT, max_package=len(render(LISTED, AU3)) + len(PDFS[FIRST]))
    assert codes(declared(desk)) == [Fault.PACKAGE_TOO_LARGE.code]


def test_a_declaration_that_lists_more_than_a_package_may_hold_waits_for_nothing(desk: Desk) -> None:
    many = tuple(Document(name=f"{number}.pdf", body=PDF) for number in range(200))
    decision = declared(desk, Declaration(documents=many))
    assert decision.event is Event.REFUSED
    assert set(codes(decision)) == {Fault.DOCUMENT_MISSING.code}


ALIKE = {
    "case": ("INVOICE.PDF", "invoice.pdf"),
    "case, no suffix": ("Invoice.PDF", "invoice"),
    "normal form": (unicodedata.normalize("NFD", "été.pdf"), unicodedata.normalize("NFC", "été.pdf")),
}


@pytest.mark.parametrize("alike", ALIKE)
@pytest.mark.parametrize("pdf_first", [True, False])
def test_a_name_is_matched_as_those_of_parts_are_and_stays_as_it_was_sent(
    alike: str, pdf_first: bool, desk: Desk
) -> None:
    name, listed = ALIKE[alike]
    declaration = Declaration(documents=(Document(name=listed, body=PDF),))
    if pdf_first:
        desk.judged(ACCOUNT, name, PDF)
        accepted = declared(desk, declaration)
    else:
        waits = declared(desk, declaration)
        assert desk.message(waits.message)["waiting_for"] == f"document {desk.party(ACCOUNT).code} {listed}"
        desk.judged(ACCOUNT, name, PDF)
        accepted = woken(desk)
    assert accepted.event is Event.PASSED
    assert [found.rule for found in accepted.findings] == ["DEC-609"]
    assert [each.name for each in accepted.joined] == [name]
    (submission,) = accepted.submissions
    attached = [each.name for each in submission.enclosures if each.kind is EnclosureKind.ATTACHMENT]
    assert attached == [name]


def test_what_is_written_exactly_counts_before_what_is_spelt_alike(desk: Desk) -> None:
    for name in ("a.pdf", "A.pdf"):
        desk.judged(ACCOUNT, name, PDF)
    accepted = declared(desk, Declaration(documents=(Document(name="A", body=PDF),)))
    assert ([each.name for each in accepted.joined], accepted.findings) == (["A.pdf"], ())


def test_of_two_that_are_spelt_alike_nobody_can_say_which_is_meant(desk: Desk) -> None:
    for name in ("a.PDF", "A.pdf"):
        desk.judged(ACCOUNT, name, PDF)
    refused = declared(desk, Declaration(documents=(Document(name="a.pdf", body=PDF),)))
    assert (refused.event, codes(refused)) == (Event.REFUSED, [Fault.DOCUMENT_AMBIGUOUS.code])
    assert {row["state"] for row in desk.rows(messages, type=ATTACHMENT)} == {State.WAITING}


def test_the_first_received_gets_a_pdf_however_it_spells_its_name(desk: Desk) -> None:
    first, second = (
        desk.received(
            ACCOUNT,
            f"{reference}.xml",
            render(Declaration(reference=reference, documents=(Document(name=name, body=PDF),)), AU3),
        )
        for reference, name in (("R1", "A.pdf"), ("R2", "a.pdf"))
    )
    for each in (first, second):
        asyncio.run(desk.messages.decide(desk.judgement(each, NOW), NOW))
    desk.judged(ACCOUNT, "a.pdf", PDF)
    at = NOW + timedelta(days=1)
    by_id = {each.arrival.id: each for each in asyncio.run(desk.messages.claim(2, at, timedelta(minutes=1)))}
    later = desk.judgement(by_id[second.arrival.id], at)
    with pytest.raises(Superseded):
        asyncio.run(desk.messages.decide(later, at))
    asyncio.run(desk.messages.decide(desk.judgement(by_id[first.arrival.id], at), at))
    assert desk.message(first.arrival.id)["state"] == State.ACCEPTED
