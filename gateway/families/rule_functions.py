"""XPath functions for a family's rules: code lists, the package, policy, dates, check digits.

| function | returns |
|---|---|
| `gw:code('lists', value)` | whether the value is in one of the named lists (names separated by blanks) |
| `gw:unlisted('lists', nodes)` | the first nodes whose text is in none of the lists, without blank ones |
| `gw:among(value, nodes)` | whether the value is the text of one of the nodes |
| `gw:named(id)` | how many files of the package a listed name matches (`gateway.model.file_names`) |
| `gw:unnamed(files, ids)` | the files that none of the listed names matches |
| `gw:exactly(id)` | whether a file has this name letter for letter, with its suffix or without |
| `gw:shared(ids, 'tag')` | the first names whose file an earlier name with another sibling `tag` matches |
| `gw:package()` | an element for each attachment, its attributes the fields of `Part` and `Pdf` |
| `gw:policy('pdf.size')` | this number or string of the policy in force |
| `gw:bytes(n)` | the number of bytes as text for people |
| `gw:date(value)` | whether the first eight characters are a day that exists, as yyyyMMdd |
| `gw:numbers(value, n)` | whether the value is one or more whole numbers from 1 to n, joined with commas |
| `gw:more(a, b)` | whether both are numbers, in any form of XSD, and the first is more |
| `gw:follows(a, b)` | whether a is one more than b, or 1 where there is no b; yes if either is no number |
| `gw:agrees(a, b, c, share)` | whether a is b times c, within a share and 0.01; yes if any is no number |
| `gw:scc(value)` | whether it is a unified social credit code with a correct check digit |

Package and policy belong to one evaluation. They are held in context variables, so that documents do not see
each other's, in whichever thread they are judged.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date
from decimal import Context, Decimal
from functools import cache, reduce
from itertools import islice
from typing import Any, Final, TypeAlias

from lxml import etree

from gateway.formats.locations import MOST_FINDINGS
from gateway.formats.reading import number, stripped
from gateway.model.faults import in_bytes
from gateway.model.file_names import FileNames
from gateway.model.message import Package
from gateway.model.policy import Policy

NAMESPACE: Final = "urn:gateway:rules"
FILE: Final = f"{{{NAMESPACE}}}file"

Functions: TypeAlias = dict[tuple[str, str], Callable[..., Any]]

_judged: ContextVar[tuple[Package, Policy]] = ContextVar("judged")
_names: ContextVar[FileNames] = ContextVar("names")

# GB 32100-2015: 0-9 and capitals without I, O, S, V, Z; position i weighs 3^(i-1) mod 31.
_SCC_CHARACTERS: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_SCC_WEIGHTS: Final = tuple(pow(3, position, 31) for position in range(17))
_SCC: Final = re.compile(rf"[{_SCC_CHARACTERS}]{{18}}")
# GB 11714-1997: eight digits or capitals, which count as 10 to 35, and a check character modulo 11.
_ORGANISATION_WEIGHTS: Final = (3, 7, 9, 10, 5, 8, 4, 2)
_ORGANISATION: Final = re.compile(r"[0-9A-Z]{8}[0-9X]")
_NUMBERS: Final = re.compile(r"[0-9]{1,9}(,\s*[0-9]{1,9})*")
# Products of two numbers of a declaration have forty digits at most, and the share a few more.
_EXACT: Final = Context(prec=100)
_CENT: Final = Decimal("0.01")
_DAY: Final = re.compile(r"[0-9]{8}")


@contextmanager
def judging(package: Package, policy: Policy) -> Iterator[None]:
    """Rules that are evaluated inside the block see this package and this policy."""
    token = _judged.set((package, policy))
    names = _names.set(FileNames(part.name for part in package.attachments))
    try:
        yield
    finally:
        _names.reset(names)
        _judged.reset(token)


def functions(lists: Mapping[str, frozenset[str]]) -> Functions:
    """The functions for lxml, over these code lists. A list that does not exist is a `KeyError`."""

    @cache
    def together(names: str) -> frozenset[str]:
        return frozenset().union(*(lists[name] for name in names.split()))

    def code(_: object, names: str, value: Any) -> bool:
        return _string(value) in together(names)

    def unlisted(_: object, names: str, nodes: list[etree._Element]) -> list[etree._Element]:
        listed = together(names)
        strange = (node for node in nodes if (text := stripped(node.text)) and text not in listed)
        # No more of them are reported, and returning nodes takes lxml time quadratic in their number.
        return list(islice(strange, MOST_FINDINGS))

    return {
        (NAMESPACE, "among"): lambda _, value, nodes: _string(value) in {_string([node]) for node in nodes},
        (NAMESPACE, "code"): code,
        (NAMESPACE, "unlisted"): unlisted,
        (NAMESPACE, "named"): lambda _, listed: float(len(_names.get().named(_string(listed)))),
        (NAMESPACE, "exactly"): lambda _, listed: _names.get().exactly(_string(listed)),
        (NAMESPACE, "unnamed"): _unnamed,
        (NAMESPACE, "shared"): _shared,
        (NAMESPACE, "package"): _package,
        (NAMESPACE, "policy"): _policy,
        (NAMESPACE, "bytes"): lambda _, count: in_bytes(int(float(_string(count)))),
        (NAMESPACE, "date"): lambda _, value: _is_day(_string(value)),
        (NAMESPACE, "numbers"): lambda _, value, most: _are_numbers(_string(value), most),
        (NAMESPACE, "more"): lambda _, one, other: _is_more(_number(one), _number(other)),
        (NAMESPACE, "follows"): _follows,
        (NAMESPACE, "agrees"): _agrees,
        (NAMESPACE, "scc"): lambda _, value: is_scc(_string(value)),
    }


def _string(value: Any) -> str:
    """The string value as XPath's string() gives it, without white space around it."""
    first = (value[0] if value else "") if isinstance(value, list) else value
    text = (first.text or "") if isinstance(first, etree._Element) else str(first)
    return stripped(text)


