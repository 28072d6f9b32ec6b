"""What parties are told when documents are due or customs asks: the signed DocumentRequest."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import pytest
from lxml import etree

from adapters.home.clock import utc_now
from adapters.store.tables.messages import receipts
from adapters.store.write.document_requests import SqlDocumentRequests
from gateway.formats import xml
from gateway.formats.signing import XadesSigner
from gateway.model.folders import Folder
from gateway.model.message import ReceiptKind
from gateway.model.obligation import RequestReason
from gateway.model.reform import DocumentName
from gateway.notify.document_requests import DocumentRequest, build_request
from gateway.notify.reminders import Reminders
from tests.support.customs import clock, customs_answers
from tests.support.declarations import CONTRACT, INVOICE, Declaration, enterprise
from tests.support.harness import NOW, Harness
from tests.support.keys import identity, xmlsec1_trusts
from tests.support.receipts import NS, faults_of, schema
from tests.support.rendering import render

SEQ_NO: Final = "I20260000000000001"
ENTRY: Final = "020220261000000001"
NAMES: Final = {INVOICE: DocumentName(zh="发票", en="invoice")}
DUE: Final = DocumentRequest(
    id=7,
    fence=1,
    at=NOW,
    why=RequestReason.DUE,
    documents=(INVOICE, CONTRACT),
    due_at=datetime(2026, 12, 3, 15, 59, 59, tzinfo=UTC),
    note="",
    message="01JD0000000000000000000000",
    account="broker-aa",
    file_name="a.zip",
    reference="R-1",
    seq_no=SEQ_NO,
    entry_id=ENTRY,
)
ASKED: Final = replace(
    DUE, why=RequestReason.SUPPLEMENT, documents=(), due_at=None, note="请说明价格构成", entry_id=""
)


def texts(root: etree._Element) -> list[str | None]:
    return [element.text for element in root.iterfind("g:Text", NS)]


@pytest.mark.parametrize(
    "asked",
    [
        DUE,
        ASKED,
        *(replace(DUE, why=why) for why in (RequestReason.REMINDER, RequestReason.OVERDUE)),
        replace(ASKED, why=RequestReason.PAPER),
    ],
)
def test_every_request_is_true_to_its_schema_when_it_is_signed(asked: DocumentRequest) -> None:
    own = identity("p-256")
    signer = XadesSigner(own.key_pem, own.certificate_pem, utc_now)
    signed = signer.sign(xml.trusted(build_request(asked, NAMES)))
    assert faults_of(schema("gateway", "document_request.xsd"), signed) == []


def test_a_document_request_names_documents_declaration_and_deadline_in_both_languages() -> None:
    root = xml.trusted(build_request(DUE, NAMES))
    values = {
        name: root.findtext(f"g:{name}", namespaces=NS) for name in ("Reference", "SeqNo", "EntryId", "Why")
    }
    assert values == {"Reference": "R-1", "SeqNo": SEQ_NO, "EntryId": ENTRY, "Why": "due"}
    assert root.findtext("g:DueAt", namespaces=NS) == "2026-12-03T15:59:59+00:00"
    assert [element.get("code") for element in root.iterfind("g:Document", NS)] == [INVOICE, CONTRACT]
    assert texts(root) == [
        f"报关单 {ENTRY}（客户端编号 R-1）已放行，请于2026年12月3日24时前补交：发票（00000001）、00000004。",
        "Declaration R-1 is released. Send these documents by the end of 2026-12-03 (China): "
        "00000001 invoice, 00000004.",
    ]


def test_a_document_request_quotes_customs() -> None:
    root = xml.trusted(build_request(ASKED, NAMES))
    assert root.findtext("g:Note", namespaces=NS) == "请说明价格构成"
    assert all("请说明价格构成" in (text or "") for text in texts(root))


def test_a_request_whose_text_xml_cannot_carry_is_built_all_the_same() -> None:
    root = xml.trusted(build_request(replace(ASKED, note="价\x0b格 {day} \ud800"), NAMES))
    assert "{day}" in (root.findtext("g:Note", namespaces=NS) or "")


def test_the_sender_and_the_trader_get_it_signed_and_once(harness: Harness) -> None:
    reminders = Reminders(
        SqlDocumentRequests(harness.database), harness.register, harness.judges, harness.rules.policy, clock
    )
    brokered = harness.judged("broker-aa", "a.zip.xml", render(Declaration(reference="R-1"))).message
    own = enterprise("trader-a")
    direct = harness.judged("trader-a", "b.xml", render(Declaration(reference="R-2", agent=own))).message
    for number, message in enumerate((brokered, direct)):
        customs_answers(harness, message, f"I2026000000000000{number}", f"02022026100000000{number}", "P")
    assert [asyncio.run(reminders.send_some()) for _ in range(2)] == [True, False]
    rows = harness.rows(receipts, kind=ReceiptKind.REQUEST)
    assert [(row["message"], row["account"]) for row in rows] == [
        (brokered, "broker-aa"),
        (brokered, "trader-a"),
        (direct, "trader-a"),
    ]
    assert {row["folder"] for row in rows} == {Folder.INBOX}
    assert [row["name"].split("_")[:2] for row in rows] == [["Request", "a.zip"]] * 2 + [["Request", "b"]]
    certificate = harness.home.certificate.read_text()
    for row in rows:
        assert faults_of(schema("gateway", "document_request.xsd"), row["body"]) == []
        assert xmlsec1_trusts(row["body"], certificate, NOW)
