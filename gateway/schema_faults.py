"""Every fault of a document against its schema, in words for the people who build the sending software."""

import re
from itertools import islice
from typing import Any, Final

from lxml import etree
from xmlschema import XMLSchemaChildrenValidationError, XMLSchemaValidationError
from xmlschema.validators import XsdAttributeGroup, XsdElement, XsdGroup

from gateway import xml
from gateway.faults import Fault, Finding, finding
from gateway.places import MOST_FINDINGS, xml_path
from gateway.schema import Schema
from gateway.type_words import Words, called_zh, describe

# xmlschema is pure Python: 15 ms for 55 KB, 150 ms for half a megabyte, worse than linear where one parent
# has thousands of children. Beyond these a document would hold up all others, and what is wrong with it is
# usually wrong a thousand times; fifty lines with everything that a line can have are 7,500 elements.
LARGEST_EXPLAINED: Final = 2 * 1024 * 1024
MOST_ELEMENTS_EXPLAINED: Final = 8000
_ELEMENTS: Final = etree.XPath("count(//*)")

# xsi:type gives an element another type than the schema does, or none; the words are about the schema's.
_RETYPED: Final = etree.XPath("boolean(//@xsi:type)", namespaces={"xsi": xml.XSI})

_ATTRIBUTE: Final = re.compile(r"(?:missing required )?(?:attribute |)'?((?:\{[^}]*\})?[^\s'=:]+)'?")
# A name that stands alone in a Chinese sentence is set off from it.
_BEFORE_A_STOP: Final = re.compile(" +(?=[ ，。])")
_FAULT_OF_LOG: Final = (
    ("SCHEMAV_CVC_COMPLEX_TYPE_3", Fault.SCHEMA_ATTRIBUTE),
    ("SCHEMAV_CVC_COMPLEX_TYPE_4", Fault.SCHEMA_ATTRIBUTE),
    ("SCHEMAV_CVC_TYPE_3_1_1", Fault.SCHEMA_ATTRIBUTE),
    ("SCHEMAV_CVC_TYPE_3_1_2", Fault.SCHEMA_ELEMENT),
    ("SCHEMAV_ELEMENT_CONTENT", Fault.SCHEMA_ELEMENT),
    ("SCHEMAV_CVC_ELT", Fault.SCHEMA_ELEMENT),
)


def schema_faults(schema: Schema, root: etree._Element, size: int) -> list[Finding]:
    """The faults of a document of `size` bytes that `schema.validate` has just refused, at most
    `MOST_FINDINGS`, and at least one."""
    if size > LARGEST_EXPLAINED or _ELEMENTS(root) > MOST_ELEMENTS_EXPLAINED or _RETYPED(root):
        return _from_log(schema, root)
    lxml_root: Any = root  # its stubs name the standard library's elements only
    errors = schema.explaining.iter_errors(lxml_root)
    # Where libxml2 refuses what xmlschema takes, the refusal still names what libxml2 said.
    return [_explained(schema, error) for error in islice(errors, MOST_FINDINGS)] or _from_log(schema, root)


def _explained(schema: Schema, error: XMLSchemaValidationError) -> Finding:
    element: Any = error.elem
    if isinstance(error, XMLSchemaChildrenValidationError):
        return _misplaced(schema, error, element)
    reason = error.reason or ""
    if isinstance(error.validator, XsdAttributeGroup) or reason.startswith("attribute "):
        return _attribute(schema, element, reason)
    called = _called(schema, element)
    if isinstance(error.validator, XsdGroup):
        said = Words(f"{called}的元素之间不能有文字，请删去", "there is text between the elements")
        return _found(Fault.SCHEMA_VALUE, element, said)
    if isinstance(error.validator, XsdElement) and len(element):
        said = Words(f"{called}只能有文字，不能有下级元素", f"{_name(element)} holds text, no elements")
        return _found(Fault.SCHEMA_ELEMENT, element[0], said)
    allowed = describe(_declared(schema, element).type)
    gap = " " if allowed.zh[:1].isascii() else ""
    return _found(
        Fault.SCHEMA_VALUE,
        element,
        Words(f"{called}应为{gap}{allowed.zh}", f"{_name(element)} must be {allowed.en}"),
        value=element.text or "",
    )


