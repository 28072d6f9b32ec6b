"""A bare declaration and the PDFs that it lists, sent on their own (docs/for-brokers.md)."""

import asyncio
import unicodedata
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
from gateway.model.states import Event, State
from gateway.model.transition import Refusal
from tests.support.declarations import CONTRACT, INVOICE, PACKING_LIST, Declaration, Document
from tests.support.habits import AU3
from tests.support.harness import NOW, Harness, Row
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


def sent(harness: Harness, name: str, account: str = ACCOUNT) -> Decision:
    """One of the two PDFs on its own."""
    return harness.judged(account, name, PDFS[name])


def declared(harness: Harness, declaration: Declaration = LISTED, name: str = "d.xml") -> Decision:
    return harness.judged(ACCOUNT, name, render(declaration, AU3))


def again(harness: Harness) -> list[Decision]:
    """The decisions on what was woken or is overdue, committed."""
    decisions = []
    for number in count(1):
        at = NOW + timedelta(days=9, seconds=number)
        received = asyncio.run(harness.messages.claim(1, at, timedelta(minutes=1)))
        if not received:
            break
        blob = partial(harness.blobs.open, received[0].arrival.sha256)
        decisions.append(judge(received[0], blob, harness.rules, harness.register, harness.signer, at))
        asyncio.run(harness.messages.decide(decisions[-1], at))
    return decisions


def woken(harness: Harness) -> Decision:
    (decision,) = again(harness)
    return decision


def finals(harness: Harness, message: str) -> list[Row]:
    return [row for row in harness.rows(receipts, message=message) if row["final"] and not row["superseded"]]


def codes(decision: Decision) -> list[str]:
    return [finding.code for finding in decision.findings]


def test_pdfs_that_arrive_first_are_accepted_with_the_declaration_that_lists_them(harness: Harness) -> None:
    separate = [sent(harness, FIRST), sent(harness, SECOND)]
    assert [attachment.event for attachment in separate] == [Event.WAITING, Event.WAITING]
    decision = declared(harness)
    assert decision.event is Event.PASSED, decision.findings
    for attachment in separate:
        row = harness.message(attachment.message)
        assert (row["state"], row["linked"], row["folder"]) == (State.CLOSED, decision.message, "SentBox")
        assert (row["type"], row["waiting_for"], row["until"]) == (ATTACHMENT, None, None)
        assert [final["verdict"] for final in finals(harness, attachment.message)] == ["accepted"]
    (delivery,) = harness.rows(deliveries)
    sent_on = [
        enclosure["name"]
        for enclosure in delivery["enclosures"]
        if enclosure["kind"] == EnclosureKind.ATTACHMENT
    ]
    assert sent_on == [FIRST, SECOND]


def test_a_declaration_that_arrives_first_waits_for_all_its_pdfs_and_goes_on_by_itself(
    harness: Harness,
) -> None:
    waits = declared(harness)
    assert waits.event is Event.WAITING
    assert [finding.place.file for finding in waits.findings] == [FIRST, SECOND]
    assert set(codes(waits)) == {Fault.AWAITED.code}
    assert harness.message(waits.message)["waiting_for"] == f"document {harness.party(ACCOUNT).code} {FIRST}"
    sent(harness, SECOND)  # nobody waits for it alone
    assert harness.message(waits.message)["state"] == State.WAITING
    sent(harness, FIRST)
    assert woken(harness).event is Event.PASSED
    assert {row["state"] for row in harness.rows(messages)} == {State.ACCEPTED, State.CLOSED}
    receipt_rows = harness.rows(receipts, message=waits.message, kind="gateway")
    assert [row["verdict"] for row in receipt_rows] == ["waiting", "accepted"]


def test_a_declaration_that_goes_on_waiting_gets_no_second_pending_receipt(harness: Harness) -> None:
    waits = declared(harness)
    sent(harness, FIRST)
    assert woken(harness).event is Event.WAITING
    assert harness.message(waits.message)["waiting_for"] == f"document {harness.party(ACCOUNT).code} {SECOND}"
    assert len(harness.rows(receipts, message=waits.message)) == 1
    sent(harness, SECOND)
    assert woken(harness).event is Event.PASSED


@pytest.mark.parametrize("pdfs_first", [True, False])
def test_a_declaration_may_list_a_file_without_its_suffix(pdfs_first: bool, harness: Harness) -> None:
    listed = Declaration(documents=(Document(name="invoice of May", body=PDF),))
    (name,) = files(listed)
    assert name == "invoice of May"
    if pdfs_first:
        harness.judged(ACCOUNT, "invoice of May.pdf", PDF)
        assert declared(harness, listed).event is Event.PASSED
    else:
        assert declared(harness, listed).event is Event.WAITING
        harness.judged(ACCOUNT, "invoice of May.pdf", PDF)
        assert woken(harness).event is Event.PASSED


