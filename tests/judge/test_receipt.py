"""The gateway's own receipt: of every kind true to its schema, and valid to others."""

from datetime import UTC, datetime

import pytest
from lxml import etree

from gateway.families.schema_faults import schema_faults
from gateway.formats import xml
from gateway.judge.pipeline import pending_receipt
from gateway.judge.receipt import ReceiptContext, Verdict, gateway_receipt
from gateway.model.faults import Fault, finding
from gateway.model.message import Receipt
from gateway.model.parties import ReceiptForm
from gateway.model.pending_receipt import PendingReceipt
from tests.formats.test_pdf import with_form
from tests.support.declarations import INVOICE, Declaration, Document
from tests.support.harness import NOW, Harness
from tests.support.keys import xmlsec1_trusts
from tests.support.pdfs import pdf
from tests.support.receipts import NS, read_gateway_receipt, schema
from tests.support.rendering import packed

ACCOUNT = "broker-aa"
BODY = packed(Declaration(documents=(Document(code=INVOICE, body=pdf()),)))


def texts(root: etree._Element, *names: str) -> list[str | None]:
    return [root.findtext(f"g:{name}", namespaces=NS) for name in names]


def test_an_accepted_message_has_one_that_names_every_part_by_its_digest(harness: Harness) -> None:
    receipt = harness.judged(ACCOUNT, "a.zip", BODY).receipts[0]
    root = read_gateway_receipt(harness, receipt)
    assert (receipt.verdict, receipt.final) == ("accepted", True)
    assert texts(root, "Account", "Family", "Type", "Reference", "Verdict", "Final") == [
        ACCOUNT,
        "cn-dec",
        "DecMessage",
        "TEST00000000000001",
        "accepted",
        "true",
    ]
    assert len(root.findall("g:Package/g:Part", NS)) == 2


def test_a_receipt_has_the_pages_of_a_pdf_and_whether_it_is_signed(
    harness: Harness,
) -> None:
    documents = (Document(code=INVOICE, body=with_form("/Sig", True)),)
    receipt = harness.judged(ACCOUNT, "a.zip", packed(Declaration(documents=documents))).receipts[0]
    document, attached = read_gateway_receipt(harness, receipt).findall("g:Package/g:Part", NS)
    assert document.get("signed") is None
    assert (attached.get("pages"), attached.get("signed")) == ("1", "true")


def test_a_held_message_has_a_pending_one_that_says_nothing_of_our_insides(harness: Harness) -> None:
    received = harness.received(ACCOUNT, "a.zip", BODY)
    pending = PendingReceipt(item=1, fence=1, received=received, facts=None, down_since=None)
    receipt = pending_receipt(pending, harness.rules, harness.register, harness.signer, NOW)
    root = read_gateway_receipt(harness, receipt)
    assert (receipt.verdict, receipt.final) == ("held", False)
    assert texts(root, "Verdict", "Final") == ["held", "false"]
    assert root.findall("g:Faults/*", NS) == []


def test_a_receipt_of_a_message_that_waits_for_customs_says_since_when_and_that_it_is_sent_later(
    harness: Harness,
) -> None:
    decision = harness.judged(ACCOUNT, "a.zip", BODY)
    received = harness.received(ACCOUNT, "a.zip", BODY)
    pending = PendingReceipt(
        item=1,
        fence=1,
        received=received,
        facts=decision.facts,
        down_since=datetime(2026, 11, 2, 1, 30, tzinfo=UTC),
    )
    receipt = pending_receipt(pending, harness.rules, harness.register, harness.signer, NOW)
    root = read_gateway_receipt(harness, receipt)
    assert (receipt.verdict, receipt.final) == ("waiting", False)
    assert decision.facts is not None
    assert texts(root, "Verdict", "Final", "Reference") == ["waiting", "false", decision.facts.key.reference]
    (fault,) = root.findall("g:Faults/g:Fault", NS)
    assert (fault.get("code"), fault.get("severity")) == ("customs-unreachable", "warning")
    assert [
        text.text for text in fault.findall("g:Text", NS) if "2026-11-02 09:30+08:00" in (text.text or "")
    ]


