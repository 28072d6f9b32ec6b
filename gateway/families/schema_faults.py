"""Explains every fault of a document against its schema, for the people who build the sending software."""

import re
from collections.abc import Iterable, Iterator, Set
from itertools import islice
from typing import Any, Final, NamedTuple

from lxml import etree
from xmlschema import XMLSchemaChildrenValidationError, XMLSchemaValidationError
from xmlschema.validators import XsdAttributeGroup, XsdElement, XsdGroup

from gateway.families.schema import Schema
from gateway.families.type_descriptions import TypeWords, called_zh, required
from gateway.formats import xml
from gateway.formats.locations import MOST_FINDINGS, xml_path
from gateway.formats.reading import NIL
from gateway.model.faults import Fault, Finding, finding
from gateway.model.shown import shown

# xmlschema is pure Python: 15 ms for 55 KB, 150 ms for half a megabyte, worse than linear where one parent
# has thousands of children. A document beyond these limits would delay all others, and its faults usually
# repeat a thousand times; fifty lines with every optional field are 7,500 elements.
LARGEST_EXPLAINED: Final = 2 * 1024 * 1024
MOST_ELEMENTS_EXPLAINED: Final = 8000
_ELEMENTS: Final = etree.XPath("count(//*)")

# With xsi:type an element has another type than the schema declares, and the words would be about the
# declared one.
_RETYPED: Final = etree.XPath("boolean(//@xsi:type)", namespaces={"xsi": xml.XSI})

_NTH: Final = etree.XPath("*[position() = $at]")
_NTH_OF_NAME: Final = etree.XPath("*[name() = $name][position() = $at]")

_ATTRIBUTE: Final = re.compile(r"(?:missing required )?(?:attribute |)'?((?:\{[^}]*\})?[^\s'=:]+)'?")
# Blanks set a bare name off from a Chinese sentence; there is none before another blank or a stop.
_BEFORE_A_STOP: Final = re.compile(" +(?=[ ，。])")
_FAULT_OF_LOG: Final = (
    ("SCHEMAV_CVC_COMPLEX_TYPE_3", Fault.SCHEMA_ATTRIBUTE),
    ("SCHEMAV_CVC_COMPLEX_TYPE_4", Fault.SCHEMA_ATTRIBUTE),
    ("SCHEMAV_CVC_TYPE_3_1_1", Fault.SCHEMA_ATTRIBUTE),
    ("SCHEMAV_CVC_TYPE_3_1_2", Fault.SCHEMA_ELEMENT),
    ("SCHEMAV_ELEMENT_CONTENT", Fault.SCHEMA_ELEMENT),
    ("SCHEMAV_CVC_ELT_3", Fault.SCHEMA_ATTRIBUTE),
    ("SCHEMAV_CVC_ELT", Fault.SCHEMA_ELEMENT),
)


class SchemaFault(NamedTuple):
    """`element` has to be changed, or lacks the elements in `names` (local names). Rules must not rely on
    elements of these names. Empty `names`: the fault is in an attribute or in text between elements."""

    finding: Finding
    element: etree._Element
    names: frozenset[str]


class SchemaFaults(NamedTuple):
    """At least one fault, at most `MOST_FINDINGS`. `whole` is False where not all faults were looked for."""

    faults: list[SchemaFault]
    whole: bool


def schema_faults(schema: Schema, root: etree._Element, size: int, private: Set[str]) -> SchemaFaults:
    """The faults of a document of `size` bytes. `schema.validate` must have refused it just before: the log
    of that call is read. The values of `private` elements are masked."""
    if size > LARGEST_EXPLAINED or _ELEMENTS(root) > MOST_ELEMENTS_EXPLAINED or _RETYPED(root):
        return SchemaFaults(list(_of_log(schema, root)), whole=False)
    lxml_root: Any = root  # its stubs name the standard library's elements only
    words = _InWords(schema, private)
    faults = [
        words.explained(error) for error in islice(schema.explaining.iter_errors(lxml_root), MOST_FINDINGS)
    ]
    # libxml2 refuses some values that xmlschema takes, as numbers with blanks inside.
    reported = {fault.element for fault in faults}
    faults += (fault for fault in words.values_of_log(root) if fault.element not in reported)
    return SchemaFaults(faults[:MOST_FINDINGS] or list(_of_log(schema, root)), whole=True)


