"""What the gateway signs, everyone can verify: xmlsec1, signxml, and the gateway itself."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from signxml.algorithms import SignatureMethod
from signxml.xades.xades import XAdESSignatureConfiguration, XAdESVerifier

from adapters.home.clock import utc_now
from gateway.formats import xml
from gateway.formats.signing import SAMPLE, UnsoundSignature, XadesSigner
from gateway.formats.submission import NAMESPACE
from gateway.model.signers import Signer
from tests.support.keys import Kind, identity, xmlsec1_accepts
from tests.support.xml_signatures import finding_of, verified

DOCUMENTS = [
    f'<receipt xmlns="{NAMESPACE}"><verdict>accepted</verdict></receipt>'.encode(),
    f'<receipt xmlns="{NAMESPACE}"><verdict>accepted</verdict>\n</receipt>'.encode(),
    f'<receipt xmlns="{NAMESPACE}"/>'.encode(),
    f'<receipt xmlns="{NAMESPACE}"><zh xml:lang="zh">签名 &lt;&amp;&gt; "a"</zh></receipt>'.encode(),
    f'<receipt xmlns="{NAMESPACE}" b="&#10;&quot;" a="1"><y xmlns=""/></receipt>'.encode(),
    f'<receipt xmlns="{NAMESPACE}"><ds:x xmlns:ds="urn:not-a-signature"/></receipt>'.encode(),
]


EXPECTED = XAdESSignatureConfiguration(
    location="./",
    signature_methods=frozenset({SignatureMethod.RSA_SHA256, SignatureMethod.ECDSA_SHA256}),
)


def signer_of(kind: Kind) -> XadesSigner:
    return XadesSigner(identity(kind).key_pem, identity(kind).certificate_pem, utc_now)


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("kind", ["rsa-2048", "p-256", "p-384"])
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
    XAdESVerifier().verify(signed, x509_cert=identity(kind).certificate_pem, expect_config=EXPECTED)


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


@pytest.mark.parametrize(
    "attributes",
    [
        *(
            f'xmlns="{NAMESPACE}" {attribute}'
            for attribute in ('Id="a"', 'ID="a"', 'xml:lang="zh"', 'xmlns:a="urn:a"')
        ),
        *("", 'xmlns="urn:other"', f'xmlns:g="{NAMESPACE}"'),
    ],
)
def test_a_root_for_which_the_signature_is_not_made_is_not_signed(attributes: str) -> None:
    with pytest.raises(ValueError, match="root element"):
        signer_of("p-256").sign(xml.trusted(f"<receipt {attributes}/>".encode()))


def test_a_part_of_a_document_is_not_signed() -> None:
    with pytest.raises(ValueError, match="whole document"):
        signer_of("p-256").sign(xml.trusted(DOCUMENTS[0])[0])


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")) | st.sampled_from("\t\n&<>\"'"))
NAMES = st.from_regex("[a-zA-Z_][a-zA-Z0-9_.-]{0,8}", fullmatch=True).filter(
    lambda name: name.lower() != "id"
)


@st.composite
def elements(draw: st.DrawFn, depth: int = 3) -> etree._Element:
    """A document as the gateway could write one: own namespace, any texts and attributes."""
    root = etree.Element(f"{{{NAMESPACE}}}{draw(NAMES)}", nsmap={None: NAMESPACE})
    below = [(root, depth)]
    while below:
        element, left = below.pop()
        for name in draw(st.lists(NAMES, max_size=2)):
            element.set(name, draw(TEXT))
        element.text = draw(TEXT)
        for name in draw(st.lists(NAMES, max_size=2)) if left else ():
            child = etree.SubElement(element, f"{{{NAMESPACE}}}{name}")
            child.tail = draw(TEXT)
            if draw(st.booleans()):
                child.append(etree.Comment("none of it is signed"))
            below.append((child, left - 1))
    return root


@given(elements())
def test_whatever_the_gateway_writes_verifies_with_all_three_and_says_the_same(root: etree._Element) -> None:
    signer, own = signer_of("p-256"), identity("p-256")
    signed = signer.sign(root)
    result = verified(signed, own.registered)
    assert etree.tostring(result.root, method="c14n") == etree.tostring(
        root, method="c14n", with_comments=False
    )
    XAdESVerifier().verify(signed, x509_cert=own.certificate_pem, expect_config=EXPECTED)
    assert xmlsec1_accepts(signed, own)


def test_of_each_kind_of_document_the_first_and_then_one_in_a_thousand_is_verified() -> None:
    """A key that is exchanged for another one under the signer's hands is what a verification notices."""
    signer, other = signer_of("p-256"), ec.generate_private_key(ec.SECP256R1())
    receipt, notice = xml.trusted(DOCUMENTS[0]), xml.trusted(f'<notice xmlns="{NAMESPACE}"/>'.encode())
    signer.sign(receipt)
    signer._key = other
    for _ in range(SAMPLE - 1):
        signer.sign(receipt)
    for document in (receipt, notice):
        with pytest.raises(UnsoundSignature):
            signer.sign(document)


def test_a_key_that_is_not_the_certificates_is_refused() -> None:
    with pytest.raises(ValueError, match="does not belong"):
        XadesSigner(identity("p-256").key_pem, identity("p-256", "trader-b").certificate_pem, utc_now)


@pytest.mark.parametrize("kind", ["rsa-1024", "p-521"])
def test_a_key_that_the_verifier_would_refuse_is_refused(kind: Kind) -> None:
    with pytest.raises(ValueError, match="not accepted"):
        signer_of(kind)


def test_another_kind_of_key_is_refused() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ValueError, match="neither RSA nor"):
        XadesSigner(pem, identity("p-256").certificate_pem, utc_now)


def test_threads_may_share_a_signer() -> None:
    signer, root = signer_of("p-256"), DOCUMENTS[1]
    with ThreadPoolExecutor(4) as pool:
        signed = list(pool.map(lambda _: signer.sign(xml.trusted(root)), range(40)))

    assert len(set(signed)) == 40
    for one in signed:
        verified(one, identity("p-256").registered)