def test_the_receipts_of_the_declaration_and_of_its_pdfs_name_each_other(harness: Harness) -> None:
    separate = sent(harness, FIRST)
    sent(harness, SECOND)
    decision = declared(harness)
    gateway_receipt = read_gateway_receipt(harness, decision.receipts[0])
    parts = gateway_receipt.findall("{*}Package/{*}Part")
    assert [part.get("name") for part in parts] == ["d.xml", FIRST, SECOND]
    assert parts[1].get("message") == separate.message
    own = xml.parse(finals(harness, separate.message)[0]["body"])
    assert own.findtext("{*}Linked") == decision.message
    assert own.findtext("{*}Reference") == FIRST
    part = own.find("{*}Package/{*}Part")
    assert part is not None
    assert part.get("sha256") == parts[1].get("sha256") == harness.message(separate.message)["sha256"]


def test_customs_takes_the_declaration_with_its_pdfs_byte_for_byte(harness: Harness, tmp_path: Path) -> None:
    for name in PDFS:
        sent(harness, name)
    (submission,) = declared(harness).submissions
    out = BytesIO()
    write_zip(submission, harness.blobs.open, out)
    own = RegisteredCertificate(pem=harness.home.certificate.read_text())
    envelope = inspect(submission.key, out, (own,), NOW + timedelta(minutes=1), tmp_path).envelope
    attached = [
        enclosure.name for enclosure in envelope.enclosures if enclosure.kind is EnclosureKind.ATTACHMENT
    ]
    assert attached == [FIRST, SECOND]
    archive = open_archive(out, ArchiveLimits(entries=9, ratio=100, size=1 << 24))
    held = {entry.name: b"".join(archive.open(entry)) for entry in archive.entries}
    assert {name: held[name] for name in PDFS} == PDFS
    assert held["d.xml"] == render(LISTED, AU3)


def test_pdfs_whose_names_differ_in_case_only_go_to_customs_under_two_names(
    harness: Harness, tmp_path: Path
) -> None:
    both = Declaration(
        documents=(Document(name="a.pdf", body=PDF), Document(code=PACKING_LIST, name="A.PDF", body=PDF))
    )
    ids = [harness.judged(ACCOUNT, name, PDF).message for name in ("a.pdf", "A.PDF")]
    (submission,) = declared(harness, both).submissions
    attached = [
        enclosure.name for enclosure in submission.enclosures if enclosure.kind is EnclosureKind.ATTACHMENT
    ]
    assert attached == ["a.pdf", f"{ids[1]}.pdf"]
    out = BytesIO()
    write_zip(submission, harness.blobs.open, out)
    own = RegisteredCertificate(pem=harness.home.certificate.read_text())
    inspect(submission.key, out, (own,), NOW + timedelta(minutes=1), tmp_path)


def test_the_newest_pdf_of_a_name_counts_and_the_one_before_is_rejected(harness: Harness) -> None:
    older = sent(harness, FIRST)
    newer = harness.judged(ACCOUNT, FIRST, PDF)
    sent(harness, SECOND)
    row = harness.message(older.message)
    assert (row["state"], row["linked"], row["folder"]) == (State.REJECTED, newer.message, "FailBox")
    assert [finding["code"] for finding in row["findings"]] == [Fault.DOCUMENT_REPLACED.code]
    (final,) = finals(harness, older.message)
    assert final["verdict"] == "rejected"
    decision = declared(harness)
    assert decision.submissions[0].enclosures[0].message == newer.message
    assert harness.message(older.message)["state"] == State.REJECTED


def test_two_pdfs_of_a_name_that_are_judged_at_once_do_not_both_wait(harness: Harness) -> None:
    older = harness.received(ACCOUNT, FIRST, PDFS[FIRST])
    newer = harness.received(ACCOUNT, FIRST, PDF)
    at_once = harness.judgement(older)
    asyncio.run(harness.messages.decide(harness.judgement(newer), NOW))
    refused = asyncio.run(harness.messages.decide(at_once, NOW))
    assert refused is Refusal.SUPERSEDED
    decision = harness.judgement(older)
    assert (decision.event, codes(decision)) == (Event.REFUSED, [Fault.DOCUMENT_REPLACED.code])


def test_a_pdf_that_comes_while_its_declaration_is_judged_is_not_missed(harness: Harness) -> None:
    sent(harness, SECOND)
    received = harness.received(ACCOUNT, "d.xml", render(LISTED, AU3))
    decision = harness.judgement(received)
    assert decision.event is Event.WAITING
    sent(harness, FIRST)
    refused = asyncio.run(harness.messages.decide(decision, NOW))
    assert refused is Refusal.SUPERSEDED
    assert harness.judgement(received).event is Event.PASSED


