"""One reading of a document for schema, rules, facts and authority (docs/for-brokers.md, "The XML document").

Each of them has its own idea of what is blank and what is a number: XPath knows the four white spaces of XML,
Python those of Unicode; an XSD decimal may begin with + or end with a point, and XPath does not read that as
a number. A value that is blank to one and filled to the next could be used for an attack. So all of them get
the same tree, in which blank is empty, and read text and numbers with the functions here.
"""

import re
from copy import deepcopy
from decimal import Decimal
from typing import Final, NamedTuple

from lxml import etree

from gateway.formats import xml
from gateway.formats.locations import MOST_FINDINGS, xml_path
from gateway.model.faults import Fault, Finding, Severity, finding

XML_SPACE: Final = " \t\r\n"  # XML 1.0, production 3
# White space in Unicode (PropList.txt) but not in XML; written as a character class of a regular expression.
FURTHER_SPACE: Final = "\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_FURTHER_SPACE: Final = re.compile(f"[{FURTHER_SPACE}]")
_BLANK_LEAF: Final = etree.XPath(
    "boolean(/descendant::text()[not(normalize-space())]"
    "[not(following-sibling::*[1])][not(preceding-sibling::*[1])])"
)
_HAS_INSTANCE: Final = etree.XPath("boolean(/descendant::*/@xsi:*)", namespaces={"xsi": xml.XSI})
_OF_INSTANCE: Final = etree.XPath("//*[@xsi:*]", namespaces={"xsi": xml.XSI})
NIL: Final = f"{{{xml.XSI}}}nil"
_LOCATIONS: Final = (f"{{{xml.XSI}}}schemaLocation", f"{{{xml.XSI}}}noNamespaceSchemaLocation")

# XML Schema part 2, 3.2.3.1: no exponent, digits of ASCII alone.
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")


class Reading(NamedTuple):
    """A tree to judge by. `root` is the given tree itself if nothing had to be changed."""

    root: etree._Element
    warnings: tuple[Finding, ...]


def reading(root: etree._Element) -> Reading:
    """The tree to judge by; `root` stays unchanged.

    Text of white space only, as defined by Unicode, is removed, and so is an `xsi:nil` that agrees with the
    content. An `xsi:nil` on an element with content stays, for the schema to refuse. The schema locations of
    XSI are removed, each with a warning: a validator would load them from files or the network.
    """
    if not (_FURTHER_SPACE.search(all_text(root)) or _BLANK_LEAF(root) or _HAS_INSTANCE(root)):
        return Reading(root, ())
    own = deepcopy(root)  # the signed tree must not change
    for element in own.iter(etree.Element):
        if element.text and not stripped(element.text) and _says_nothing(element.text, leaf=not len(element)):
            element.text = None
        if element.tail and not stripped(element.tail) and _says_nothing(element.tail, leaf=False):
            element.tail = None
    findings: list[Finding] = []
    for element in _instructed(own):
        if stripped(element.get(NIL)) in _nothing_by(element):
            del element.attrib[NIL]
        for name in _LOCATIONS:
            if element.attrib.pop(name, None) is not None:
                findings.append(_not_followed(element))
    return Reading(own, tuple(findings[:MOST_FINDINGS]))


def stripped(text: str | None) -> str:
    """The text without the white space around it; empty for None."""
    return (text or "").strip()


def number(text: str | None) -> Decimal | None:
    """The number in a text, in any form of an XSD decimal; None for any other text."""
    digits = (text or "").strip(XML_SPACE)
    return Decimal(digits) if _NUMBER.fullmatch(digits) else None


def plain(value: Decimal) -> str:
    """The normal form of a number: no exponent, no plus sign, no trailing zeros after the point."""
    digits = f"{value:f}"
    shortest = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return "0" if shortest in ("-0", "") else shortest


def all_text(root: etree._Element) -> str:
    """All text of a document in one string, for a quick search that finds nothing in most documents."""
    return str(etree.tostring(root, method="text", encoding="unicode", with_tail=False))


def _says_nothing(blank: str, *, leaf: bool) -> bool:
    # Between elements the white space of XML is layout, and stays.
    return leaf or bool(_FURTHER_SPACE.search(blank))


def _instructed(root: etree._Element) -> list[etree._Element]:
    elements = _OF_INSTANCE(root)
    assert isinstance(elements, list)  # noqa: S101  a node-set expression
    return elements


def _nothing_by(element: etree._Element) -> tuple[str, ...]:
    """The values of `xsi:nil` that agree with the content of this element."""
    return ("false", "0") if len(element) or element.text else ("true", "1", "false", "0")


def _not_followed(element: etree._Element) -> Finding:
    return finding(
        Fault.XML_SCHEMA_LOCATION,
        severity=Severity.WARNING,
        line=element.sourceline,
        xpath=xml_path(element),
    )
