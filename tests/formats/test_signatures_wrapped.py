"""Every way that we know of leading a verifier to other content than is used afterwards is refused by form.

In the first table a valid signature is made and then something is moved, copied or smuggled in; in the second
the signer itself, with a registered key, signs something else than the document: xmlsec1 finds those valid.
"""

import re
from collections.abc import Callable
from functools import cache

import pytest
from lxml import etree

from gateway.formats import xml
from gateway.formats.signatures import is_signed
from tests.support.keys import identity, xmlsec1_accepts
from tests.support.xml_signatures import (
    C14N,
    DIGEST,
    DS,
    ENVELOPED,
    XADES,
    Habit,
    finding_of,
    verified,
    xades,
)

SIGNER = identity("rsa-2048")
DOCUMENT = '<m xmlns="urn:m"><head Id="H">good</head><list/>{signature}</m>'
REFERENCE = f'<ds:DigestMethod Algorithm="{DIGEST["sha256"]}"/><ds:DigestValue/></ds:Reference>'


@cache
def signed(as_xades: bool = False) -> str:
    return (xades() if as_xades else Habit()).sign(DOCUMENT, SIGNER).decode()


def signature(text: str) -> str:
    match = re.search(r"<ds:Signature .*</ds:Signature>", text, re.DOTALL)
    assert match is not None
    return match[0]


def without_signature(text: str) -> str:
    return text.replace(signature(text), "")


def fault_of(text: str | bytes) -> str:
    return finding_of(text, SIGNER.registered).code


def original(text: str) -> str:
    return text.removeprefix('<?xml version="1.0"?>\n').strip()


def evil(text: str) -> str:
    return text.replace("good", "evil")


def in_object(text: str, content: str) -> str:
    return text.replace("</ds:Signature>", f"<ds:Object>{content}</ds:Object></ds:Signature>")


