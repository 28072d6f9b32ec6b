"""The only XML parser of the gateway: no DTD, no entities, no network, bounded size and depth.

`tests/test_architecture.py` fails if any other module makes a parser.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from lxml import etree

from gateway.formats.encoding import as_utf8
from gateway.formats.locations import xml_path
from gateway.model.faults import Fault, Finding, MessageRejected, finding, too_large

XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"
XINCLUDE: Final = "http://www.w3.org/2001/XInclude"

_SIGNATURE: Final = "{http://www.w3.org/2000/09/xmldsig#}Signature"
_PREFIXES: Final = 32
_ATTRIBUTES: Final = 64
_ELEMENTS: Final = 100_000
_PLAIN_NAMESPACE: Final = re.compile(
    r"(?:(?:https?://[A-Za-z0-9./_-]+|urn:[A-Za-z0-9:._-]+)(?:#[A-Za-z0-9._-]*)?)?"
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one document: `size` in bytes, `depth` in nested elements."""

    size: int = 32 * 1024 * 1024
    depth: int = 64


DEFAULT_LIMITS: Final = Limits()


def parse(data: bytes, limits: Limits = DEFAULT_LIMITS) -> etree._Element:
    """The root of the document, with comments removed. Raises `MessageRejected` with one finding.

    The bytes are decoded strictly as declared before libxml2 reads them, so that they have one meaning.
    Comments are removed because canonicalisation leaves them unsigned while `.text` would end at one. Other
    readers do end there, so a comment beside text is refused.
    """
    if len(data) > limits.size:
        raise MessageRejected(too_large(Fault.DOCUMENT_TOO_LARGE, len(data), limits.size))
    text = as_utf8(data)
    try:
        root = etree.fromstring(text, _parser())
    except etree.XMLSyntaxError as error:
        raise MessageRejected(_syntax_finding(error, text, limits)) from None
    _refuse_many_elements(root, text)
    _refuse_what_reaches_outside(root, text)
    namespaces = _namespaces(root, text)
    _refuse_many_prefixes(namespaces)
    _refuse_many_attributes(root, text)
    _refuse_relative_namespaces(root, namespaces)
    _refuse_depth(root, limits)
    _refuse_comments_in_text(text)
    return root


def has_comments(data: bytes) -> bool:
    """Whether a document that `parse` has accepted has a comment anywhere, also before or after the root
    element."""
    text = as_utf8(data)
    return _COMMENT in text and bool(_ANY_COMMENT(etree.fromstring(text, _parser(remove_comments=False))))


def trusted(
    data: bytes, *, resolver: etree.Resolver | None = None, base_url: str | None = None
) -> etree._Element:
    """Parses our own documents (schemas, rule sets, receipts) with the same hardened parser.

    A `resolver` serves the includes of a schema; `base_url` is the base of their relative names.
    """
    parser = _parser()
    if resolver is not None:
        parser.resolvers.add(resolver)
    return etree.fromstring(data, parser, base_url=base_url)


def _parser(*, remove_comments: bool = True) -> etree.XMLParser:
    # One for each document, since threads must not share one; making it costs 10 µs.
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        dtd_validation=False,
        attribute_defaults=False,
        remove_comments=remove_comments,
        huge_tree=False,
    )


def _syntax_finding(error: etree.XMLSyntaxError, text: bytes, limits: Limits) -> Finding:
    message = (error.msg or "").split(", line ")[0]
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        return _dtd_finding(text)
    if "depth" in message.lower():
        return _too_many(Fault.XML_DEPTH, limits.depth, "层", error.lineno)
    # The parser's message is English, so the Chinese text gives only the line.
    place = f"第 {error.lineno} 行不合 XML 语法" if error.lineno else "不合 XML 语法"
    return finding(Fault.XML_MALFORMED, detail=message or "no element", detail_zh=place, line=error.lineno)


def _too_many(fault: Fault, most: int, counted_zh: str, line: int | None = None) -> Finding:
    return finding(fault, detail=f"> {most}", detail_zh=f"上限 {most} {counted_zh}", line=line)


def _dtd_finding(text: bytes) -> Finding:
    # The line of the DOCTYPE: an error inside an entity has its own line numbers, which nobody can look up.
    return finding(Fault.XML_DTD, line=text.count(b"\n", 0, max(0, text.find(b"<!DOCTYPE"))) + 1)


_INSTRUCTIONS: Final = etree.XPath("//processing-instruction()/..")


def _refuse_what_reaches_outside(root: etree._Element, text: bytes) -> None:
    # The byte searches avoid walking the trees of acceptable documents. Names have no other spelling in XML
    # (1.0, section 2.3), and a namespace that is written with escapes is known to no schema.
    docinfo = root.getroottree().docinfo
    if docinfo.internalDTD is not None or docinfo.doctype:
        raise MessageRejected(_dtd_finding(text))
    if text.find(b"<?", 5) != -1:
        for element in _elements(_INSTRUCTIONS(root)):
            raise MessageRejected(finding(Fault.XML_INSTRUCTION, line=element.sourceline))
    if XINCLUDE.encode() in text:
        for element in root.iter(f"{{{XINCLUDE}}}*"):
            raise MessageRejected(finding(Fault.XML_XINCLUDE, line=element.sourceline))