class _InWords:
    def __init__(self, schema: Schema, private: Set[str]) -> None:
        self._schema = schema
        self._private = private

    def explained(self, error: XMLSchemaValidationError) -> SchemaFault:
        element: Any = error.elem
        if isinstance(error, XMLSchemaChildrenValidationError):
            return _misplaced(self._schema, error, element)
        reason = error.reason or ""
        if isinstance(error.validator, XsdAttributeGroup) or reason.startswith("attribute "):
            match = _ATTRIBUTE.match(reason)
            return self._attribute(element, match.group(1) if match else "")
        if NIL in element.attrib:  # a reading keeps only an xsi:nil that contradicts the content
            return self._attribute(element, NIL)
        called = _called(self._schema, element)
        if isinstance(error.validator, XsdGroup):
            words = TypeWords(f"{called}的元素之间不能有文字，请删去", "there is text between the elements")
            return _schema_fault(Fault.SCHEMA_VALUE, element, words, names=())
        if isinstance(error.validator, XsdElement) and len(element):
            words = TypeWords(
                f"{called}只能有文字，不能有下级元素", f"{_name(element)} holds text, no elements"
            )
            return _schema_fault(Fault.SCHEMA_ELEMENT, element[0], words)
        return self._value(element)

    def values_of_log(self, root: etree._Element) -> Iterator[SchemaFault]:
        """The faults of the values that libxml2 refused, each with what the value must be."""
        for fault, element in _logged(self._schema, root):
            if fault is Fault.SCHEMA_VALUE and not len(element):
                yield self._value(element)

    def _value(self, element: Any) -> SchemaFault:
        must = required(_declared(self._schema, element).type)
        called = _called(self._schema, element)
        return _schema_fault(
            Fault.SCHEMA_VALUE,
            element,
            TypeWords(f"{called}{must.zh}", f"{_name(element)} {must.en}"),
            value=shown(element, self._private),
        )

    def _attribute(self, element: Any, name: str) -> SchemaFault:
        short = name.rpartition("}")[2]
        called = _called(self._schema, element)
        words = TypeWords(f"{called}的属性 {short}", f"attribute {short} of {_name(element)}")
        value = element.get(name)
        return _schema_fault(
            Fault.SCHEMA_ATTRIBUTE,
            element,
            words,
            value=value and shown(element, self._private, value),
            names=(),
        )


def _misplaced(schema: Schema, error: XMLSchemaChildrenValidationError, parent: Any) -> SchemaFault:
    # After the missing or unexpected element others may be missing that the error does not mention.
    absent = {
        _name_of(each)
        for each in _elements(error.validator)
        if each.min_occurs and parent.find(each.name) is None
    }
    if error.invalid_tag is None:
        expected = [each for each in error.expected or () if each.name]
        names = [_name_of(each) for each in expected]
        called = [_with_name(each) for each in expected]
        lacks = TypeWords(
            f"{_called(schema, parent)}中的{'或'.join(called)}，请补填",
            f"{_name(parent)} lacks {' or '.join(names)}",
        )
        return _schema_fault(Fault.SCHEMA_MISSING, parent, lacks, names={*names, *absent})
    child = parent[error.index]
    allowed = [each.name for each in _elements(error.validator)]
    if child.tag in allowed:
        words = TypeWords(
            f"{_called(schema, child)}在{_called(schema, parent)}中出现的次数超出允许，请只保留一个",
            f"{_name(child)} stands too often in {_name(parent)}",
        )
    elif _name(child) in (etree.QName(name).localname for name in allowed):
        words = TypeWords(
            f"{_name(child)} 的命名空间不正确，请核对", f"{_name(child)} has the wrong namespace"
        )
    else:
        words = TypeWords(
            f"{_called(schema, parent)}中不应有 {_name(child)}，请删去或核对元素名",
            f"{_name(parent)} has no {_name(child)}",
        )
    return _schema_fault(
        Fault.SCHEMA_ELEMENT, child, words, names=absent.union(map(_name, child.iter(etree.Element)))
    )


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
    """The trade's Chinese term for an element with its name in brackets; the name alone where the schema has
    no such term."""
    name = _name_of(declared)
    called = called_zh(declared)
    return f"{called}（{name}）" if called else f" {name} "


def _name_of(declared: Any) -> str:
    return etree.QName(declared.name).localname


def _elements(group: Any) -> list[Any]:
    return [each for each in group.iter_elements() if each.name]


def _name(element: Any) -> str:
    return etree.QName(element).localname


def _schema_fault(
    fault: Fault, element: Any, words: TypeWords, value: str | None = None, names: Iterable[str] | None = None
) -> SchemaFault:
    """A fault. By default its `names` are those of the element and of all elements inside it."""
    if names is None:
        names = (_name(each) for each in element.iter(etree.Element))
    return SchemaFault(
        finding(
            fault,
            detail=words.en,
            detail_zh=_BEFORE_A_STOP.sub("", words.zh).strip(),
            line=element.sourceline,
            xpath=xml_path(element),
            value=value,
        ),
        element,
        frozenset(names),
    )


def _of_log(schema: Schema, root: etree._Element) -> Iterator[SchemaFault]:
    for fault, element in _logged(schema, root):
        yield _schema_fault(
            fault, element, TypeWords(f"{_name(element)} 不符合报文格式，请核对", _name(element))
        )


def _logged(schema: Schema, root: etree._Element) -> Iterator[tuple[Fault, etree._Element]]:
    """The faults in libxml2's log. Its sentences are English and repeat the sender's values, so only kind and
    place are used. It does not distinguish a missing element from an unexpected one."""
    for entry in islice(schema.error_log, MOST_FINDINGS):
        faults = (fault for prefix, fault in _FAULT_OF_LOG if entry.type_name.startswith(prefix))
        yield next(faults, Fault.SCHEMA_VALUE), _at(root, entry.path)


def _at(root: etree._Element, path: str | None) -> etree._Element:
    """The element at a path as libxml2 writes it: steps are qualified names as in the document, or `*`."""
    element = root
    for step in (path or "/*").split("/")[2:]:
        name, _bracket, at = step.rstrip("]").partition("[")
        expression = _NTH if name == "*" else _NTH_OF_NAME
        element = expression(element, name=name, at=int(at or 1))[0]
    return element