def _misplaced(schema: Schema, error: XMLSchemaChildrenValidationError, parent: Any) -> Finding:
    if error.invalid_tag is None:
        expected = [each for each in error.expected or () if each.name]
        names = [_name_of(each) for each in expected]
        called = [_with_name(each) for each in expected]
        return _found(
            Fault.SCHEMA_MISSING,
            parent,
            Words(
                f"{_called(schema, parent)}中的{'或'.join(called)}，请补填",
                f"{_name(parent)} lacks {' or '.join(names)}",
            ),
        )
    child = parent[error.index]
    known = [each.name for each in _elements(error.validator)]
    if child.tag in known:
        said = Words(
            f"{_called(schema, child)}在{_called(schema, parent)}中出现的次数超出允许，请只保留一个",
            f"{_name(child)} stands too often in {_name(parent)}",
        )
    elif _name(child) in (etree.QName(name).localname for name in known):
        said = Words(f"{_name(child)} 的命名空间不正确，请核对", f"{_name(child)} has the wrong namespace")
    else:
        said = Words(
            f"{_called(schema, parent)}中不应有 {_name(child)}，请删去或核对元素名",
            f"{_name(parent)} has no {_name(child)}",
        )
    return _found(Fault.SCHEMA_ELEMENT, child, said)


def _attribute(schema: Schema, element: Any, reason: str) -> Finding:
    match = _ATTRIBUTE.match(reason)
    name = match.group(1) if match else ""
    shown = name.rpartition("}")[2]
    said = Words(f"{_called(schema, element)}的属性 {shown}", f"attribute {shown} of {_name(element)}")
    return _found(Fault.SCHEMA_ATTRIBUTE, element, said, value=element.get(name))


def _declared(schema: Schema, element: Any) -> Any:
    """The schema's declaration of an element that stands where the schema allows it."""
    parent = element.getparent()
    if parent is None:
        return schema.explaining.maps.elements[element.tag]
    group = _declared(schema, parent).type.content
    return next(each for each in _elements(group) if each.name == element.tag)


def _called(schema: Schema, element: Any) -> str:
    return _with_name(_declared(schema, element))


def _with_name(declared: Any) -> str:
    """An element as the trade calls it, and its name; that alone where the schema does not say more."""
    name = _name_of(declared)
    called = called_zh(declared)
    return f"{called}（{name}）" if called else f" {name} "


def _name_of(declared: Any) -> str:
    return etree.QName(declared.name).localname


def _elements(group: Any) -> list[Any]:
    return [each for each in group.iter_elements() if each.name]


def _name(element: Any) -> str:
    return etree.QName(element).localname


def _found(fault: Fault, element: Any, said: Words, value: str | None = None) -> Finding:
    return finding(
        fault,
        detail=said.en,
        detail_zh=_BEFORE_A_STOP.sub("", said.zh).strip(),
        line=element.sourceline,
        xpath=xml_path(element),
        value=value,
    )


def _from_log(schema: Schema, root: etree._Element) -> list[Finding]:
    """What libxml2 said. Its sentences are English and repeat the sender's values, so only the kind of the
    fault and its place are taken; a missing and an unexpected element are one kind there."""
    found = []
    for entry in islice(schema.error_log, MOST_FINDINGS):
        faults = (fault for prefix, fault in _FAULT_OF_LOG if entry.type_name.startswith(prefix))
        element = _at(root, entry.path)
        name = _name(element)
        said = Words(f"{name} 不符合报文格式，请核对", name)
        found.append(_found(next(faults, Fault.SCHEMA_VALUE), element, said))
    return found


def _at(root: etree._Element, path: str | None) -> etree._Element:
    # libxml2's own path: steps by position only, so nothing of the sender's is in it.
    nodes = root.getroottree().xpath(path or "/*")
    return nodes[0] if isinstance(nodes, list) and nodes and isinstance(nodes[0], etree._Element) else root
