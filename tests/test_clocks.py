"""No test has both a fixed date and the real clock in it: it would pass on some days only."""

import ast
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from adapters.home.clock import telling, utc_now
from tests.support.harness import LATER, Harness

TESTS: Final = Path(__file__).parent
REAL: Final = {("datetime", "now"), ("datetime", "today"), ("date", "today"), ("time", "time")}
FIXED: Final = {"NOW", "LATER"}  # what modules call an instant that they fix for others
SERVED: Final = {"Gateway", "SftpServed"}  # what asks the real clock in a process or thread of its own


def _fixed(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="datetime"), args=[ast.Constant(value=int(year)), *_]):
            return year >= 2025
        case ast.Name(id=name):
            return name in FIXED
    return False


def _real(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(value=ast.Name(id=of), attr=name):
            return (of, name) in REAL
        case ast.Name(id=name):
            return name in SERVED
    return False


def _meetings(tree: ast.Module) -> Iterator[str]:
    """Functions that have both, and `module` where it serves a gateway and fixes the time of its tests."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inside = list(ast.walk(node))
            if any(map(_fixed, inside)) and any(map(_real, inside)):
                yield node.name
    imported = {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    if imported & FIXED and imported & SERVED:
        yield "module"


def test_no_test_holds_a_fixed_date_against_the_real_clock() -> None:
    files = sorted(TESTS.rglob("*.py"))
    assert len(files) > 100
    met = {
        str(path.relative_to(TESTS)): names
        for path in files
        if (names := list(_meetings(ast.parse(path.read_text("utf-8")))))
    }
    assert met == {}


@pytest.mark.parametrize(
    "source",
    [
        "def test_a() -> None:\n    assert datetime(2026, 1, 1) < datetime.now(UTC)",
        "def test_a() -> None:\n    age = time.time() - NOW.timestamp()",
        "def test_a() -> None:\n    with Gateway(folder) as gateway:\n        listed(gateway, since=LATER)",
        "from tests.support.harness import NOW\nfrom tests.support.served import Gateway",
    ],
)
def test_a_test_that_does_so_would_be_seen(source: str) -> None:
    assert list(_meetings(ast.parse(source))) != []


def test_the_clock_of_a_harness_is_used_while_the_harness_is_open(tmp_path: Path) -> None:
    with Harness.at(tmp_path / "home") as harness:
        first = utc_now()
        assert LATER < first < utc_now() < harness.start + timedelta(hours=2)
    assert utc_now() > first


def test_a_clock_that_was_passed_in_is_used_until_its_context_ends() -> None:
    now = datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC)
    with telling(lambda: now):
        assert utc_now() == now
    assert utc_now() != now