def _elements(result: object) -> list[etree._Element]:
    assert isinstance(result, list)  # noqa: S101  a node-set expression
    return result


_TOO_MANY_ELEMENTS: Final = etree.XPath(f"count(//*) > {_ELEMENTS}")
_TOO_MANY_ATTRIBUTES: Final = etree.XPath(f"count(//@*) > {_ELEMENTS}")


def _refuse_many_elements(root: etree._Element, text: bytes) -> None:
    # Rules and facts evaluate hundreds of expressions on a document, and libxml2's time for a union of two
    # node-sets is the product of their sizes: 12 MB with 300,000 currencies and countries took minutes.
    for mark, too_many in ((b"<", _TOO_MANY_ELEMENTS), (b"=", _TOO_MANY_ATTRIBUTES)):
        if text.count(mark) > _ELEMENTS and too_many(root):
            raise MessageRejected(_too_many(Fault.XML_ELEMENTS, _ELEMENTS, "个"))


def _namespaces(root: etree._Element, text: bytes) -> list[tuple[str, str]]:
    """Every namespace declaration as (prefix, name), from the parsed tree. A regular expression over the
    bytes would also match text, and an attacker could make it take quadratic time."""
    own = [(prefix or "", name) for prefix, name in root.nsmap.items()]
    declared = text.count(b"xmlns")
    if declared <= len(own):
        return own
    # Usually the others are all in the Signature, and the whole tree need not be walked.
    signature = next(root.iterchildren(_SIGNATURE), None)
    own += [] if signature is None else _declared(signature)
    return own if declared <= len(own) else _declared(root)


def _declared(element: etree._Element) -> list[tuple[str, str]]:
    """The namespace declarations on an element and below it."""
    walked = etree.iterwalk(element, events=("start-ns",))
    return [(prefix or "", name or "") for _, declared in walked if declared for prefix, name in [declared]]


def _refuse_many_prefixes(namespaces: list[tuple[str, str]]) -> None:
    # Inclusive canonicalisation in libxml2 takes time quadratic in the prefixes in scope, for each element:
    # 7 s with 8,000 of them and 20 elements. A few that every element declares again are common and harmless.
    different = len({prefix for prefix, _ in namespaces if prefix})
    if different > _PREFIXES:
        raise MessageRejected(_too_many(Fault.XML_NAMESPACES, _PREFIXES, "个"))


_CROWDED: Final = etree.XPath(f"//*[count(@*) > {_ATTRIBUTES}]")


def _refuse_many_attributes(root: etree._Element, text: bytes) -> None:
    # Validators compare each attribute of an element with every other: libxml2 takes 2 s for 20,000, and
    # xmlschema a minute for 2,000.
    if text.count(b"=") > _ATTRIBUTES:
        for element in _elements(_CROWDED(root)):
            raise MessageRejected(_too_many(Fault.XML_ATTRIBUTES, _ATTRIBUTES, "个", element.sourceline))


def _refuse_relative_namespaces(root: etree._Element, namespaces: list[tuple[str, str]]) -> None:
    # A document with a namespace that is no absolute URI has no canonical form (C14N 1.0, section 1.3) and
    # could be neither verified nor compared. Namespaces that are not plainly absolute are tried.
    if all(_PLAIN_NAMESPACE.fullmatch(name) for name in {name for _, name in namespaces}):
        return
    try:
        etree.tostring(root, method="c14n")
    except etree.C14NError:
        raise MessageRejected(
            finding(
                Fault.XML_MALFORMED,
                detail="a namespace is no absolute URI",
                detail_zh="命名空间不是绝对 URI",
            )
        ) from None


@cache
def _deeper_than(depth: int) -> etree.XPath:
    return etree.XPath("/*" * (depth + 1))


def _refuse_depth(root: etree._Element, limits: Limits) -> None:
    for element in _elements(_deeper_than(limits.depth)(root)):
        raise MessageRejected(_too_many(Fault.XML_DEPTH, limits.depth, "层", element.sourceline))


_COMMENT: Final = b"<!--"
_ANY_COMMENT: Final = etree.XPath("boolean(//comment())")
_COMMENTED: Final = etree.XPath("//*[comment()]")


def _refuse_comments_in_text(text: bytes) -> None:
    # Some readers take only the text before a comment, others all of it (decision 2 in docs/decisions).
    if _COMMENT not in text:
        return
    root = etree.fromstring(text, _parser(remove_comments=False))
    for element in _elements(_COMMENTED(root)):
        pieces = (element.text, *(child.tail for child in element))
        if any(piece and not piece.isspace() for piece in pieces):
            raise MessageRejected(
                finding(Fault.XML_COMMENT, line=element.sourceline, xpath=xml_path(element))
            )
