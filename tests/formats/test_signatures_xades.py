"""What an XAdES signature states of itself is covered by it, and is held against the facts."""

import hashlib
from base64 import b64encode
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree
from signxml.algorithms import CanonicalizationMethod
from signxml.xades.xades import XAdESSigner

from gateway.formats import xml
from tests.support.keys import Identity, identity, xmlsec1_accepts
from tests.support.xml_signatures import C14N, DIGEST, NOW, finding_of, verified, xades

SIGNER = identity("rsa-2048")
DOCUMENT = '<m xmlns="urn:m" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><a/>{signature}</m>'
PLAIN = DOCUMENT.replace("{signature}", "").encode()


def stating(signer: Identity, element: str = "SigningCertificateV2", digest: str = "sha256") -> str:
    value = b64encode(hashlib.new(digest, signer.certificate.public_bytes(Encoding.DER)).digest()).decode()
    return (
        f"<xades:{element}><xades:Cert><xades:CertDigest>"
        f'<ds:DigestMethod Algorithm="{DIGEST[digest]}"/><ds:DigestValue>{value}</ds:DigestValue>'
        f"</xades:CertDigest></xades:Cert></xades:{element}>"
    )


@pytest.mark.parametrize("c14n", C14N)
def test_what_xmlsec1_signs_as_xades_verifies_in_every_canonicalisation(c14n: str) -> None:
    signed = xades(c14n=c14n).sign(DOCUMENT, SIGNER)

    assert xmlsec1_accepts(signed, SIGNER)
    assert verified(signed, SIGNER.registered).signed_at == NOW


@pytest.mark.parametrize("c14n", C14N)
def test_neither_the_properties_nor_key_info_can_be_changed(c14n: str) -> None:
    signed = xades(c14n=c14n).sign(DOCUMENT, SIGNER).decode()

    for old, new in (("12:00:00", "12:00:01"), ("</ds:X509Data>", "</ds:X509Data><ds:KeyName/>")):
        assert finding_of(signed.replace(old, new), SIGNER.registered).code == "signature-invalid"


@pytest.mark.parametrize("always_add_key_value", [True, False])
@pytest.mark.parametrize(
    "c14n", [CanonicalizationMethod.CANONICAL_XML_1_0, CanonicalizationMethod.CANONICAL_XML_1_1]
)
def test_what_signxml_signs_as_xades_verifies_with_its_time(
    c14n: CanonicalizationMethod, always_add_key_value: bool
) -> None:
    before = datetime.now(UTC).replace(microsecond=0)

    signed = XAdESSigner(c14n_algorithm=c14n).sign(
        xml.parse(PLAIN),
        key=SIGNER.key,
        cert=[SIGNER.certificate],
        always_add_key_value=always_add_key_value,
    )

    at = verified(etree.tostring(signed), SIGNER.registered).signed_at
    assert at is not None
    assert before <= at <= datetime.now(UTC)


def test_the_wrong_digest_that_signxml_makes_with_exclusive_canonicalisation_is_refused() -> None:
    signer = XAdESSigner(c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0)
    signed = etree.tostring(signer.sign(xml.parse(PLAIN), key=SIGNER.key, cert=[SIGNER.certificate]))

    assert not xmlsec1_accepts(signed, SIGNER)
    assert finding_of(signed, SIGNER.registered).code == "signature-invalid"


@pytest.mark.parametrize("element", ["SigningCertificate", "SigningCertificateV2"])
def test_the_certificate_that_is_stated_must_be_the_signers(element: str) -> None:
    right = xades(certificate=stating(SIGNER, element, "sha512")).sign(DOCUMENT, SIGNER)
    wrong = xades(certificate=stating(identity("p-256"), element)).sign(DOCUMENT, SIGNER)

    assert verified(right, SIGNER.registered).fingerprint == SIGNER.fingerprint
    assert finding_of(wrong, SIGNER.registered).code == "signature-invalid"


def test_a_certificate_stated_by_its_sha1_is_refused() -> None:
    signed = xades(certificate=stating(SIGNER, "SigningCertificate", "sha1")).sign(DOCUMENT, SIGNER)

    assert finding_of(signed, SIGNER.registered).code == "signature-algorithm"


def test_a_time_without_an_offset_is_none() -> None:
    signed = xades(time="2026-11-23T12:00:00").sign(DOCUMENT, SIGNER)

    assert verified(signed, SIGNER.registered).signed_at is None


def test_a_time_that_is_none_is_refused() -> None:
    signed = xades(time="yesterday").sign(DOCUMENT, SIGNER)

    assert finding_of(signed, SIGNER.registered).code == "signature-form"
