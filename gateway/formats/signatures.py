"""Verifies enveloped XML signatures of the only accepted profile, and returns the signed content.

This does not use signxml, because signxml 5.2 refuses valid signatures whose `Signature` has no prefix, and
parses the document three times.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lxml import etree

from gateway.formats.certificates import Algorithm, Certificate, certificate, why_not
from gateway.formats.signature_form import DS, SIGNATURE, XADES, children, read_digest, read_form, refusal
from gateway.model.faults import Fault, MessageRejected, finding
from gateway.model.parties import RegisteredCertificate

_CERTIFICATE: Final = f"{{{DS}}}X509Certificate"
_SIGNING_TIME: Final = f"{{{XADES}}}SignedSignatureProperties/{{{XADES}}}SigningTime"
_SIGNING_CERTIFICATES: Final = tuple(
    f"{{{XADES}}}SignedSignatureProperties/{{{XADES}}}{name}/{{{XADES}}}Cert/{{{XADES}}}CertDigest"
    for name in ("SigningCertificate", "SigningCertificateV2")
)
_CERT_DIGEST: Final = (f"{{{DS}}}DigestMethod", f"{{{DS}}}DigestValue")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedSignature:
    """The content that a signature covers, and its signer.

    `root` is the tree without its Signature, the same object whose canonical form was digested: later stages
    use it and nothing else. `fingerprint` is the SHA-256 (hex) of the certificate. `signed_at` is the
    time that the signer claims (XAdES SigningTime), None where it is absent or has no UTC offset.
    """

    root: etree._Element
    fingerprint: str
    algorithm: Algorithm
    signed_at: datetime | None


def is_signed(root: etree._Element) -> bool:
    """Whether there is an XML signature anywhere in the document, even in a wrong place."""
    return next(root.iter(SIGNATURE), None) is not None


def verify_enveloped(
    root: etree._Element, certificates: Sequence[RegisteredCertificate], now: datetime
) -> VerifiedSignature:
    """Verifies the Signature of a document that `xml.parse` has read, and removes it from the tree.

    Raises `MessageRejected` with one SIGNATURE_ or CERTIFICATE_ fault; the tree must not be used after that.
    The key comes only from `certificates`: a certificate in KeyInfo merely selects one of them. Several may
    be valid at a time; the one that verifies must be valid at `now` and not revoked.
    """
    form = read_form(root)
    candidates = _candidates(form.key_info, certificates, form.algorithm)

    content = form.method.of_part(form.signed_info)
    signers = [
        one for one in candidates if certificate(one.pem).has_signed(content, form.value, form.algorithm)
    ]
    if not signers:
        raise _invalid(form.signed_info)
    for part, reference in form.parts:
        if not reference.digest.is_of(reference.method.of_part(part)):
            raise _invalid(part)
    signed_at = None
    if form.properties is not None:
        signers = _as_stated(form.properties, signers)
        signed_at = _signed_at(form.properties)

    # Canonicalised in place, so that the tree that is digested is the tree that is used afterwards. The text
    # after the Signature stays: only the element itself is excluded from the signed content (XMLDSIG, 6.6.4).
    etree.strip_elements(root, SIGNATURE, with_tail=False)
    if not form.document.digest.is_of(form.document.method.of_document(root)):
        raise _invalid(form.signed_info)

    return VerifiedSignature(
        root=root,
        fingerprint=_in_force(signers, now).fingerprint,
        algorithm=form.algorithm,
        signed_at=signed_at,
    )


def _candidates(
    key_info: etree._Element | None, certificates: Sequence[RegisteredCertificate], algorithm: Algorithm
) -> Sequence[RegisteredCertificate]:
    """The registered certificates among those in KeyInfo; where KeyInfo has no certificate, all registered
    ones whose kind of key fits the algorithm."""
    embedded = set()
    if key_info is not None:
        embedded = {"".join((one.text or "").split()) for one in key_info.iter(_CERTIFICATE)}
    chosen = [
        one
        for one in certificates
        if (certificate(one.pem).base64 in embedded if embedded else certificate(one.pem).fits(algorithm))
    ]
    if not chosen:
        raise MessageRejected(finding(Fault.CERTIFICATE_UNKNOWN))
    weaknesses = [certificate(one.pem).weakness for one in chosen]
    if all(weaknesses):
        raise MessageRejected(finding(Fault.SIGNATURE_ALGORITHM, detail=weaknesses[0]))
    return chosen


def _as_stated(
    properties: etree._Element, signers: list[RegisteredCertificate]
) -> list[RegisteredCertificate]:
    """The signers whose certificate the properties name as the signing certificate (XAdES, 7.2.2); all of
    them where none is named."""
    stated = [element for path in _SIGNING_CERTIFICATES if (element := properties.find(path)) is not None]
    for method_and_value in stated:
        digest = read_digest(*children(method_and_value, _CERT_DIGEST))
        signers = [one for one in signers if digest.is_of(certificate(one.pem).der)]
    if not signers:
        raise _invalid(properties)
    return signers


def _signed_at(properties: etree._Element) -> datetime | None:
    text = properties.findtext(_SIGNING_TIME)
    if text is None:
        return None
    try:
        stated = datetime.fromisoformat(text.strip())
    except ValueError:
        raise refusal("SigningTime is no time", "SigningTime 应为时间", properties) from None
    return stated if stated.tzinfo is not None else None


def _in_force(signers: Sequence[RegisteredCertificate], now: datetime) -> Certificate:
    reasons = []
    for signer in signers:
        reason = why_not(signer, now)
        if reason is None:
            return certificate(signer.pem)
        reasons.append(reason)
    raise MessageRejected(reasons[0])


def _invalid(element: etree._Element) -> MessageRejected:
    return MessageRejected(finding(Fault.SIGNATURE_INVALID, line=element.sourceline))
