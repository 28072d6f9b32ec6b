"""What xmlsec1 says of a document, this verifier says too, and signxml where it is right."""

from collections.abc import Callable

import pytest
from lxml import etree
from signxml.exceptions import SignXMLException
from signxml.verifier import SignatureConfiguration, XMLVerifier

from gateway.model.faults import MessageRejected
from tests.support.keys import identity, xmlsec1_accepts
from tests.support.xml_signatures import Habit, verified, xades

SIGNER = identity("rsa-2048")
DOCUMENT = (
    '<d:m xmlns:d="urn:m" xmlns:e="urn:e" version="3.1" kind="x">\n<d:head a="1">上海 &amp; Co</d:head>\n'
    '<list xsi:nil="true" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"/>{signature}\n</d:m>'
)
HABITS = {
    "inclusive": Habit(),
    "inclusive 1.1, unprefixed": Habit(c14n="1.1", reference="1.1", prefix=""),
    "exclusive": Habit(c14n="exclusive", reference="exclusive"),
    "exclusive, unprefixed": Habit(c14n="exclusive", reference="exclusive", prefix=""),
    "mixed": Habit(c14n="1.0", reference="exclusive"),
    "XAdES": xades(),
}
# Some leave the canonical form as it is, some change it, some do either by the canonicalisation.
CHANGES: dict[str, Callable[[str], str]] = {
    "nothing": lambda t: t,
    "a character of the content": lambda t: t.replace("Co<", "Ca<"),
    "an attribute": lambda t: t.replace('a="1"', 'a="2"'),
    "an attribute more": lambda t: t.replace('a="1"', 'a="1" b="2"'),
    "the order of attributes": lambda t: t.replace('version="3.1" kind="x"', 'kind="x" version="3.1"'),
    "quotes": lambda t: t.replace('a="1"', "a='1'"),
    "white space in a tag": lambda t: t.replace('a="1"', 'a="1"\n  '),
    "white space in the content": lambda t: t.replace("</d:head>\n", "</d:head>\n\n"),
    "white space after the signature": lambda t: t.replace("\n</d:m>", "\n\n</d:m>"),
    "white space after SignedInfo": lambda t: t.replace("SignedInfo>\n", "SignedInfo>\n\n"),
    "white space in SignedInfo": lambda t: t.replace("SignedInfo><", "SignedInfo> <", 1),
    "carriage returns": lambda t: t.replace("\n", "\r\n"),
    "a carriage return as a character": lambda t: t.replace("</d:head>\n", "</d:head>&#13;\n"),
    "an escaped character": lambda t: t.replace("上", "&#x4E0A;"),
    "a CDATA section": lambda t: t.replace("&amp; Co", "<![CDATA[& Co]]>"),
    "a comment": lambda t: t.replace("</d:head>\n", "</d:head><!-- c -->\n"),
    "a comment in SignedInfo": lambda t: t.replace("SignedInfo><", "SignedInfo><!-- c --><", 1),
    "an empty element's form": lambda t: t.replace('instance"/>', 'instance"></list>'),
    "a namespace declaration more": lambda t: t.replace('xmlns:e="urn:e"', 'xmlns:e="urn:e" xmlns:f="urn:f"'),
    "a namespace declaration less": lambda t: t.replace(' xmlns:e="urn:e"', ""),
    "a prefix": lambda t: t.replace("d:", "dd:").replace(":d=", ":dd=").replace("ddd", "dd"),
    "an instruction before the root": lambda t: t.replace("<d:m ", "<?i?><d:m "),
    "the content of the digest": lambda t: t.replace("DigestValue>", "DigestValue>A", 1),
    "the signature value": lambda t: t.replace("SignatureValue>", "SignatureValue>A", 1),
    "line breaks in the signature value": lambda t: t.replace("SignatureValue>", "SignatureValue>\n\n", 1),
    "an attribute of xml on the root": lambda t: t.replace("<d:m ", '<d:m xml:lang="zh" '),
}


def accepted(text: str) -> bool:
    try:
        verified(text, SIGNER.registered)
    except MessageRejected:
        return False
    return True


def signxml_accepts(text: str, references: int) -> bool:
    configuration = SignatureConfiguration(location="./", expect_references=references)
    try:
        XMLVerifier().verify(text.encode(), x509_cert=SIGNER.certificate_pem, expect_config=configuration)
    except (SignXMLException, etree.DocumentInvalid):
        return False
    return True


@pytest.mark.parametrize("habit", HABITS.values(), ids=HABITS)
def test_the_verdict_is_that_of_xmlsec1(habit: Habit) -> None:
    signed = habit.sign(DOCUMENT, SIGNER).decode()
    differing = {
        name
        for name, change in CHANGES.items()
        if accepted(change(signed)) != xmlsec1_accepts(change(signed).encode(), SIGNER)
    }
    assert differing == set()


@pytest.mark.parametrize("name", [name for name, habit in HABITS.items() if habit.prefix])
def test_the_verdict_is_that_of_signxml_where_the_signature_has_a_prefix(name: str) -> None:
    habit = HABITS[name]
    signed = habit.sign(DOCUMENT, SIGNER).decode()
    differing = {
        name
        for name, change in CHANGES.items()
        if accepted(change(signed)) != signxml_accepts(change(signed), 3 if habit.objects else 1)
    }
    # It takes the root element for the document.
    assert differing == {"an instruction before the root"}


def test_signxml_refuses_what_xmlsec1_and_this_verifier_accept_without_a_prefix() -> None:
    signed = HABITS["inclusive 1.1, unprefixed"].sign(DOCUMENT, SIGNER).decode()

    assert xmlsec1_accepts(signed.encode(), SIGNER)
    assert accepted(signed)
    assert not signxml_accepts(signed, 1)