PLAIN: dict[str, Callable[[str], str]] = {
    "signature twice": lambda t: t.replace("</m>", signature(t) + "</m>"),
    "second signature in the content": lambda t: t.replace("<list/>", f"<list>{signature(t)}</list>"),
    "signature in a child": lambda t: without_signature(t).replace("<list/>", f"<list>{signature(t)}</list>"),
    "signed document below another root": lambda t: f'<m xmlns="urn:m"><head>evil</head>{original(t)}</m>',
    "signed document below another root, signature above": lambda t: (
        f'<m xmlns="urn:m"><head>evil</head>{original(without_signature(t))}{signature(t)}</m>'.replace(
            'URI=""', 'URI="#H"'
        )
    ),
    "signed document in the Object": lambda t: in_object(evil(t), original(without_signature(t))),
    "signed document in the Object with its signature": lambda t: in_object(evil(t), original(t)),
    "text in the Object": lambda t: in_object(t, "evil"),
    "empty Object": lambda t: in_object(t, ""),
    "foreign element in Signature": lambda t: t.replace("</ds:Signature>", "<x/></ds:Signature>"),
    "text in Signature": lambda t: t.replace("<ds:SignatureValue>", "evil<ds:SignatureValue>"),
    "two SignedInfo": lambda t: t.replace("<ds:SignatureValue>", "<ds:SignedInfo/><ds:SignatureValue>"),
    "SignedInfo in another namespace first": lambda t: t.replace(
        "<ds:SignedInfo>", "<SignedInfo/><ds:SignedInfo>"
    ),
    "two SignatureValues": lambda t: t.replace("<ds:KeyInfo>", "<ds:SignatureValue/><ds:KeyInfo>"),
    "element in SignatureValue": lambda t: t.replace("<ds:SignatureValue>", "<ds:SignatureValue><x/>"),
    "element in DigestValue": lambda t: t.replace("<ds:DigestValue>", "<ds:DigestValue><x/>"),
    "two DigestValues": lambda t: t.replace("<ds:DigestValue>", "<ds:DigestValue/><ds:DigestValue>"),
    "no reference": lambda t: re.sub(r"<ds:Reference .*</ds:Reference>", "", t, flags=re.DOTALL),
    "absent URI": lambda t: t.replace(' URI=""', ""),
    "remote URI": lambda t: t.replace('URI=""', 'URI="https://example.com/m.xml"'),
    "file URI": lambda t: t.replace('URI=""', 'URI="file:///etc/passwd"'),
    "URI of another element": lambda t: t.replace('URI=""', 'URI="#H"'),
    "XPointer to the root": lambda t: t.replace('URI=""', 'URI="#xpointer(/)"'),
    "Manifest": lambda t: t.replace('URI=""', f'Type="{DS}Manifest" URI=""'),
    "a thousand transforms": lambda t: t.replace(
        "<ds:Transforms>", "<ds:Transforms>" + f'<ds:Transform Algorithm="{C14N["1.0"]}"/>' * 1000
    ),
    "a thousand references": lambda t: t.replace(
        "</ds:SignedInfo>", (f'<ds:Reference URI="">{REFERENCE}') * 1000 + "</ds:SignedInfo>"
    ),
    "signature as the root": lambda t: signature(in_object(t, original(without_signature(t)))),
}
P = '<xades:SignedProperties Id="P">'
XADES_VARIANTS: dict[str, Callable[[str], str]] = {
    "id of SignedProperties in the content too": lambda t: t.replace("<list/>", '<list Id="P"/>'),
    "id of SignedProperties as xml:id": lambda t: t.replace("<list/>", '<list xml:id="P"/>'),
    "id of SignedProperties as ID": lambda t: t.replace("<list/>", '<list ID="P"/>'),
    "id of KeyInfo in the content too": lambda t: t.replace("<list/>", '<list id="K"/>'),
    "reference to a copy in the content": lambda t: t.replace(P, P.replace('"P"', '"Q"')).replace(
        "<list/>", f'<list xmlns:xades="{XADES}">{P}</xades:SignedProperties></list>'
    ),
    "properties that no reference names": lambda t: re.sub(
        r'<ds:Reference URI="#P".*?</ds:Reference>', "", t, flags=re.DOTALL
    ),
    "properties without an id": lambda t: t.replace(P, "<xades:SignedProperties>"),
    "reference to the properties without its type": lambda t: re.sub(r' Type="[^"]*"', "", t),
    "a fourth reference": lambda t: t.replace(
        "</ds:SignedInfo>", f'<ds:Reference URI="#H">{REFERENCE}</ds:SignedInfo>'
    ),
    "unsigned properties": lambda t: t.replace(
        "</xades:QualifyingProperties>", "<xades:UnsignedProperties/></xades:QualifyingProperties>"
    ),
    "second Object": lambda t: in_object(t, ""),
    "second QualifyingProperties": lambda t: t.replace(
        "</ds:Object>", f'<xades:QualifyingProperties xmlns:xades="{XADES}" Target="#S"/></ds:Object>'
    ),
    "properties of another signature": lambda t: t.replace('Target="#S"', 'Target="#T"'),
    "countersignature": lambda t: t.replace(
        "</xades:SignedProperties>", f'<ds:Signature xmlns:ds="{DS}"/></xades:SignedProperties>'
    ),
    "two transforms on a part": lambda t: re.sub(
        r'(URI="#P".*?)(<ds:Transform .*?/>)', r"\1\2\2", t, flags=re.DOTALL
    ),
}


def test_the_signature_that_the_variants_are_made_of_verifies() -> None:
    for text in (signed(), signed(as_xades=True)):
        assert xmlsec1_accepts(text.encode(), SIGNER)
        assert verified(text, SIGNER.registered).root.findtext("{urn:m}head") == "good"


@pytest.mark.parametrize("variant", PLAIN.values(), ids=PLAIN)
def test_a_rearranged_signature_is_refused_by_form(variant: Callable[[str], str]) -> None:
    text = variant(signed())

    assert text != signed()
    assert fault_of(text) == "signature-form"


@pytest.mark.parametrize("variant", XADES_VARIANTS.values(), ids=XADES_VARIANTS)
def test_a_rearranged_xades_signature_is_refused_by_form(variant: Callable[[str], str]) -> None:
    text = variant(signed(as_xades=True))

    assert text != signed(as_xades=True)
    assert fault_of(text) == "signature-form"


