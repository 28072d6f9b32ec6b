"""What every receipt of the gateway must be, as those who get it can check it without the gateway."""

from functools import cache
from importlib import resources
from typing import Final

from lxml import etree

from adapters.store.tables.messages import deliveries, receipts
from gateway.families.schema import Schema
from gateway.formats import xml
from gateway.formats.submission import NAMESPACE
from gateway.model.decision import Decision
from gateway.model.faults import Finding, Severity
from gateway.model.folders import Folder
from gateway.model.message import Receipt, ReceiptKind
from gateway.model.states import Event, State
from tests.support.harness import NOW, Harness
from tests.support.keys import xmlsec1_trusts

NS: Final = {
    "g": NAMESPACE,
    "d": "http://www.chinaport.gov.cn/dec",
    "xml": "http://www.w3.org/XML/1998/namespace",
}


@cache
def schema(family: str, name: str) -> Schema:
    place = resources.files("schemas").joinpath(family, "1")
    files = {path.name: path.read_bytes() for path in place.iterdir() if path.name.endswith(".xsd")}
    return Schema(files, name)


def faults_of(schema: Schema, body: bytes) -> list[str]:
    """What libxml2 has against a document of ours; nothing, it should be."""
    schema.validate(xml.parse(body))
    return [entry.message for entry in schema.error_log]


def read_gateway_receipt(harness: Harness, receipt: Receipt) -> etree._Element:
    """The receipt, once it has been found true to its schema and validly signed by the gateway."""
    assert faults_of(schema("gateway", "receipt.xsd"), receipt.body) == []
    assert xmlsec1_trusts(receipt.body, harness.home.certificate.read_text(), NOW)
    return xml.parse(receipt.body)


def assert_refusal_is_told(harness: Harness, decision: Decision, name: str) -> None:
    """The message is rejected, with one final signed receipt, one answer for import clients, one readable
    report; each names every fault, in both languages. Nothing goes to customs."""
    assert decision.event is Event.REFUSED
    assert harness.message(decision.message)["state"] == State.REJECTED
    assert harness.rows(deliveries, message=decision.message) == []
    assert any(finding.severity is Severity.ERROR for finding in decision.findings)
    assert [
        (row["folder"], row["kind"], row["final"]) for row in harness.rows(receipts, message=decision.message)
    ] == [
        (Folder.INBOX, ReceiptKind.GATEWAY, True),
        (Folder.INBOX, ReceiptKind.TECHNICAL, False),
        (Folder.FAILBOX, ReceiptKind.REPORT, False),
    ]
    signed, answer, report = decision.receipts
    _assert_gateway_receipt(harness, signed, decision, name)
    _assert_answer(answer, decision.findings, name)
    _assert_report(report, decision.findings, name)


def _assert_gateway_receipt(harness: Harness, receipt: Receipt, decision: Decision, name: str) -> None:
    root = read_gateway_receipt(harness, receipt)
    arrived = harness.message(decision.message)
    assert root.findtext("g:MessageId", namespaces=NS) == decision.message
    assert root.findtext("g:Verdict", namespaces=NS) == "rejected"
    assert root.findtext("g:Final", namespaces=NS) == "true"
    package = root.find("g:Package", NS)
    assert package is not None
    assert dict(package.attrib) == {"name": name, "size": str(arrived["size"]), "sha256": arrived["sha256"]}
    assert [_read(fault) for fault in root.iterfind("g:Faults/g:Fault", NS)] == [
        _plain(finding) for finding in decision.findings
    ]


def _read(fault: etree._Element) -> tuple[str | None, ...]:
    place = fault.find("g:Place", NS)
    where = {} if place is None else dict(place.attrib)
    texts = [text.text for text in fault.iterfind("g:Text", NS)]
    assert [text.get(f"{{{NS['xml']}}}lang") for text in fault.iterfind("g:Text", NS)] == ["zh", "en"]
    return (
        fault.get("code"),
        fault.get("severity"),
        fault.get("rule"),
        where.get("file"),
        where.get("line"),
        where.get("xpath"),
        fault.findtext("g:Value", namespaces=NS),
        *texts,
    )


def _plain(finding: Finding) -> tuple[str | None, ...]:
    place = finding.place
    line = None if place.line is None else str(place.line)
    return (
        finding.code,
        finding.severity.value,
        finding.rule,
        place.file,
        line,
        place.xpath,
        finding.value,
        finding.zh,
        finding.en,
    )


def _assert_answer(receipt: Receipt, findings: tuple[Finding, ...], name: str) -> None:
    assert receipt.name.startswith(f"Failed_{name.rpartition('.')[0]}_")
    assert faults_of(schema("cn-dec", "DecImportResponse.xsd"), receipt.body) == []
    root = xml.parse(receipt.body)
    assert root.findtext("d:ResponseCode", namespaces=NS) == "1"
    element = root.findtext("d:ErrorMessage", "", NS)
    first = next(finding for finding in findings if finding.severity is Severity.ERROR)
    assert f"[{first.rule or first.code}] {first.zh.removesuffix('。')}"[:1000] in element


def _assert_report(receipt: Receipt, findings: tuple[Finding, ...], name: str) -> None:
    lines = receipt.body.decode().splitlines()
    assert lines[0].startswith(f"{name}：网关拒收，错误 ")
    for finding in findings:
        assert any(line.startswith(f"{finding.severity} {finding.rule or finding.code}") for line in lines)
        for sentence in (finding.zh, finding.en):
            assert f"    {sentence}" in lines
            assert "{detail}" not in sentence
