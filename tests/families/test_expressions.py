"""No regular expression of the product takes longer than its input grows, whatever it is given.

Every one that the code compiles is found by reading the code, so that a new one need not be listed here. What
it is given is made from itself: what matches its beginning, and then one of its own pieces many times over.
"""

import ast
import importlib
import re
from collections.abc import Callable, Iterator
from itertools import groupby, product
from pathlib import Path
from time import process_time
from typing import Any, Final

import pytest
from lxml import etree

_ROOT: Final = Path(__file__).parents[2]
_METHODS: Final = ("match", "fullmatch", "search", "findall", "finditer", "sub", "split")
# By twos where an expression may take twice as long with every letter: the next length is to come to an end.
_GROWING: Final = (12, 18, 20, 22, 24, 26, 28, 30, 200, 2000, 8000, 32_000, 128_000)
# Linear ones take less than a tenth of this for the longest, square ones several times as much, however
# fast the machine.
_SECONDS: Final = 0.1

_SYNTAX: Final[Any] = importlib.import_module("re._parser")
_SAMPLES: Final = "aA0 \n/:=-.<>'\"{}[]#%_~中\0"
_IN_CATEGORY: Final[dict[str, Callable[[str], bool]]] = {
    "CATEGORY_DIGIT": str.isdigit,
    "CATEGORY_SPACE": str.isspace,
    "CATEGORY_WORD": lambda c: c.isalnum() or c == "_",
}


def _is_in(character: str, members: list[Any]) -> bool:
    negated, member = False, False
    for kind, value in members:
        match str(kind):
            case "NEGATE":
                negated = True
            case "LITERAL":
                member |= ord(character) == value
            case "RANGE":
                member |= value[0] <= ord(character) <= value[1]
            case "CATEGORY":
                name = str(value)
                plain = name.replace("_NOT_", "_")
                member |= _IN_CATEGORY[plain](character) is (name == plain)
    return member is not negated


def _sample(items: Any) -> str:
    """A short text that the pieces match."""
    made = ""
    for kind, value in items:
        match str(kind):
            case "LITERAL":
                made += chr(value)
            case "NOT_LITERAL":
                made += next(c for c in _SAMPLES if ord(c) != value)
            case "ANY":
                made += "a"
            case "IN":
                firsts = [
                    chr(v if str(k) == "LITERAL" else v[0])
                    for k, v in value
                    if str(k) in ("LITERAL", "RANGE")
                ]
                made += next(c for c in [*_SAMPLES, *firsts] if _is_in(c, value))
            case "BRANCH":
                made += _sample(value[1][0])
            case "SUBPATTERN":
                made += _sample(value[-1])
            case "MAX_REPEAT" | "MIN_REPEAT":
                made += _sample(value[2]) * min(max(1, value[0]), 64)
    return made


def _steps(items: Any) -> list[list[Any]]:
    """One after the other what may be repeated or is one word."""
    return [
        list(group) if is_word else [item]
        for is_word, of_kind in groupby(items, key=lambda item: str(item[0]) == "LITERAL")
        for group in [list(of_kind)]
        for item in (group[:1] if is_word else group)
    ]


def _pieces(items: Any) -> Iterator[str]:
    for step in _steps(items):
        yield _sample(step)
        kind, value = step[0]
        match str(kind):
            case "BRANCH":
                for branch in value[1]:
                    yield from _pieces(branch)
            case "SUBPATTERN":
                yield from _pieces(value[-1])
            case "MAX_REPEAT" | "MIN_REPEAT":
                yield from _pieces(value[2])


def _worst(source: str) -> list[tuple[str, str]]:
    """Beginnings, each with what is repeated after it."""
    items = list(_SYNTAX.parse(source))
    steps = [_sample(step) for step in _steps(items)]
    beginnings = list(dict.fromkeys("".join(steps[:count]) for count in range(len(steps) + 1)))[:8]
    pieces = list(dict.fromkeys(piece for piece in (*beginnings, *_pieces(items)) if piece))[:12]
    pairs = ("".join(pair) for pair in product(pieces[:4], repeat=2))
    return list(product(beginnings, dict.fromkeys((*pieces, *pairs))))


def _seconds(expression: "re.Pattern[Any]", method: str, text: Any) -> float:
    began = process_time()
    if method == "sub":
        expression.sub(text[:0], text)
    else:
        matches = getattr(expression, method)(text)
        if method == "finditer":
            list(matches)
    return process_time() - began


