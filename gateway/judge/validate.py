"""Validates the document: it belongs to a known family and meets its schema and its business rules."""

from collections.abc import Iterable
from dataclasses import dataclass

from lxml import etree

from gateway.families.families import Families, MessageType
from gateway.families.schematron import NOTHING, Faulty
from gateway.formats import xml
from gateway.formats.characters import strange_characters
from gateway.formats.locations import in_document, in_findings_of
from gateway.formats.reading import reading
from gateway.formats.wrapper import Wrapper
from gateway.model.faults import Fault, Finding, MessageRejected, Severity, finding
from gateway.model.message import Package
from gateway.model.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognisedDocument:
    """A well-formed document and the message type that its root element names.

    `as_sent` is the document as it was signed. `root` is its only reading (`formats.reading`), used to
    judge it; if there is a `wrapper`, it is that of the wrapped message. `read_as_sent`: its reading is the
    document itself.
    """

    as_sent: etree._Element
    read_as_sent: bool
    root: etree._Element
    type: MessageType
    wrapper: Wrapper | None
    warnings: tuple[Finding, ...]

    def placed(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        """The findings in `root`, with their places in the document as it was sent."""
        return tuple(findings if self.wrapper is None else map(self.wrapper.placed, findings))


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatedDocument:
    """A document that meets the schema and all rules that can refuse it."""

    as_sent: etree._Element
    read_as_sent: bool
    root: etree._Element
    type: MessageType
    warnings: tuple[Finding, ...]
    wrapper: Wrapper | None = None


def recognise(package: Package, families: Families, policy: Policy) -> RecognisedDocument:
    """Raises `MessageRejected` for XML that is not acceptable, a document of no known family, or one that is
    not wrapped in its family's way."""
    limits = xml.Limits(size=policy.package.document_size, depth=policy.package.document_depth)
    with in_findings_of(package.document_name):
        document = xml.parse(package.document, limits)
        root, warnings = reading(document)
        read_as_sent = root is document
        wrapper = families.wrapper(root)
        if wrapper is not None:
            root = wrapper.wrapped(root)
        kind = families.recognise(root)
        if wrapper is not None and wrapper.family != kind.family:
            raise MessageRejected(wrapper.of_others(kind.name, root))
        if kind.answer is not None:  # only customs sends answers
            raise MessageRejected(finding(Fault.FAMILY_UNKNOWN, detail=kind.name, line=root.sourceline))
        return RecognisedDocument(
            as_sent=document,
            read_as_sent=read_as_sent,
            root=root,
            type=kind,
            wrapper=wrapper,
            warnings=in_document(package.document_name, warnings),
        )


def validate(recognised: RecognisedDocument, package: Package, policy: Policy) -> ValidatedDocument:
    """Raises `MessageRejected` with every fault of schema, characters and rules, and all warnings.

    Missing listed files are not a fault yet where they may come separately (`Package.missing`) and there is
    no other fault."""
    root, kind = recognised.root, recognised.type
    if not kind.schema.validate(root):
        refused = recognised.placed(_schema_faults(recognised, package, policy))
        raise MessageRejected((*recognised.warnings, *refused))
    content_faults = recognised.placed(_content_faults(root, kind, package, policy))
    findings = (*recognised.warnings, *content_faults)
    errors = {finding.code for finding in findings if finding.severity is Severity.ERROR}
    if errors and not (package.missing and errors == {Fault.DOCUMENT_MISSING.code}):
        raise MessageRejected(findings)
    warnings = tuple(finding for finding in findings if finding.severity is Severity.WARNING)
    return ValidatedDocument(
        as_sent=recognised.as_sent,
        read_as_sent=recognised.read_as_sent,
        root=root,
        type=kind,
        warnings=warnings,
        wrapper=recognised.wrapper,
    )


def _content_faults(
    root: etree._Element, kind: MessageType, package: Package, policy: Policy, faulty: Faulty = NOTHING
) -> list[Finding]:
    """Faults of characters and rules, without those that depend on `faulty` elements."""
    strange = strange_characters(root, kind.free, kind.private, faulty.elements)
    broken = [] if kind.rules is None else kind.rules.check(root, package, policy, faulty)
    return [*in_document(package.document_name, strange), *broken]


def _schema_faults(recognised: RecognisedDocument, package: Package, policy: Policy) -> list[Finding]:
    """The faults of a document that its schema refuses, together with its faults of characters and rules."""
    from gateway.families.schema_faults import schema_faults  # xmlschema, see `Schema.explaining`

    root, kind = recognised.root, recognised.type
    faults, whole = schema_faults(kind.schema, root, len(package.document), kind.private)
    findings = list(in_document(package.document_name, (fault.finding for fault in faults)))
    if whole:
        faulty = Faulty(
            frozenset(fault.element for fault in faults if fault.names),
            frozenset().union(*(fault.names for fault in faults)),
        )
        findings += _content_faults(root, kind, package, policy, faulty)
    return findings
