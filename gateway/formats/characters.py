"""Invisible and confusable characters in texts that are compared (docs/for-brokers.md, "The XML document").

Codes, numbers and references are compared character by character: with a zero-width space in it a code is
another one to a machine and the same one to a reader. Free text, such as names and descriptions of goods, may
hold any character; a profile says which elements hold free text.
"""

import re
from collections.abc import Iterator, Set
from itertools import chain, islice
from typing import Final

from lxml import etree

from gateway.formats.locations import MOST_FINDINGS, xml_path
from gateway.formats.reading import FURTHER_SPACE, XML_SPACE, all_text, stripped
from gateway.model.faults import Fault, Finding, finding
from gateway.model.shown import shown

# Unicode 15: categories Cc and Cf (with the bidirectional controls), and the other characters that are drawn
# as nothing (Default_Ignorable_Code_Point in DerivedCoreProperties.txt).
_UNSEEN: Final = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160"
    "\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
)
_UNSEEN_BEYOND: Final = (
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Any character beyond the first plane is suspect: each range there would slow the search down.
_SUSPECT: Final = re.compile(f"[{_UNSEEN}{FURTHER_SPACE}\U00010000-\U0010ffff]")
_BROKEN: Final = re.compile(f"[{_UNSEEN}{_UNSEEN_BEYOND}{FURTHER_SPACE}\t\r\n]")
_ATTRIBUTES: Final = etree.XPath("/descendant::*/@*")  # their values, each of which knows its element
_SIGNATURE: Final = "{http://www.w3.org/2000/09/xmldsig#}Signature"


def strange_characters(
    root: etree._Element, free: Set[str], private: Set[str], faulty: Set[etree._Element] = frozenset()
) -> list[Finding]:
    """A fault for each element text and each attribute with such a character, or with white space other than
    U+0020 (XML's own around the text does not count); at most `MOST_FINDINGS`. `root` is a reading. `free`
    elements and all inside them are skipped, and so are the texts of `faulty` elements."""
    in_texts: list[Iterator[Finding]] = []
    if _is_suspect(root):
        in_texts.append(_in_texts(root, free, private, faulty))
    return list(islice(chain(*in_texts, _in_attributes(root, free, private)), MOST_FINDINGS))


def first_strange(text: str) -> str | None:
    """The first such character of a text, written like `U+200B`; None where there is none."""
    match = _BROKEN.search(text.strip(XML_SPACE))
    return f"U+{ord(match[0]):04X}" if match else None


def _is_suspect(root: etree._Element) -> bool:
    """Whether any text must be looked at: quick, and False for most documents."""
    text = all_text(root)
    if _SUSPECT.search(text):
        return True
    # The base64 of a signature is usually written in several lines.
    signatures = "".join(map(all_text, root.iterchildren(_SIGNATURE)))
    return any(text.count(each) > signatures.count(each) for each in "\n\t\r")


def _in_texts(
    root: etree._Element, free: Set[str], private: Set[str], faulty: Set[etree._Element]
) -> Iterator[Finding]:
    for element in root.iter(etree.Element):
        text = element.text
        if not text or not _BROKEN.search(text):  # most elements of any document
            continue
        if len(element) or element in faulty or not stripped(text):
            continue
        character = first_strange(text)
        if character is None or _is_free(element, free):
            continue
        name = etree.QName(element).localname
        yield finding(
            Fault.TEXT_CHARACTERS,
            detail=f"{name}: {character}",
            line=element.sourceline,
            xpath=xml_path(element),
            value=shown(element, private),
        )


def _in_attributes(root: etree._Element, free: Set[str], private: Set[str]) -> Iterator[Finding]:
    strange = (value.getparent() for value in _ATTRIBUTES(root) if first_strange(value))
    for element in dict.fromkeys(strange):
        for name, value in element.attrib.items():
            if (character := first_strange(value)) and not _is_free(element, free):
                called = etree.QName(name).localname
                yield finding(
                    Fault.TEXT_CHARACTERS,
                    detail=f"@{called}: {character}",
                    line=element.sourceline,
                    xpath=f"{xml_path(element)}/@{called}",
                    value=shown(element, private, value),
                )


def _is_free(element: etree._Element, free: Set[str]) -> bool:
    above = (element, *element.iterancestors())
    return any(each.tag == _SIGNATURE or etree.QName(each).localname in free for each in above)
