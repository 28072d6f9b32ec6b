"""Receipts for the sender: the gateway's signed receipt, and for a refusal the one its software reads.

The gateway receipt's schema is `schemas/gateway/1/receipt.xsd`; `docs/for-brokers.md` explains it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from string import Template
from typing import Final
from xml.sax.saxutils import escape

from lxml import etree

from gateway.families.families import Families
from gateway.formats.report import report
from gateway.formats.submission import NAMESPACE
from gateway.formats.xml import LANG
from gateway.model.faults import Finding, Severity
from gateway.model.message import Facts, Part, Receipt, ReceiptKind, Received, SeparateAttachment
from gateway.model.parties import Party, ReceiptForm
from gateway.model.policy import Policy
from gateway.model.receipt_names import receipt_name
from gateway.model.signers import Signer


class Verdict(StrEnum):
    """`ACCEPTED` and `REJECTED` are final; after the others another receipt follows."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    WAITING = "waiting"
    HELD = "held"


# As DecMessage.xsd allows; in a message that is refused it may be anything.
_LONGEST_REFERENCE: Final = 64
_FINAL: Final = (Verdict.ACCEPTED, Verdict.REJECTED)
_FORM_OF: Final = {
    ReceiptKind.GATEWAY: ReceiptForm.GATEWAY,
    ReceiptKind.TECHNICAL: ReceiptForm.SINGLE_WINDOW,
    ReceiptKind.BUSINESS: ReceiptForm.SINGLE_WINDOW,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptContext:
    """What is known of a message when its receipt is written; an early refusal knows less."""

    party: Party | None = None
    parts: tuple[Part, ...] = ()
    ignored: tuple[Part, ...] = ()
    loose: tuple[SeparateAttachment, ...] = ()
    facts: Facts | None = None
    linked: str | None = None


def gateway_receipt(
    received: Received,
    verdict: Verdict,
    context: ReceiptContext,
    findings: Sequence[Finding],
    families: Families,
    policy: Policy,
    signer: Signer,
    now: datetime,
) -> Receipt:
    """The signed statement of what was received, what became of it, under which rules, and where it stands
    in the log (docs/formats.md, "The gateway's receipt"). Facts of a refused message that are not known are
    left out."""
    arrival = received.arrival
    root = etree.Element(f"{{{NAMESPACE}}}GatewayReceipt", nsmap={None: NAMESPACE})
    _text(root, "MessageId", arrival.id)
    _text(root, "Account", arrival.account)
    if context.party is not None:
        _put(root, "Party", code=context.party.code, scc=context.party.scc)
    if context.facts is not None:
        _text(root, "Family", context.facts.key.family)
        _text(root, "Type", context.facts.key.type)
        _text(root, "Reference", context.facts.key.reference)
    if context.linked is not None:
        _text(root, "Linked", context.linked)
    _text(root, "Verdict", verdict)
    _text(root, "Final", "true" if verdict in _FINAL else "false")
    content = _put(root, "Package", name=arrival.name, size=str(arrival.size), sha256=arrival.sha256)
    for part in context.parts:
        _put_part(content, part)
    for each in context.loose:
        _put_part(content, each.part).set("message", each.message.arrival.id)
    for part in context.ignored:
        _put(content, "Ignored", name=part.name, size=str(part.size), sha256=part.sha256)
    faults = _put(root, "Faults")
    for finding in findings:
        _put_fault(faults, finding)
    _text(root, "ReceivedAt", arrival.received_at.astimezone(UTC).isoformat())
    _text(root, "JudgedAt", now.astimezone(UTC).isoformat())
    _put(root, "RuleSet", digest=families.digest)
    _put(root, "Policy", version=policy.version, digest=policy.digest)
    _put(root, "ChainLink", sequence=str(received.link.sequence), digest=received.link.digest)
    return Receipt(
        account=arrival.account,
        name=receipt_name("Gateway", arrival.name, now),
        kind=ReceiptKind.GATEWAY,
        body=signer.sign(root),
        verdict=verdict,
        final=verdict in _FINAL,
    )


def refusal(
    received: Received,
    context: ReceiptContext,
    findings: Sequence[Finding],
    families: Families,
    now: datetime,
) -> tuple[Receipt, Receipt]:
    """The refusal as import-client software reads it, and the readable report beside the file in FailBox."""
    arrival = received.arrival
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    short = _joined(dict.fromkeys(f"[{error.rule or error.code}] {error.zh}" for error in errors))
    facts = context.facts
    template = Template(families.refusal(None if facts is None else facts.key.family))
    reference = "" if facts is None else facts.values.get("reference", "")
    answer = template.substitute(text=escape(short[:1000]), reference=escape(reference[:_LONGEST_REFERENCE]))
    return (
        Receipt(
            account=arrival.account,
            name=receipt_name("Failed", arrival.name, now),
            kind=ReceiptKind.TECHNICAL,
            body=answer.encode(),
        ),
        Receipt(
            account=arrival.account,
            name=receipt_name("Report", arrival.name, now).removesuffix(".xml") + ".txt",
            kind=ReceiptKind.REPORT,
            body=report(arrival.name, arrival.id, findings),
        ),
    )


def _joined(sentences: Iterable[str]) -> str:
    """Several sentences as one."""
    return "；".join(sentence.removesuffix("。") for sentence in sentences) + "。"


def in_chosen_forms(receipts: Sequence[Receipt], party: Party | None) -> tuple[Receipt, ...]:
    """The receipts in the forms that the account chose; the final receipt is always included."""
    forms = tuple(ReceiptForm) if party is None or party.account is None else party.account.receipts
    return tuple(
        receipt
        for receipt in receipts
        if receipt.kind is ReceiptKind.REPORT or receipt.final or _FORM_OF[receipt.kind] in forms
    )


def _put(parent: etree._Element, tag: str, **attributes: str) -> etree._Element:
    return etree.SubElement(parent, f"{{{NAMESPACE}}}{tag}", attributes)


def _text(parent: etree._Element, tag: str, value: str) -> None:
    _put(parent, tag).text = value


def _put_part(parent: etree._Element, part: Part) -> etree._Element:
    element = _put(parent, "Part", name=part.name, size=str(part.size), sha256=part.sha256)
    if part.pdf is not None:
        element.set("pages", str(part.pdf.pages))
        element.set("signed", "true" if part.pdf.signed else "false")
    return element


def _put_fault(parent: etree._Element, finding: Finding) -> None:
    fault = _put(parent, "Fault", code=finding.code, severity=finding.severity)
    if finding.rule is not None:
        fault.set("rule", finding.rule)
    place = finding.place
    if place.file is not None or place.line is not None or place.xpath is not None:
        where = _put(fault, "Place")
        for name, value in (("file", place.file), ("line", place.line), ("xpath", place.xpath)):
            if value is not None:
                where.set(name, str(value))
    if finding.value is not None:
        _text(fault, "Value", finding.value)
    for language, sentence in (("zh", finding.zh), ("en", finding.en)):
        text = _put(fault, "Text")
        text.set(LANG, language)
        text.text = sentence
