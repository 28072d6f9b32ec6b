"""Verifies the XML signature against the certificates that are registered for the sending party."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lxml import etree

from gateway.families.families import MessageType
from gateway.formats import xml
from gateway.formats.locations import in_findings_of
from gateway.formats.reading import reading
from gateway.formats.signature_form import DS
from gateway.formats.signatures import VerifiedSignature, is_signed, verify_enveloped
from gateway.formats.wrapper import Wrapper
from gateway.judge.validate import ValidatedDocument
from gateway.model.faults import Fault, MessageRejected, finding
from gateway.model.message import Package
from gateway.model.parties import Party, SignaturePolicy

# The verified tree has no comments.
_WITH_COMMENTS: Final = etree.XPath(
    "boolean(//ds:Signature//@Algorithm[contains(., 'WithComments')])", namespaces={"ds": DS}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The only content that later stages may use: read from what the verifier returned, or from the unsigned
    document of a party that need not sign."""

    root: etree._Element
    type: MessageType
    signature: VerifiedSignature | None
    wrapper: Wrapper | None = None


def verify(validated: ValidatedDocument, package: Package, party: Party, now: datetime) -> Evidence:
    """Raises `MessageRejected` with a signature or certificate fault; any signature is verified. A type that
    must be signed must be so whatever was agreed with the party: that only covers types that leave a
    choice."""
    demanded = SignaturePolicy.REQUIRED if validated.type.signed else party.signature
    with in_findings_of(package.document_name):
        if not is_signed(validated.as_sent):
            if demanded is SignaturePolicy.REQUIRED:
                raise MessageRejected(finding(Fault.SIGNATURE_MISSING))
            return Evidence(
                root=validated.root, type=validated.type, signature=None, wrapper=validated.wrapper
            )
        if demanded is SignaturePolicy.NONE:
            raise MessageRejected(finding(Fault.SIGNATURE_UNWANTED))
        if _WITH_COMMENTS(validated.as_sent) and xml.has_comments(package.document):
            raise MessageRejected(
                finding(
                    Fault.SIGNATURE_ALGORITHM,
                    detail="WithComments, and there is a comment",
                    detail_zh="WithComments，而报文中有注释",
                )
            )
        verified = verify_enveloped(validated.as_sent, party.certificates, now)
    root = verified.root
    # Without its Signature the document needs no other reading, unless only the Signature was in it.
    if not validated.read_as_sent or not len(root):
        root = reading(root).root
    if validated.wrapper is not None:  # the wrapper was signed, and the content is inside it
        root = validated.wrapper.wrapped(root)
    return Evidence(root=root, type=validated.type, signature=verified, wrapper=validated.wrapper)