def _number(value: Any) -> Decimal | None:
    return number(_string(value))


def _is_more(one: Decimal | None, other: Decimal | None) -> bool:
    return one is not None and other is not None and one > other


def _follows(_: object, one: Any, other: Any) -> bool:
    here, before = _number(one), _number(other) if other else Decimal()
    return here is None or before is None or here == before + 1


def _agrees(_: object, total: Any, price: Any, quantity: Any, share: float) -> bool:
    stated, one, many = _number(total), _number(price), _number(quantity)
    if stated is None or one is None or many is None:
        return True
    product = _EXACT.multiply(one, many)
    slack = _EXACT.multiply(product, Decimal(str(share)))
    return abs(_EXACT.subtract(stated, product)) <= _EXACT.add(abs(slack), _CENT)


def _unnamed(_: object, files: list[etree._Element], listed: list[etree._Element]) -> list[etree._Element]:
    names = _names.get()
    named = {name for each in {_string([node]) for node in listed} for name in names.named(each)}
    return [file for file in files if file.get("name") not in named]


def _shared(_: object, listed: list[etree._Element], tag: str) -> list[etree._Element]:
    names = _names.get()
    first: dict[str, str] = {}

    def is_shared(node: etree._Element) -> bool:
        parent = node.getparent()
        content = "" if parent is None else (parent.findtext(f"{{*}}{tag}") or "").strip()
        return any(first.setdefault(name, content) != content for name in names.named(_string([node])))

    return list(islice(filter(is_shared, listed), MOST_FINDINGS))


def _package(_: object) -> list[etree._Element]:
    package, _policy_in_force = _judged.get()
    root = etree.Element("package")
    for part in package.attachments:
        pdf = part.pdf
        if pdf is not None:
            etree.SubElement(
                root,
                FILE,
                name=_in_xml(part.name),
                size=str(part.size),
                pages=str(pdf.pages),
                version=str(pdf.version),
                encrypted=str(pdf.encrypted).lower(),
                signed=str(pdf.signed).lower(),
                trailer=str(pdf.trailer).lower(),
                trailer_name=_in_xml(pdf.trailer_name),
                trailer_code=_in_xml(pdf.trailer_code),
                problem=_in_xml(pdf.problem),
                problem_zh=_in_xml(pdf.problem_zh),
                active=pdf.active,
            )
    return list(root)


_NOT_IN_XML: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _in_xml(text: str) -> str:
    """Characters that XML cannot carry (XML 1.0, section 2.2) become U+FFFD, and so equal no name."""
    return _NOT_IN_XML.sub("\ufffd", text)


def _policy(_: object, name: str) -> float | str:
    _package_judged, policy = _judged.get()
    value: Any = reduce(getattr, name.split("."), policy)
    return value if isinstance(value, str) else float(value)


def _is_day(text: str) -> bool:
    if not _DAY.match(text):
        return False
    try:
        date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return False
    return True


def _are_numbers(text: str, most: float) -> bool:
    return bool(_NUMBERS.fullmatch(text)) and all(1 <= int(number) <= most for number in text.split(","))


def is_scc(text: str) -> bool:
    """Whether this is a unified social credit code with a correct check character (GB 32100-2015)."""
    if not _SCC.fullmatch(text):
        return False
    total = sum(
        weight * _SCC_CHARACTERS.index(character)
        for weight, character in zip(_SCC_WEIGHTS, text, strict=False)
    )
    return _SCC_CHARACTERS[-total % 31] == text[17]


def is_organisation_code(text: str) -> bool:
    """Whether this is an organisation code of nine characters with a correct check character (GB 11714)."""
    if not _ORGANISATION.fullmatch(text):
        return False
    total = sum(
        weight * int(character, 36) for weight, character in zip(_ORGANISATION_WEIGHTS, text, strict=False)
    )
    return "0123456789X"[-total % 11] == text[8]
