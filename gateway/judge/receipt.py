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

from gateway.families.families import Families
from gateway.formats.markup import document, element, escaped, text
from gateway.formats.report import report
from gateway.formats.submission import NAMESPACE
from gateway.model.faults import Finding, Severity
from gateway.model.message import Arrival, Facts, Part, Receipt, ReceiptKind, Received, SeparateAttachment
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
    separate_attachments: tuple[SeparateAttachment, ...] = ()
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
    party, facts = context.party, context.facts
    content = [
        text("MessageId", arrival.id),
        text("Account", arrival.account),
        "" if party is None else element("Party", {"code": party.code, "scc": party.scc}),
        "" if facts is None else text("Family", facts.key.family),
        "" if facts is None else text("Type", facts.key.type),
        "" if facts is None else text("Reference", facts.key.reference),
        "" if context.linked is None else text("Linked", context.linked),
        text("Verdict", verdict),
        text("Final", "true" if verdict in _FINAL else "false"),
        _package(arrival, context),
        element("Faults", content="".join(map(_fault, findings))),
        text("ReceivedAt", arrival.received_at.astimezone(UTC).isoformat()),
        text("JudgedAt", now.astimezone(UTC).isoformat()),
        element("RuleSet", {"digest": families.digest}),
        element("Policy", {"version": policy.version, "digest": policy.digest}),
        element("ChainLink", {"sequence": str(received.link.sequence), "digest": received.link.digest}),
    ]
    root = document("GatewayReceipt", NAMESPACE, content)
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


def _package(arrival: Arrival, context: ReceiptContext) -> str:
    content = [
        *(element("Part", _described(part)) for part in context.parts),
        *(
            element("Part", _described(each.part) | {"message": each.message.arrival.id})
            for each in context.separate_attachments
        ),
        *(element("Ignored", _digested(part)) for part in context.ignored),
    ]
    attributes = {"name": arrival.name, "size": str(arrival.size), "sha256": arrival.sha256}
    return element("Package", attributes, "".join(content))


def _digested(part: Part) -> dict[str, str]:
    return {"name": part.name, "size": str(part.size), "sha256": part.sha256}


def _described(part: Part) -> dict[str, str]:
    if part.pdf is None:
        return _digested(part)
    signed = "true" if part.pdf.signed else "false"
    return _digested(part) | {"pages": str(part.pdf.pages), "signed": signed}


def _fault(finding: Finding) -> str:
    place = finding.place
    named = {"file": place.file, "line": place.line, "xpath": place.xpath}
    where = {name: str(value) for name, value in named.items() if value is not None}
    rule = {} if finding.rule is None else {"rule": finding.rule}
    content = [
        element("Place", where) if where else "",
        "" if finding.value is None else text("Value", finding.value),
        element("Text", {"xml:lang": "zh"}, escaped(finding.zh)),
        element("Text", {"xml:lang": "en"}, escaped(finding.en)),
    ]
    return element("Fault", {"code": finding.code, "severity": finding.severity} | rule, "".join(content))