def test_a_waiting_message_has_a_pending_one(harness: Harness) -> None:
    received, rules = harness.received(ACCOUNT, "a.zip", BODY), harness.rules
    receipt = gateway_receipt(
        received, Verdict.WAITING, ReceiptContext(), (), rules.families, rules.policy, harness.signer, NOW
    )
    assert texts(read_gateway_receipt(harness, receipt), "Verdict", "Final") == ["waiting", "false"]


@pytest.mark.parametrize("fault", [Fault.DISMISSED, Fault.WAIT_EXPIRED])
def test_a_refusal_by_an_operator_or_by_time_has_a_final_one(fault: Fault, harness: Harness) -> None:
    received, rules = harness.received(ACCOUNT, "a.zip", BODY), harness.rules
    reason = finding(fault, detail="an agreement", detail_zh="代理委托协议")
    receipt = gateway_receipt(
        received,
        Verdict.REJECTED,
        ReceiptContext(),
        [reason],
        rules.families,
        rules.policy,
        harness.signer,
        NOW,
    )
    root = read_gateway_receipt(harness, receipt)
    assert texts(root, "Verdict", "Final") == ["rejected", "true"]
    (fault_element,) = root.findall("g:Faults/g:Fault", NS)
    assert fault_element.get("code") == fault.code
    assert "代理委托协议" in (fault_element.findtext("g:Text", "", NS))


@pytest.mark.parametrize(
    ("forms", "kinds"),
    [
        ((ReceiptForm.GATEWAY,), ["gateway", "report"]),
        ((ReceiptForm.SINGLE_WINDOW,), ["gateway", "technical", "report"]),
        (tuple(ReceiptForm), ["gateway", "technical", "report"]),
    ],
)
def test_an_account_gets_the_forms_that_it_asked_for_and_always_the_final_one(
    forms: tuple[ReceiptForm, ...], kinds: list[str], harness: Harness
) -> None:
    harness.change_account(ACCOUNT, receipts=forms)
    decision = harness.judged(ACCOUNT, "a.xml", b"<a/>")
    assert [receipt.kind.value for receipt in decision.receipts] == kinds


def test_a_changed_receipt_is_valid_no_more(harness: Harness) -> None:
    receipt: Receipt = harness.judged(ACCOUNT, "a.zip", BODY).receipts[0]
    forged = receipt.body.replace(b">accepted<", b">rejected<")
    certificate = harness.home.certificate.read_text()
    assert xmlsec1_trusts(receipt.body, certificate, NOW)
    assert not xmlsec1_trusts(forged, certificate, NOW)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<Verdict>accepted</Verdict>", b"<Verdict>perhaps</Verdict>"),
        (b"<Final>true</Final>", b""),
        (b"+00:00</JudgedAt>", b"+08:00</JudgedAt>"),
        (b"<Account>broker-aa</Account>", b"<Account/>"),
        (b"<Reference>TEST00000000000001</Reference>", b""),
        (b"<Faults></Faults>", b'<Faults><Fault code="x" severity="error"/></Faults>'),
    ],
)
def test_the_schema_of_receipts_refuses_what_is_no_receipt(old: bytes, new: bytes, harness: Harness) -> None:
    body = harness.judged(ACCOUNT, "a.zip", BODY).receipts[0].body
    assert body.count(old) == 1
    root = xml.parse(body.replace(old, new))
    assert not schema("gateway", "receipt.xsd").validate(root)
    assert schema_faults(schema("gateway", "receipt.xsd"), root, len(body), set()).faults


@pytest.mark.parametrize("name", [f"{'天' * 83}.xml", f"{'a' * 251}.zip", "a" * 255])
def test_the_receipts_of_a_file_with_a_long_name_have_names_that_can_be_fetched(
    name: str, harness: Harness
) -> None:
    decision = harness.judged(ACCOUNT, name, b"<a/>")
    assert len(decision.receipts) == 3
    for receipt in decision.receipts:
        assert 250 < len(receipt.name.encode()) <= 255
        assert receipt.name.split("_")[1].strip("天a") == ""
