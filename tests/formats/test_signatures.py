"""Signatures that are valid verify, whoever made them, and nothing signed can be changed."""

from itertools import product

import pytest
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.signer import XMLSigner

from gateway.formats import xml
from gateway.formats.signatures import is_signed
from gateway.model.faults import MessageRejected
from tests.support.declarations import small
from tests.support.keys import Identity, Kind, identity, xmlsec1_accepts
from tests.support.rendering import render
from tests.support.xml_signatures import C14N, Habit, KeyInfo, verified

RSA = identity("rsa-2048")

# The signed document as a sender writes it; the signature goes in where the braces are.
DOCUMENTS = {
    "default namespace": (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<DecMessage xmlns="http://www.chinaport.gov.cn/dec" Version="3.1">\r\n'
        "<DecHead><AgentCode>2200910001</AgentCode><AgentName>上海 &amp; Co</AgentName><ApprNo/></DecHead>"
        "{signature}</DecMessage>\n"
    ),
    "more namespaces on the root": (
        '<DecMessage xmlns="http://www.chinaport.gov.cn/dec" xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        '<DecHead xsi:nil="true"/>{signature}</DecMessage>'
    ),
    "no namespace, white space after": '<DecMessage><DecHead a="1&#10;2"/>{signature}\n  \n</DecMessage>',
    "prefixed, xml attributes, elements after": (
        '<d:DecMessage xmlns:d="http://www.chinaport.gov.cn/dec" xmlns:e="urn:e" xml:lang="zh"'
        ' xml:space="preserve">'
        '<d:DecHead><!-- c --><X xmlns="">t<![CDATA[<x>]]></X></d:DecHead>'
        " {signature} <d:DecSign/> </d:DecMessage>"
    ),
    "instructions around the root": (
        '<?xml version="1.0"?><?style x?>\n<!-- c -->\n'
        "<DecMessage><DecHead/>{signature}</DecMessage>\n<?end?>"
    ),
}


def is_valid(signed: bytes, signer: Identity = RSA) -> bool:
    try:
        verified(signed, signer.registered)
    except MessageRejected:
        return False
    return True


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
@pytest.mark.parametrize("prefix", ["ds", ""], ids=["prefixed", "unprefixed"])
def test_what_xmlsec1_signs_verifies_in_every_canonicalisation(prefix: str, document: str) -> None:
    for c14n, reference in product(C14N, (None, *C14N)):
        signed = Habit(prefix=prefix, c14n=c14n, reference=reference).sign(document, RSA)

        assert is_valid(signed), (c14n, reference)


@pytest.mark.parametrize(
    ("kind", "signing"),
    [
        ("rsa-2048", "rsa-sha256"),
        ("rsa-3072", "rsa-sha384"),
        ("rsa-4096", "rsa-sha512"),
        ("p-256", "ecdsa-sha256"),
        ("p-256", "ecdsa-sha512"),
        ("p-384", "ecdsa-sha256"),
        ("p-384", "ecdsa-sha384"),
    ],
)
@pytest.mark.parametrize("key_info", ["certificate", "name", "none"])
def test_every_accepted_key_and_algorithm_verifies_with_and_without_its_certificate(
    kind: Kind, signing: str, key_info: KeyInfo
) -> None:
    signer = identity(kind)
    digest = signing.rpartition("-")[2]
    habit = Habit(signing=signing, digest=digest, key_info=key_info)
    signed = habit.sign(DOCUMENTS["default namespace"], signer)

    result = verified(
        signed,
        identity("rsa-2048", "trader-b").registered,
        identity("p-384", "trader-b").registered,
        signer.registered,
    )

    assert xmlsec1_accepts(signed, signer)
    assert result.algorithm == signing
    assert result.fingerprint == signer.fingerprint
    assert result.signed_at is None


def test_a_prefix_list_is_heeded() -> None:
    document = '<m xmlns="urn:m" xmlns:a="urn:a" xmlns:b="urn:b"><x>a:1</x>{signature}</m>'
    signed = Habit(c14n="exclusive", reference="exclusive", prefixes="a").sign(document, RSA)

    assert xmlsec1_accepts(signed, RSA)
    assert is_valid(signed)
    assert is_valid(signed.replace(b"urn:b", b"urn:c"))  # not visibly used and not in the list: not signed
    assert not is_valid(signed.replace(b"urn:a", b"urn:c"))


@pytest.mark.parametrize("encoding", ["GBK", "GB18030"])
def test_a_signed_document_in_a_chinese_encoding_verifies(encoding: str) -> None:
    signed = Habit().sign(DOCUMENTS["default namespace"], RSA)
    written = signed.decode().replace("UTF-8", encoding, 1).encode(encoding)

    assert xmlsec1_accepts(written, RSA)
    assert is_valid(written)


def test_the_content_comes_back_without_its_signature_and_otherwise_unchanged() -> None:
    document = DOCUMENTS["prefixed, xml attributes, elements after"]
    signed = Habit().sign(document, RSA)

    root = verified(signed, RSA.registered).root

    assert not is_signed(root)
    expected = xml.parse(document.replace("{signature}", "").encode())
    assert etree.tostring(root, method="c14n") == etree.tostring(expected, method="c14n")


def test_a_whole_declaration_verifies() -> None:
    document = render(small()).decode()
    signed = Habit().sign(document.replace("</DecMessage>", "{signature}</DecMessage>"), RSA)

    assert is_valid(signed)


@pytest.mark.parametrize("prefix", ["ds", ""], ids=["prefixed", "unprefixed"])
@pytest.mark.parametrize("c14n", C14N)
def test_no_byte_of_the_content_or_of_signed_info_can_be_changed(prefix: str, c14n: str) -> None:
    signed = Habit(prefix=prefix, c14n=c14n, reference=c14n).sign(
        DOCUMENTS["no namespace, white space after"], RSA
    )
    p = f"{prefix}:".encode() if prefix else b""
    begin, end = signed.index(b"<" + p + b"Signature "), signed.index(b"</" + p + b"Signature>") + len(p) + 12
    covered = [
        *range(signed.index(b"<DecMessage"), begin),
        *range(signed.index(b"<" + p + b"SignedInfo"), signed.index(b"<" + p + b"SignatureValue")),
        *range(end, signed.index(b"</DecMessage>") + 13),
    ]
    assert is_valid(signed)
    for at in covered:
        changed = bytearray(signed)
        changed[at] ^= 1
        assert not is_valid(bytes(changed)), (at, bytes(changed[at - 20 : at + 20]))


@pytest.mark.parametrize(
    ("kind", "method"), [("rsa-2048", SignatureMethod.RSA_SHA512), ("p-384", SignatureMethod.ECDSA_SHA384)]
)
@pytest.mark.parametrize("c14n", [method for method in CanonicalizationMethod if "#With" not in method.value])
def test_what_signxml_signs_verifies(
    kind: Kind, method: SignatureMethod, c14n: CanonicalizationMethod
) -> None:
    signer = identity(kind)
    root = xml.parse(DOCUMENTS["more namespaces on the root"].replace("{signature}", "").encode())
    signing = XMLSigner(
        signature_algorithm=method, digest_algorithm=DigestAlgorithm.SHA384, c14n_algorithm=c14n
    )

    signed = signing.sign(root, key=signer.key, cert=[signer.certificate])

    assert is_valid(etree.tostring(signed), signer)