TRANSFORM = '<ds:Transform Algorithm="{}">{}</ds:Transform>'
XPATH = "<ds:XPath>{}</ds:XPath>"
ENVELOPED_TRANSFORM = TRANSFORM.format(ENVELOPED, "")
SIGNED_OTHERWISE = {
    "only one element": (Habit(uri='URI="#H"', transforms=""), "signature-form"),
    "the root by its id": (Habit(uri='URI="#R"'), "signature-form"),
    "the root by XPointer": (Habit(uri='URI="#xpointer(/)"'), "signature-form"),
    "the document twice": (
        Habit(
            references=f'<ds:Reference URI=""><ds:Transforms>{ENVELOPED_TRANSFORM}</ds:Transforms>{REFERENCE}'
        ),
        "signature-form",
    ),
    "KeyInfo and not the document": (Habit(uri='URI="#K"', transforms="", key_info_id="K"), "signature-form"),
    "KeyInfo twice": (
        Habit(key_info_id="K", references=f'<ds:Reference URI="#K">{REFERENCE}' * 2),
        "signature-form",
    ),
    "the document and an element": (
        Habit(references=f'<ds:Reference URI="#H">{REFERENCE}'),
        "signature-form",
    ),
    "an Object of its own": (
        Habit(
            references=f'<ds:Reference URI="#O">{REFERENCE}',
            objects='<ds:Object Id="O"><m xmlns="urn:m">evil</m></ds:Object>',
        ),
        "signature-form",
    ),
    "a Manifest": (
        Habit(
            references=f'<ds:Reference Type="{DS}Manifest" URI="#M">{REFERENCE}',
            objects=(
                f'<ds:Object><ds:Manifest Id="M"><ds:Reference URI="#H">{REFERENCE}</ds:Manifest></ds:Object>'
            ),
        ),
        "signature-form",
    ),
    "three transforms": (
        Habit(transforms=ENVELOPED_TRANSFORM + TRANSFORM.format(C14N["1.0"], "") * 2),
        "signature-form",
    ),
    "a part chosen by XPath": (
        Habit(
            transforms=TRANSFORM.format(
                "http://www.w3.org/TR/1999/REC-xpath-19991116",
                XPATH.format(
                    "not(ancestor-or-self::ds:Signature or ancestor-or-self::*[local-name()='head'])"
                ),
            )
        ),
        "signature-algorithm",
    ),
    "a part chosen by XPath after the enveloped transform": (
        Habit(
            transforms=ENVELOPED_TRANSFORM
            + TRANSFORM.format("http://www.w3.org/TR/1999/REC-xpath-19991116", XPATH.format("self::text()"))
        ),
        "signature-algorithm",
    ),
    "what XSLT makes of it": (
        Habit(
            transforms=ENVELOPED_TRANSFORM
            + TRANSFORM.format(
                "http://www.w3.org/TR/1999/REC-xslt-19991116",
                '<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">'
                '<xsl:template match="/"><nothing/></xsl:template></xsl:stylesheet>',
            )
        ),
        "signature-algorithm",
    ),
}


@pytest.mark.parametrize(("habit", "fault"), SIGNED_OTHERWISE.values(), ids=SIGNED_OTHERWISE)
def test_a_signature_of_a_registered_key_in_another_form_is_refused(habit: Habit, fault: str) -> None:
    document = DOCUMENT.replace('"urn:m">', '"urn:m" xml:id="R">', 1).replace(' Id="H"', ' xml:id="H"')
    text = habit.sign(document, SIGNER)

    assert xmlsec1_accepts(text, SIGNER)
    assert fault_of(text) == fault


def test_a_signature_anywhere_is_seen() -> None:
    for variant in ("signature in a child", "signature as the root", "signed document below another root"):
        assert is_signed(xml.parse(PLAIN[variant](signed()).encode()))
    assert not is_signed(xml.parse(without_signature(signed()).encode()))


def test_a_document_without_a_signature_does_not_verify() -> None:
    assert fault_of(without_signature(signed())) == "signature-missing"
    assert fault_of(signed().replace(DS, DS.replace("2000", "2001"))) == "signature-missing"


def test_comments_between_elements_change_nothing_for_verifier_or_reader() -> None:
    text = signed().replace("<head", "<!-- --><head", 1).replace("SignedInfo><", "SignedInfo><!-- --><", 1)

    root = verified(text, SIGNER.registered).root

    assert root.findtext("{urn:m}head") == "good"
    assert etree.tostring(root, method="c14n") == (
        b'<m xmlns="urn:m"><head Id="H">good</head><list></list></m>'
    )
