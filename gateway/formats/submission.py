"""The submission to customs: a zip of the signed `envelope.xml` and the original package, byte for byte.

The envelope states who sent what, when and under which rules, and the digest of every part, so that customs
can check the package without trusting the connection. Its schema is `schemas/gateway/1/envelope.xsd`.
"""

import os
import re
import shutil
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Final

from lxml import etree

from gateway.formats.markup import document, element, escaped, text
from gateway.model.agreements import RegisteredAgreement
from gateway.model.china import china_date
from gateway.model.faults import Finding, Severity
from gateway.model.message import (
    ChainLink,
    Enclosure,
    EnclosureKind,
    Facts,
    Operation,
    Package,
    Part,
    Pdf,
    Received,
    Submission,
)
from gateway.model.parties import Party
from gateway.model.reform import Risk
from gateway.model.risk_hint import Hint

NAMESPACE: Final = "urn:customs-edi-gateway:1"
_ENVELOPE: Final = "SubmissionEnvelope"
ROOT: Final = f"{{{NAMESPACE}}}{_ENVELOPE}"
ENVELOPE_NAME: Final = "envelope.xml"

# Without a folder, and valid on every file system that customs may unpack it on.
_SAFE_NAME: Final = re.compile(r"""[^./\\:*?"<>|][^/\\:*?"<>|]{0,99}""")
_CHUNK: Final = 1 << 20


def is_safe(name: str) -> bool:
    """Whether a file may have this name in the zip: safe on every file system, and not the envelope's."""
    return bool(_SAFE_NAME.fullmatch(name)) and name.isprintable() and name.casefold() != ENVELOPE_NAME


def inner_name(sent_as: str) -> str:
    """The package's name inside the zip: the sender's name, or a standard one where that is not safe. The
    function is idempotent."""
    if is_safe(sent_as):
        return sent_as
    return "package.xml" if sent_as.lower().endswith(".xml") else "package.zip"


def build_envelope(
    *,
    received: Received,
    package: Package,
    facts: Facts,
    sender: Party,
    findings: Sequence[Finding],
    version: str,
    rules: str,
    policy: str,
    created_at: datetime,
    certificate: str | None,
    linked: str | None,
    hint: Hint | None = None,
    office: str = "",
    enclosures: Sequence[Enclosure] = (),
    agreement: RegisteredAgreement | None = None,
) -> etree._Element:
    """The envelope of an accepted message, unsigned.

    `version` is the family's; `rules` and `policy` are the digests (SHA-256 in hex) of the rules and the
    policy that the message was judged by. `certificate` is the SHA-256 fingerprint (hex) of the certificate
    that the sender signed with, None for an unsigned message. `linked` is the earlier message that this one
    corrects or updates, or the declaration that it belongs to. The sender's class is the one in force on the
    day of receipt in China. `office` is the customs office of a copy for a second office, else empty.
    """
    arrival = received.arrival
    in_force = sender.class_on(china_date(arrival.received_at))
    trader_class = {} if in_force is None else {"class": in_force.value}
    identity = {"code": sender.code, "scc": sender.scc, "name": sender.name, "role": " ".join(sender.roles)}
    content = [
        text("MessageId", arrival.id),
        text("Reference", facts.key.reference),
        text("Operation", facts.operation.value),
        text("Office", office) if office else "",
        "" if linked is None else text("Linked", linked),
        element("Sender", identity | trader_class),
        text("ReceivedAt", arrival.received_at.astimezone(UTC).isoformat()),
        text("CreatedAt", created_at.astimezone(UTC).isoformat()),
        text("Family", facts.key.family),
        text("Type", facts.key.type),
        text("Version", version),
        element("RuleSet", {"digest": rules}),
        element("Policy", {"digest": policy}),
        element("Package", _digested(inner_name(arrival.name), arrival.size, arrival.sha256)),
        _parts(package),
        _enclosures(enclosures),
        "" if agreement is None else _agreement(agreement),
        "" if certificate is None else element("SenderSignature", {"certificate": certificate}),
        element("Facts", content="".join(map(_fact, facts.values.items()))),
        element("Warnings", content="".join(map(_warning, findings))),
        "" if hint is None else _triage(hint),
        element("ChainLink", {"sequence": str(received.link.sequence), "digest": received.link.digest}),
    ]
    return document(_ENVELOPE, NAMESPACE, content)


def _digested(name: str, size: int, sha256: str) -> dict[str, str]:
    return {"name": name, "size": str(size), "sha256": sha256}


def _parts(package: Package) -> str:
    parts = []
    for part in package.parts:
        attributes = _digested(part.name, part.size, part.sha256)
        if part.pdf is None:
            attributes |= {"kind": "document"}
        else:
            signed = "true" if part.pdf.signed else "false"
            attributes |= {"kind": "attachment", "pages": str(part.pdf.pages), "signed": signed}
        parts.append(element("Part", attributes))
    parts += [element("Ignored", _digested(part.name, part.size, part.sha256)) for part in package.ignored]
    return element("Parts", content="".join(parts))


def _enclosures(enclosures: Sequence[Enclosure]) -> str:
    if not enclosures:
        return ""
    written = []
    for each in enclosures:
        attributes = _digested(each.name, each.size, each.sha256)
        came_in = {"message": each.message} if each.message else {}
        written.append(element("Enclosure", attributes | {"kind": each.kind.value} | came_in))
    return element("Enclosures", content="".join(written))


def _agreement(registered: RegisteredAgreement) -> str:
    number, kind = registered.agreement.number, registered.agreement.kind.value
    return element("Agreement", {"number": number, "kind": kind, "revision": str(registered.revision)})