def test_of_two_declarations_that_list_one_pdf_one_gets_it(harness: Harness) -> None:
    one = Declaration(documents=LISTED.documents[:1])
    sent(harness, FIRST)
    received = harness.received(
        ACCOUNT, "other.xml", render(Declaration(reference="O", documents=one.documents), AU3)
    )
    at_once = harness.judgement(received)
    assert at_once.event is Event.PASSED
    assert declared(harness, one).event is Event.PASSED
    refused = asyncio.run(harness.messages.decide(at_once, NOW))
    assert refused is Refusal.SUPERSEDED
    assert harness.judgement(received).event is Event.WAITING


def test_of_two_declarations_that_list_one_pdf_the_first_received_gets_it_in_any_order_of_judgement(
    harness: Harness,
) -> None:
    one = Declaration(documents=LISTED.documents[:1])
    first = declared(harness, one)
    assert first.event is Event.WAITING
    other = Declaration(reference="O", documents=one.documents)
    later = harness.received(ACCOUNT, "other.xml", render(other, AU3))
    sent(harness, FIRST)  # it wakes the first, which is not judged yet
    decision = harness.judgement(later)
    assert decision.event is Event.PASSED
    refused = asyncio.run(harness.messages.decide(decision, NOW))
    assert refused is Refusal.SUPERSEDED
    decided = {decision.message: decision.event for decision in again(harness)}
    assert decided.pop(first.message) is Event.PASSED
    assert Event.PASSED not in decided.values()


def test_a_pdf_that_waits_too_long_is_refused_with_its_name(harness: Harness) -> None:
    separate, waits = sent(harness, SECOND), declared(harness)
    hours = harness.rules.policy.pdf.wait_hours
    assert asyncio.run(harness.messages.expire(NOW + timedelta(hours=hours, minutes=1))) == 2
    pdf_late, late = again(harness)
    assert codes(pdf_late) == [Fault.WAIT_EXPIRED.code, Fault.AWAITED.code]
    assert codes(late) == [Fault.WAIT_EXPIRED.code, *[Fault.AWAITED.code] * 2]
    for message in (separate.message, waits.message):
        assert harness.message(message)["state"] == State.REJECTED
        assert [row["verdict"] for row in finals(harness, message)] == ["rejected"]


def test_a_declaration_that_repeats_has_no_second_effect(harness: Harness) -> None:
    for name in PDFS:
        sent(harness, name)
    first = declared(harness)
    second = declared(harness, name="again.xml")
    assert (second.event, second.linked) == (Event.REPEATED, first.message)
    assert len(harness.rows(deliveries)) == 1


def test_another_partys_pdf_is_not_taken(harness: Harness) -> None:
    for name in PDFS:
        sent(harness, name, account="broker-b")
    assert declared(harness).event is Event.WAITING


def test_a_declaration_with_another_fault_is_refused_at_once(harness: Harness) -> None:
    wrong = declared(harness, Declaration(documents=LISTED.documents, head={"TradeMode": None}))
    assert wrong.event is Event.REFUSED
    assert Fault.DOCUMENT_MISSING.code in codes(wrong)


def test_the_listed_pdfs_of_a_refused_declaration_go_on_waiting_for_the_next(harness: Harness) -> None:
    separate = [sent(harness, name) for name in PDFS]
    declared(harness, Declaration(documents=LISTED.documents, head={"TradeMode": None}))
    assert {harness.message(attachment.message)["state"] for attachment in separate} == {State.WAITING}
    assert declared(harness).event is Event.PASSED


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
def test_a_pdf_that_no_declaration_could_bring_is_refused_at_once(kind: str, harness: Harness) -> None:
    body, name = UNFIT[kind]
    decision = harness.judged(ACCOUNT, name, body)
    assert (decision.event, codes(decision)) == (Event.REFUSED, [Fault.PDF_UNFIT.code])
    assert decision.findings[0].place.file == name
    assert [row["verdict"] for row in finals(harness, decision.message)] == ["rejected"]


@pytest.mark.parametrize(
    "character", ["\x7f", "\u034f", "\u115f", "\u200b", "\u202e", "\u3000", "\u3164", "\ufe0f"]
)
def test_a_name_is_a_reference_and_holds_nothing_that_cannot_be_seen(
    character: str, harness: Harness
) -> None:
    decision = harness.judged(ACCOUNT, f"a{character}b.pdf", PDF)
    assert (decision.event, codes(decision)) == (Event.REFUSED, [Fault.TEXT_CHARACTERS.code])
    assert f"文件名：U+{ord(character):04X}" in decision.findings[0].zh


