"""Checks that a receipt was issued by the gateway, by its signature and the gateway's certificate."""

from datetime import datetime
from typing import Final

from lxml import etree

from adapters.home.clock import utc_now
from gateway.formats import xml
from gateway.formats.certificates import certificate, outside
from gateway.formats.signatures import verify_enveloped
from gateway.formats.submission import NAMESPACE
from gateway.model.faults import Fault, MessageRejected, finding
from gateway.model.parties import RegisteredCertificate

# The catalogue's sentences for these faults are about messages of parties.
_OF_RECEIPTS: Final = {
    Fault.SIGNATURE_MISSING.code: (
        "The file bears no signature; of what is in InBox the Gateway_, Notice_ and Request_ files do.",
        "文件没有签名；InBox 中带有签名的是 Gateway_、Notice_ 和 Request_ 文件。",
    ),
    Fault.CERTIFICATE_EXPIRED.code: (
        "The file was signed outside the validity of the certificate.",
        "签名时间不在该证书的有效期内。",
    ),
    Fault.CERTIFICATE_UNKNOWN.code: (
        "The file was signed with another certificate than this one.",
        "文件不是用该证书签名的。",
    ),
}

# Notices have one of these instead of a verdict: on a customs answer, an agreement, or documents.
_SAID: Final = {"class": "Class", "act": "Act", "why": "Why"}


def signed_in_time(pem: str) -> datetime:
    """The moment for which the certificate is checked. Raises `ValueError` if it is not a certificate."""
    # A receipt is evidence for years, so it is checked within its certificate's validity, not today.
    return min(utc_now(), certificate(pem).ends)


def verified_facts(body: bytes, pem: str, counting: datetime) -> dict[str, object]:
    """The facts in a file whose signature is valid by the certificate. Raises `MessageRejected` otherwise."""
    verified = verify_enveloped(xml.parse(body), [RegisteredCertificate(pem=pem)], counting)
    if verified.signed_at is not None and (late := outside(certificate(pem), verified.signed_at)):
        raise MessageRejected(finding(Fault.CERTIFICATE_EXPIRED, detail=late))
    root = verified.root
    facts = {name: root.findtext(f"{{{NAMESPACE}}}{tag}") for name, tag in _SAID.items()}
    return {
        "valid": True,
        "certificate": verified.fingerprint,
        "signed_at": None if verified.signed_at is None else verified.signed_at.isoformat(),
        "document": etree.QName(root).localname,
        "message": root.findtext(f"{{{NAMESPACE}}}MessageId"),
        "verdict": root.findtext(f"{{{NAMESPACE}}}Verdict"),
        **{name: value for name, value in facts.items() if value is not None},
    }


def why_not(refused: MessageRejected) -> tuple[str, str, str]:
    """Code, English and Chinese text of the fault of a receipt."""
    fault = refused.findings[0]
    return fault.code, *_OF_RECEIPTS.get(fault.code, (fault.en, fault.zh))
