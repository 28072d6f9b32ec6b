"""What is no acceptable XML, or no known message, is refused with one finding that names file and line."""

import re
from dataclasses import replace

import pytest

from gateway.model.faults import Fault
from gateway.model.policy import PackagePolicy, Policy
from tests.support.declarations import Declaration
from tests.support.habits import HABITS, Habit
from tests.support.rendering import NAMESPACE, render
from tests.support.validating import findings, judged

SOUND = render(Declaration())
ROOT = f'<DecMessage xmlns="{NAMESPACE}"'.encode()
SMALL = Policy(package=PackagePolicy(document_size=4096, document_depth=8))


def in_sound(markup: bytes) -> bytes:
    return SOUND.replace(b"<DecHead>", b"<DecHead>" + markup, 1)


def before_sound(markup: bytes) -> bytes:
    return SOUND.replace(b"<DecMessage", markup + b"<DecMessage", 1)


def in_root_tag(attribute: bytes) -> bytes:
    return SOUND.replace(b"<DecMessage", b"<DecMessage " + attribute, 1)


XSI = b'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
BILLION = b'<!DOCTYPE d [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>'


@pytest.mark.parametrize(
    ("fault", "document"),
    [
        (Fault.XML_MALFORMED, b""),
        (Fault.XML_MALFORMED, b"%PDF-1.4"),
        (Fault.XML_ENCODING, b"\x89PNG\r\n"),
        (Fault.XML_MALFORMED, SOUND[:-5]),
        (Fault.XML_MALFORMED, SOUND + b"<more/>"),
        (Fault.XML_MALFORMED, in_sound(b"<BillNo>&undefined;</BillNo>")),
        (Fault.XML_ENCODING, SOUND.decode().encode("utf-16")),
        (Fault.XML_ENCODING, SOUND.replace(b"UTF-8", b"ISO-8859-1")),
        (Fault.XML_ENCODING, SOUND.decode().encode("gbk")),
        (Fault.XML_ENCODING, SOUND.replace(b"UTF-8", b"GBK", 1).replace("天津".encode(), b"\xff\xff")),
        (Fault.XML_DTD, before_sound(b"<!DOCTYPE DecMessage>")),
        (Fault.XML_DTD, before_sound(b'<!DOCTYPE d SYSTEM "file:///etc/passwd">')),
        (Fault.XML_DTD, before_sound(BILLION)),
        (Fault.XML_INSTRUCTION, in_sound(b"<?php 1?>")),
        (Fault.XML_XINCLUDE, in_sound(b'<x:include xmlns:x="http://www.w3.org/2001/XInclude" href="a"/>')),
        (Fault.XML_SCHEMA_LOCATION, in_root_tag(XSI + b'xsi:schemaLocation="urn:a http://a/b.xsd"')),
        (Fault.XML_SCHEMA_LOCATION, in_root_tag(XSI + b'xsi:noNamespaceSchemaLocation="/b.xsd"')),
        (Fault.XML_DEPTH, b"<a>" * 65 + b"</a>" * 65),
        (Fault.FAMILY_UNKNOWN, b"<DecMessage/>"),
        (Fault.FAMILY_UNKNOWN, b'<DecMessage xmlns="urn:other"/>'),
        (Fault.FAMILY_UNKNOWN, b"<html/>"),
    ],
)
def test_an_unknown_message_is_refused_with_one_fault(fault: Fault, document: bytes) -> None:
    (finding,) = findings(document)
    assert finding.code == fault.code
    assert finding.place.file == "declaration.xml"


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (in_sound(b"<BillNo>&#xD83D;&#xDE00;</BillNo>"), "invalid xmlChar"),  # one character as two
        (in_sound(b"<BillNo>&nbsp;</BillNo>"), "not defined"),
        (SOUND.replace(b"</DecHead>", b"</DecHeader>", 1), "tag mismatch"),
    ],
)
def test_the_parsers_message_stands_only_in_the_english_text(document: bytes, text: str) -> None:
    (finding,) = findings(document)
    assert text in finding.en
    assert re.findall("[A-Za-z]+", finding.zh) == ["XML", "XML"]