@pytest.mark.parametrize("account", ["premises", "customs", "association"])
def test_a_pdf_of_one_who_may_declare_nothing_is_refused_at_once(account: str, harness: Harness) -> None:
    decision = harness.judged(account, "a.pdf", PDF)
    assert (decision.event, codes(decision)) == (Event.REFUSED, [Fault.SENDER_ROLE.code])
    assert "可发送的为" in decision.findings[0].zh
    assert [row["verdict"] for row in finals(harness, decision.message)] == ["rejected"]


def test_a_pdf_larger_than_the_account_may_send_is_refused(harness: Harness) -> None:
    harness.change_account(ACCOUNT, max_package=len(PDF) - 1)
    assert codes(harness.judged(ACCOUNT, "a.pdf", PDF)) == [Fault.PACKAGE_TOO_LARGE.code]


def test_a_declaration_and_its_pdfs_are_together_no_larger_than_the_account_may_send(
    harness: Harness,
) -> None:
    for name in PDFS:
        sent(harness, name)
    harness.change_account(ACCOUNT, max_package=len(render(LISTED, AU3)) + len(PDFS[FIRST]))
    assert codes(declared(harness)) == [Fault.PACKAGE_TOO_LARGE.code]


def test_a_declaration_that_lists_more_than_a_package_may_hold_waits_for_nothing(harness: Harness) -> None:
    many = tuple(Document(name=f"{number}.pdf", body=PDF) for number in range(200))
    decision = declared(harness, Declaration(documents=many))
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
    alike: str, pdf_first: bool, harness: Harness
) -> None:
    name, listed = ALIKE[alike]
    declaration = Declaration(documents=(Document(name=listed, body=PDF),))
    if pdf_first:
        harness.judged(ACCOUNT, name, PDF)
        accepted = declared(harness, declaration)
    else:
        waits = declared(harness, declaration)
        assert (
            harness.message(waits.message)["waiting_for"]
            == f"document {harness.party(ACCOUNT).code} {listed}"
        )
        harness.judged(ACCOUNT, name, PDF)
        accepted = woken(harness)
    assert accepted.event is Event.PASSED
    assert [finding.rule for finding in accepted.findings] == ["DEC-609"]
    assert [attachment.name for attachment in accepted.joined] == [name]
    (submission,) = accepted.submissions
    attached = [
        enclosure.name for enclosure in submission.enclosures if enclosure.kind is EnclosureKind.ATTACHMENT
    ]
    assert attached == [name]


def test_an_exact_file_name_counts_before_one_that_is_spelt_alike(harness: Harness) -> None:
    for name in ("a.pdf", "A.pdf"):
        harness.judged(ACCOUNT, name, PDF)
    accepted = declared(harness, Declaration(documents=(Document(name="A", body=PDF),)))
    assert ([attachment.name for attachment in accepted.joined], accepted.findings) == (["A.pdf"], ())


def test_of_two_files_spelt_alike_neither_is_chosen(harness: Harness) -> None:
    for name in ("a.PDF", "A.pdf"):
        harness.judged(ACCOUNT, name, PDF)
    refused = declared(harness, Declaration(documents=(Document(name="a.pdf", body=PDF),)))
    assert (refused.event, codes(refused)) == (Event.REFUSED, [Fault.DOCUMENT_AMBIGUOUS.code])
    assert {row["state"] for row in harness.rows(messages, type=ATTACHMENT)} == {State.WAITING}


def test_the_first_received_gets_a_pdf_however_it_spells_its_name(harness: Harness) -> None:
    first, second = (
        harness.received(
            ACCOUNT,
            f"{reference}.xml",
            render(Declaration(reference=reference, documents=(Document(name=name, body=PDF),)), AU3),
        )
        for reference, name in (("R1", "A.pdf"), ("R2", "a.pdf"))
    )
    for message in (first, second):
        asyncio.run(harness.messages.decide(harness.judgement(message, NOW), NOW))
    harness.judged(ACCOUNT, "a.pdf", PDF)
    at = NOW + timedelta(days=1)
    by_id = {
        received.arrival.id: received
        for received in asyncio.run(harness.messages.claim(2, at, timedelta(minutes=1)))
    }
    later = harness.judgement(by_id[second.arrival.id], at)
    refused = asyncio.run(harness.messages.decide(later, at))
    assert refused is Refusal.SUPERSEDED
    asyncio.run(harness.messages.decide(harness.judgement(by_id[first.arrival.id], at), at))
    assert harness.message(first.arrival.id)["state"] == State.ACCEPTED