def _fact(named: tuple[str, str]) -> str:
    name, value = named
    return f'<Fact name="{name}">{escaped(value)}</Fact>'  # there are many, and a profile names them


def _warning(finding: Finding) -> str:
    if finding.severity is not Severity.WARNING:
        return ""
    return element("Warning", {"code": finding.code} | ({"rule": finding.rule} if finding.rule else {}))


def _triage(hint: Hint) -> str:
    attributes = {"risk": hint.risk.value, "treatedAs": hint.treated_as.value, "inspection": hint.inspection}
    return element("Triage", attributes, "".join(text("Reason", reason) for reason in hint.reasons))


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A submission envelope as customs reads it.

    `package` has no `pdf`; a part's `pdf` holds only the values in the envelope: pages and whether it is
    signed. `warnings` are pairs of fault code and rule number (empty if there is none). `agreement` is the
    agreement's number, empty where none was needed.
    """

    message: str
    reference: str
    operation: Operation
    office: str
    linked: str | None
    sender: dict[str, str]
    received_at: datetime
    created_at: datetime
    family: str
    type: str
    version: str
    rules: str
    policy: str
    package: Part
    parts: tuple[Part, ...]
    ignored: tuple[Part, ...]
    enclosures: tuple[Enclosure, ...]
    agreement: str
    certificate: str | None
    facts: dict[str, str]
    warnings: tuple[tuple[str, str], ...]
    hint: Hint | None
    link: ChainLink


def read_envelope(root: etree._Element) -> Envelope:
    """The values of an envelope that `envelope.xsd` accepts. Raises `KeyError` where a required element is
    missing."""
    children = {etree.QName(child).localname: child for child in root.iterchildren("{*}*")}
    link = children["ChainLink"].attrib
    signature = children.get("SenderSignature")
    return Envelope(
        message=_text_of(children["MessageId"]),
        reference=_text_of(children["Reference"]),
        operation=Operation(_text_of(children["Operation"])),
        office=_text_of(children["Office"]) if "Office" in children else "",
        linked=_text_of(children["Linked"]) if "Linked" in children else None,
        sender={str(name): str(value) for name, value in children["Sender"].attrib.items()},
        received_at=datetime.fromisoformat(_text_of(children["ReceivedAt"])),
        created_at=datetime.fromisoformat(_text_of(children["CreatedAt"])),
        family=_text_of(children["Family"]),
        type=_text_of(children["Type"]),
        version=_text_of(children["Version"]),
        rules=str(children["RuleSet"].attrib["digest"]),
        policy=str(children["Policy"].attrib["digest"]),
        package=_part(children["Package"]),
        parts=tuple(_part(each) for each in children["Parts"].iterchildren("{*}Part")),
        ignored=tuple(_part(each) for each in children["Parts"].iterchildren("{*}Ignored")),
        enclosures=tuple(_enclosure(each) for each in children.get("Enclosures", ())),
        agreement=str(children["Agreement"].attrib["number"]) if "Agreement" in children else "",
        certificate=None if signature is None else str(signature.attrib["certificate"]),
        facts={str(fact.attrib["name"]): _text_of(fact) for fact in children["Facts"]},
        warnings=tuple(
            (str(warning.attrib["code"]), str(warning.get("rule", ""))) for warning in children["Warnings"]
        ),
        hint=_hint(children["Triage"]) if "Triage" in children else None,
        link=ChainLink(sequence=int(link["sequence"]), digest=str(link["digest"])),
    )


def _hint(element: etree._Element) -> Hint:
    return Hint(
        risk=Risk(element.attrib["risk"]),
        treated_as=Risk(element.attrib["treatedAs"]),
        inspection=str(element.attrib["inspection"]),
        reasons=tuple(_text_of(reason) for reason in element),
    )


def _enclosure(element: etree._Element) -> Enclosure:
    return Enclosure(
        kind=EnclosureKind(element.attrib["kind"]),
        name=str(element.attrib["name"]),
        sha256=str(element.attrib["sha256"]),
        size=int(element.attrib["size"]),
        message=str(element.get("message", "")),
    )


def _text_of(element: etree._Element) -> str:
    return element.text or ""


def _part(element: etree._Element) -> Part:
    pdf = None
    if element.get("kind") == "attachment":
        pdf = Pdf(pages=int(element.attrib["pages"]), signed=element.attrib["signed"] in ("true", "1"))
    return Part(
        name=str(element.attrib["name"]),
        size=int(element.attrib["size"]),
        sha256=str(element.attrib["sha256"]),
        pdf=pdf,
    )


def write_zip(submission: Submission, opened: Callable[[str], IO[bytes]], out: IO[bytes]) -> None:
    """Writes the zip of envelope, package and enclosures, without compression and in constant memory.
    `opened` returns the stored bytes with a SHA-256 as a seekable stream.

    The same input gives the same bytes. The package has the name that the envelope states (`inner_name`).
    """
    packages = [(inner_name(submission.package_name), submission.package_sha256)]
    packages += [(each.name, each.sha256) for each in submission.enclosures]
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(ENVELOPE_NAME), submission.envelope)
        for name, sha256 in packages:
            described = zipfile.ZipInfo(name)
            with opened(sha256) as package:
                # Setting the size first avoids zip64 for files up to 2 GB: old readers do not understand it.
                described.file_size = package.seek(0, os.SEEK_END)
                package.seek(0)
                with archive.open(described, "w") as entry:
                    shutil.copyfileobj(package, entry, _CHUNK)