def test_the_name_of_an_unknown_root_element_is_reported() -> None:
    (finding,) = findings(b'<Order xmlns="urn:shop"/>')
    assert "{urn:shop}Order" in finding.zh
    assert "{urn:shop}Order" in finding.en
    assert finding.place.line == 1


def test_a_document_beyond_the_policy_in_size_is_refused_unread() -> None:
    (finding,) = findings(b"<" * 4097, policy=SMALL)
    assert finding.code == Fault.DOCUMENT_TOO_LARGE.code


def test_a_document_beyond_the_policy_in_depth_is_refused() -> None:
    (finding,) = findings(b"<a>" * 9 + b"</a>" * 9, policy=SMALL)
    assert finding.code == Fault.XML_DEPTH.code


def test_a_million_nested_elements_are_refused() -> None:
    (finding,) = findings(b"<a>" * 1_000_000)
    assert finding.code in (Fault.XML_DEPTH.code, Fault.XML_MALFORMED.code)


@pytest.mark.parametrize("encoding", ["UTF-8", "utf-8", "GBK", "gb2312", "GB18030"])
def test_chinese_is_read_in_every_accepted_encoding(encoding: str) -> None:
    document = SOUND.decode().replace("UTF-8", encoding, 1).encode(encoding)
    assert judged(document).type.facts(judged(document).root)["trader_name"].startswith("天津")


def test_a_byte_order_mark_is_allowed() -> None:
    assert judged(b"\xef\xbb\xbf" + SOUND).warnings == ()


@pytest.mark.parametrize(
    "attribute",
    [
        b"",
        b'version="3.1"',
        b'Version="4.8"',
        b'version="5.0"',
        b'Version="3.1"',
        b'version="" Version="4.8"',
    ],
)
def test_every_spelling_of_the_version_is_recognised(attribute: bytes) -> None:
    document = SOUND.replace(ROOT, ROOT + b" " + attribute, 1)
    assert judged(document).warnings == ()


@pytest.mark.parametrize("habit", HABITS, ids=lambda habit: habit.name)
def test_codes_of_digits_and_of_letters_are_both_recognised(habit: Habit) -> None:
    for digits in (True, False):
        written = render(
            Declaration(), replace(habit, digits_for_countries=digits, digits_for_currencies=digits)
        )
        assert {finding.rule for finding in findings(written)} <= {"DEC-405"}


def test_comments_between_elements_are_no_content() -> None:
    document = b"<!-- a -->" + SOUND[SOUND.index(b"<DecM") :].replace(b"<BillNo>", b"<!-- b --><BillNo>")
    document = document.replace(b"<NoteS/>", b"<NoteS><!-- none --> <!-- at all --></NoteS>")
    plain, commented = judged(SOUND), judged(document)
    assert commented.type.facts(commented.root) == plain.type.facts(plain.root)


def test_an_answer_of_customs_is_not_taken_from_a_party() -> None:
    (finding,) = findings(b"<DEC_RESULT><CHANNEL>R</CHANNEL></DEC_RESULT>")
    assert finding.code == Fault.FAMILY_UNKNOWN.code


def test_a_signature_may_stand_under_the_root_and_nowhere_else() -> None:
    signature = b'<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X/></ds:Signature>'
    assert judged(SOUND.replace(b"</DecMessage>", signature + b"</DecMessage>")).warnings == ()
    (finding,) = findings(in_sound(signature))
    assert (finding.code, finding.place.xpath) == ("schema-element", "/DecMessage/DecHead/Signature")


@pytest.mark.parametrize("namespace", ["", ' xmlns="urn:other"'])
def test_a_known_root_in_a_wrong_namespace_is_refused_with_that_reason(namespace: str) -> None:
    (finding,) = findings(f"<DecMessage{namespace}/>".encode())
    assert finding.code == Fault.FAMILY_UNKNOWN.code
    assert NAMESPACE in finding.zh
    assert NAMESPACE in finding.en