def _takes_too_long(expression: "re.Pattern[Any]", methods: set[str]) -> str | None:
    """What it took too long for, where there is such a thing."""
    is_of_bytes = isinstance(expression.pattern, bytes)
    source = expression.pattern.decode("latin-1") if is_of_bytes else expression.pattern
    for beginning, piece in _worst(source):
        for size, method in product(_GROWING, sorted(methods)):
            subject = beginning + piece * (size // len(piece)) + "\0"
            text = subject.encode() if is_of_bytes else subject
            # Once more where it was long: something else may have run meanwhile.
            if all(_seconds(expression, method, text) > _SECONDS for _ in range(2)):
                return f"{method} of {beginning!r} and {piece!r} again and again, {size} in all"
    return None


def _code() -> Iterator[tuple[str, ast.Module]]:
    calls = re.compile(rf"\bre\.compile\(|\.(?:{'|'.join(_METHODS)})\(")
    for folder in ("gateway", "adapters"):
        for path in sorted((_ROOT / folder).rglob("*.py")):
            if calls.search(text := path.read_text()):
                yield ".".join(path.relative_to(_ROOT).with_suffix("").parts), ast.parse(text)


def _called(call: ast.expr | None) -> tuple[str, str]:
    """The name that a method is called on, and the method; empty for any other call."""
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return "", ""
    on = call.func.value
    name = on.id if isinstance(on, ast.Name) else on.attr if isinstance(on, ast.Attribute) else ""
    return name, call.func.attr


def _expressions() -> dict[tuple[str, str], tuple["re.Pattern[Any]", set[str]]]:
    """By module and name, or module and line; with the methods that are called on it anywhere."""
    collected: dict[tuple[str, str], tuple[re.Pattern[Any], set[str]]] = {}
    used: dict[str, set[str]] = {}
    for module, tree in _code():
        calls = [(*_called(node), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]
        for on, method, node in calls:
            if on == "re" and method in _METHODS:
                source = node.args[0]
                assert isinstance(source, ast.Constant), f"{module}:{node.lineno}: it is not fixed"
                collected[module, str(node.lineno)] = (re.compile(str(source.value)), {method})
            elif method in _METHODS:
                used.setdefault(on, set()).add(method)
        constants = [
            node.target.id
            for node in tree.body
            if isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and _called(node.value) == ("re", "compile")
        ]
        compiled = [call for call in calls if call[:2] == ("re", "compile")]
        assert len(compiled) == len(constants), f"{module}: one is no constant of its module"
        for name in constants:
            collected[module, name] = (getattr(importlib.import_module(module), name), set())
    for (_module, name), (_expression, methods) in collected.items():
        methods |= used.get(name, set())
    return collected


_EXPRESSIONS: Final = _expressions()


@pytest.mark.parametrize("where", sorted(_EXPRESSIONS), ids=".".join)
def test_an_expression_takes_no_longer_than_its_input_grows(where: tuple[str, str]) -> None:
    expression, methods = _EXPRESSIONS[where]
    assert _takes_too_long(expression, methods or {"search", "fullmatch"}) is None


_FACETS: Final = sorted(
    {
        pattern.attrib["value"]
        for path in (_ROOT / "schemas").rglob("*.xsd")
        for pattern in etree.parse(path).iter("{http://www.w3.org/2001/XMLSchema}pattern")
    }
)


@pytest.mark.parametrize("facet", _FACETS)
def test_a_pattern_of_a_schema_takes_no_longer_than_its_input_grows(facet: str) -> None:
    assert _takes_too_long(re.compile(facet), {"fullmatch"}) is None


@pytest.mark.parametrize(
    ("source", "method"),
    [
        pytest.param(rb"""xmlns(?::[^\s=]+)?\s*=\s*["']([^"']*)["']""", "finditer", id="of namespaces"),
        pytest.param(r"stream <[^>]*>[:,]?\s*", "sub", id="of a stream's name"),
        pytest.param(r"a(b+)+c", "match", id="that doubles with every letter"),
        pytest.param(r"x\s*\s*=", "match", id="of two runs of the same"),
        pytest.param(r"\s+$", "search", id="of white space at the end"),
    ],
)
def test_an_expression_that_is_too_slow_is_found(source: Any, method: str) -> None:
    assert _takes_too_long(re.compile(source), {method}) is not None
