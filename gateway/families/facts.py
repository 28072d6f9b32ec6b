"""The facts of a message: found by the XPaths of a profile, and translated into the codes that it chooses."""

import csv
import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final, NamedTuple, TypeAlias

from lxml import etree

from gateway.formats.reading import number, plain, stripped

Translation: TypeAlias = Mapping[str, str]

_PLAIN: Final = re.compile(r"(?:/[A-Za-z_][\w.-]*(?::[A-Za-z_][\w.-]*)?)+")


class PlainPaths:
    """A search for the first elements of many absolute paths of element names only, as most facts have: one
    walk in place of an XPath for each."""

    def __init__(self, expressions: Mapping[str, str], namespaces: Mapping[str, str]) -> None:
        """`expressions` that are no plain paths are left out."""
        self._paths = {
            name: _steps(expression, namespaces)
            for name, expression in expressions.items()
            if _PLAIN.fullmatch(expression)
        }
        self._top: dict[str, _Step] = {}
        for name, steps in self._paths.items():
            level = self._top
            for tag in steps:
                step = level.setdefault(tag, _Step([], {}))
                level = step.below
            step.names.append(name)

    def __contains__(self, name: str) -> bool:
        return name in self._paths

    def elements(self, root: etree._Element) -> dict[str, etree._Element]:
        found: dict[str, etree._Element] = {}
        if (step := self._top.get(str(root.tag))) is not None:
            _find(root, step, found)
        return found


class _Step(NamedTuple):
    """What is at an element of this name: the facts that it is, and the steps below it."""

    names: list[str]
    below: "dict[str, _Step]"


def _find(element: etree._Element, step: _Step, found: dict[str, etree._Element]) -> None:
    for name in step.names:
        found.setdefault(name, element)
    if step.below:
        for child in element:
            if (further := step.below.get(str(child.tag))) is not None:
                _find(child, further, found)


def _steps(expression: str, namespaces: Mapping[str, str]) -> list[str]:
    """The names of the elements on a plain path, as lxml writes them."""
    steps = (step.rpartition(":") for step in expression[1:].split("/"))
    return [f"{{{namespaces[prefix]}}}{name}" if prefix else name for prefix, _, name in steps]


def only_once(expression: str, namespaces: Mapping[str, str]) -> Callable[[etree._Element], str]:
    """A check that a document has a fact only once. It returns the name of the first element on the path that
    occurs more than once, or for other expressions than plain paths the differing texts; else empty."""
    if not _PLAIN.fullmatch(expression):
        path = etree.XPath(expression, namespaces=dict(namespaces) or None, smart_strings=False)

        def differing(root: etree._Element) -> str:
            value = path(root)
            texts_found = each_text(value) if isinstance(value, list) else ()
            return ", ".join(texts_found) if len(texts_found) > 1 else ""

        return differing
    _first, *rest = _steps(expression, namespaces)

    def repeated(root: etree._Element) -> str:
        for depth in range(1, len(rest) + 1):
            if len(root.findall("/".join(rest[:depth]))) > 1:
                return etree.QName(rest[depth - 1]).localname
        return ""

    return repeated


def nodes(value: object) -> list[etree._Element]:
    if not isinstance(value, list):
        raise TypeError("an identity or a list must select elements")
    return value


def text(value: object) -> str:
    """A fact's text: that of the first node, or the string or number that an XPath returned."""
    if isinstance(value, list):
        value = value[0] if value else ""
    if isinstance(value, etree._Element):
        value = value.text or ""
    if isinstance(value, float):
        return f"{value:.4f}".rstrip("0").rstrip(".") if math.isfinite(value) else ""
    return stripped(str(value))


def total(value: object) -> str:
    """The sum of the numbers in the nodes as `plain` writes it. Blank nodes are skipped; empty where there is
    no number, or a node that is not one."""
    numbers = [number(node.text) for node in nodes(value) if stripped(node.text)]
    valid = [each for each in numbers if each is not None]
    return plain(sum(valid, Decimal())) if valid and len(valid) == len(numbers) else ""


def texts(value: object) -> str:
    return " ".join(each_text(value))


def each_text(value: object) -> tuple[str, ...]:
    return tuple(dict.fromkeys(content for node in nodes(value) if (content := text(node))))


def translation(column: str, files: Mapping[str, bytes]) -> Translation:
    """The translation of codes by `LIST.COLUMN`: each code in `codes/LIST.csv` to the text in that column. A
    code without a row or with an empty cell has none. Raises `KeyError` for an unknown list or column."""
    name, _dot, target = column.partition(".")
    rows = csv.DictReader(files[f"codes/{name}.csv"].decode().splitlines())
    return {row["code"]: row[target] for row in rows if row[target]}
