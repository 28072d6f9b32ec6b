"""What the gateway signs, everyone can verify: xmlsec1, signxml, and the gateway itself."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lxml import etree
from signxml.algorithms import SignatureMethod
from signxml.xades.xades import XAdESSignatureConfiguration, XAdESVerifier

from gateway.formats import xml
from gateway.formats.signing import XadesSigner
from gateway.model.signers import Signer
from tests.support.keys import Kind, identity, xmlsec1_accepts
from tests.support.xml_signatures import finding_of, verified

DOCUMENTS = [
    b"<receipt><verdict>accepted</verdict></receipt>",
    b'<receipt xmlns="urn:gateway:receipt:1"><verdict>accepted</verdict>\n</receipt>',
    b'<receipt xmlns="urn:gateway:receipt:1" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"/>',
    '<g:receipt xmlns:g="urn:gateway:receipt:1"><zh xml:lang="zh">签名验证失败</zh></g:receipt>'.encode(),
    b'<receipt xmlns="urn:gateway:receipt:1" xmlns:ds="urn:not-a-signature"><ds:x/><y xmlns=""/></receipt>',
]


def signer_of(kind: Kind) -> XadesSigner:
    return XadesSigner(identity(kind).key_pem, identity(kind).certificate_pem)


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("kind", ["rsa-2048", "p-256"])
def test_a_signed_document_verifies_everywhere(kind: Kind, document: bytes) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    mine: Signer = signer_of(kind)

    signed = mine.sign(xml.trusted(document))

    assert xmlsec1_accepts(signed, identity(kind))
    result = verified(signed, identity(kind).registered)
    assert result.fingerprint == identity(kind).fingerprint
    assert result.signed_at is not None
    assert before <= result.signed_at <= datetime.now(UTC)
    assert etree.tostring(result.root, method="c14n") == etree.tostring(xml.trusted(document), method="c14n")
    expected = XAdESSignatureConfiguration(
        location="./",
        signature_methods=frozenset({SignatureMethod.RSA_SHA256, SignatureMethod.ECDSA_SHA256}),
    )
    XAdESVerifier().verify(signed, x509_cert=identity(kind).certificate_pem, expect_config=expected)


def test_a_changed_receipt_verifies_nowhere() -> None:
    signed = signer_of("p-256").sign(xml.trusted(DOCUMENTS[1]))
    changed = signed.replace(b"accepted", b"rejected")

    assert not xmlsec1_accepts(changed, identity("p-256"))
    assert finding_of(changed, identity("p-256").registered).code == "signature-invalid"


def test_the_signature_is_the_last_child_and_the_tree_given_stays_as_it_was() -> None:
    root = xml.trusted(DOCUMENTS[1])
    before = etree.tostring(root)

    signed = signer_of("p-256").sign(root)

    assert etree.tostring(root) == before
    assert signed.startswith(b"<?xml version='1.0' encoding='UTF-8'?>\n<receipt")
    assert signed.endswith(b"</ds:Signature></receipt>")


def test_the_key_itself_is_stated_by_its_certificate_alone() -> None:
    signed = signer_of("rsa-2048").sign(xml.trusted(DOCUMENTS[0]))

    assert b"KeyValue" not in signed
    assert len(re.findall(rb"<ds:X509Certificate>", signed)) == 1


@pytest.mark.parametrize("name", ['Id="a"', 'ID="a"', 'xml:lang="zh"'])
def test_a_root_that_signxml_would_sign_wrongly_is_not_signed(name: str) -> None:
    with pytest.raises(ValueError, match="root element"):
        signer_of("p-256").sign(xml.trusted(f"<receipt {name}/>".encode()))


def test_a_key_that_is_not_the_certificates_is_refused() -> None:
    with pytest.raises(ValueError, match="does not belong"):
        XadesSigner(identity("p-256").key_pem, identity("p-256", "trader-b").certificate_pem)


@pytest.mark.parametrize("kind", ["rsa-1024", "p-521"])
def test_a_key_that_the_verifier_would_refuse_is_refused(kind: Kind) -> None:
    with pytest.raises(ValueError, match="not accepted"):
        signer_of(kind)


def test_another_kind_of_key_is_refused() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ValueError, match="neither RSA nor"):
        XadesSigner(pem, identity("p-256").certificate_pem)


def test_threads_may_share_a_signer() -> None:
    signer, root = signer_of("p-256"), DOCUMENTS[1]
    with ThreadPoolExecutor(4) as pool:
        signed = list(pool.map(lambda _: signer.sign(xml.trusted(root)), range(40)))

    assert len(set(signed)) == 40
    for one in signed:
        verified(one, identity("p-256").registered)
