"""The template signer of the bare loop makes signatures that everyone accepts."""

import pytest
from lxml import etree
from signxml.algorithms import SignatureMethod
from signxml.xades.xades import XAdESSignatureConfiguration, XAdESVerifier

from bench.job.xades import LeanSigner
from gateway.formats import xml
from gateway.formats.submission import NAMESPACE
from gateway.model.signers import Signer
from tests.support.keys import Kind, identity, xmlsec1_accepts
from tests.support.xml_signatures import finding_of, verified

DOCUMENT = (
    f'<GatewayReceipt xmlns="{NAMESPACE}"><Text xml:lang="zh">接受 &lt;&amp;&gt; "a"</Text>'
    '<Part name="a&#10;b&quot;" sha256=""/>\n</GatewayReceipt>'
).encode()


def signer_of(kind: Kind) -> Signer:
    return LeanSigner(identity(kind).key_pem, identity(kind).certificate_pem)


@pytest.mark.parametrize("kind", ["rsa-2048", "p-256", "p-384"])
def test_a_signed_document_verifies_everywhere_and_says_the_same(kind: Kind) -> None:
    signed = signer_of(kind).sign(xml.trusted(DOCUMENT))

    assert xmlsec1_accepts(signed, identity(kind))
    result = verified(signed, identity(kind).registered)
    assert result.signed_at is not None
    assert etree.tostring(result.root, method="c14n") == etree.tostring(xml.trusted(DOCUMENT), method="c14n")
    expected = XAdESSignatureConfiguration(
        location="./",
        signature_methods=frozenset({SignatureMethod.RSA_SHA256, SignatureMethod.ECDSA_SHA256}),
    )
    XAdESVerifier().verify(signed, x509_cert=identity(kind).certificate_pem, expect_config=expected)


def test_a_changed_document_does_not_verify() -> None:
    changed = signer_of("p-256").sign(xml.trusted(DOCUMENT)).replace("接受".encode(), "拒绝".encode())

    assert finding_of(changed, identity("p-256").registered).code == "signature-invalid"


def test_a_document_of_another_namespace_is_not_signed() -> None:
    with pytest.raises(AssertionError, match="our own namespace"):
        signer_of("p-256").sign(xml.trusted(b'<a xmlns="urn:other"/>'))
