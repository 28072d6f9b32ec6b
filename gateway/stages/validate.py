"""Whether the document is what it says: known to a family, true to its schema, and to its business rules."""

from dataclasses import dataclass

from lxml import etree

from gateway import xml
from gateway.families import Families, MessageType
from gateway.faults import Fault, Finding, Rejected, Severity, finding
from gateway.message import Package
from gateway.places import told_of
from gateway.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """A well-formed document and the message type that its root element names."""

    root: etree._Element
    type: MessageType


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """A document that meets the schema and all rules that refuse."""

    root: etree._Element
    type: MessageType
    warnings: tuple[Finding, ...]


def recognise(package: Package, families: Families, policy: Policy) -> Recognised:
    """Raises `Rejected` for what is no acceptable XML, or of no known family."""
    limits = xml.Limits(size=policy.package.document_size, depth=policy.package.document_depth)
    with told_of(package.document_name):
        root = xml.parse(package.document, limits)
        kind = families.recognise(root)
        if kind.answer is not None:  # only customs answers
            raise Rejected(finding(Fault.FAMILY_UNKNOWN, detail=kind.name, line=root.sourceline))
        return Recognised(root=root, type=kind)


def validate(recognised: Recognised, package: Package, policy: Policy) -> Validated:
    """Raises `Rejected` with every fault there is: of the schema, or, where that holds, of the rules with
    their warnings. Rules rely on the types that the schema gives, so they are not tried without it.

    That listed files are missing is no fault yet where they may come on their own (`Package.missing`) and
    there is no other."""
    root, kind = recognised.root, recognised.type
    if not kind.schema.validate(root):
        from gateway.schema_faults import schema_faults  # xmlschema, see `Schema.explaining`

        with told_of(package.document_name):
            raise Rejected(schema_faults(kind.schema, root, len(package.document)))
    findings = [] if kind.rules is None else kind.rules.check(root, package, policy)
    errors = {found.code for found in findings if found.severity is Severity.ERROR}
    if errors and not (package.missing and errors == {Fault.DOCUMENT_MISSING.code}):
        raise Rejected(findings)
    warnings = tuple(found for found in findings if found.severity is Severity.WARNING)
    return Validated(root=root, type=kind, warnings=warnings)
