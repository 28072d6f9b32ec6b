"""A name that somebody else gave never reaches a terminal as it is, and never makes a command fail."""

from pathlib import Path
from typing import Final

import pytest

from adapters.store.tables.messages import receipts
from tests.support.declarations import Declaration
from tests.support.harness import Harness
from tests.support.operating import gateway, held
from tests.support.rendering import render

_NAME: Final = "a\x1b[31mb"


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", f"{{folder}}/{_NAME}.xml"),
        ("check", f"{{folder}}/{_NAME}.zip"),
        ("check", f"{{folder}}/{_NAME}.xml", "--account", _NAME),
        ("routes", "try", f"{{folder}}/{_NAME}.xml"),
        ("parties", "import", f"{{folder}}/{_NAME}.zip"),
        ("parties", "show", _NAME),
        ("messages", "show", _NAME),
        ("messages", "list"),
        ("messages", "list", "--account", _NAME),
        ("policy", "try", f"{{folder}}/{_NAME}.zip"),
        ("receipts", "verify", f"{{folder}}/{_NAME}.xml"),
        ("deliveries", "list", "--message", _NAME),
        ("dossier", "show", _NAME, "--reason", _NAME),
        ("backends", "pause", _NAME, "--reason", _NAME),
        ("agreements", "show", _NAME),
    ],
    ids=" ".join,
)
def test_a_name_with_an_escape_character_is_shown_by_its_code_point(
    harness: Harness, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / f"{_NAME}.xml").write_bytes(render(Declaration(reference="R1")))
    (tmp_path / f"{_NAME}.zip").write_bytes(b"x =")
    harness.received("broker-aa", f"{_NAME}.xml", b"<r/>")
    result = gateway(harness, *(argument.format(folder=tmp_path) for argument in arguments))
    assert result.code != 4
    assert "\x1b[31m" not in result.out + result.err


def test_a_reason_with_an_escape_character_is_shown_by_its_code_point(harness: Harness) -> None:
    message = held(harness)
    result = gateway(harness, "messages", "reject", message, "--reason", _NAME)
    assert (result.code, "\x1b" in result.out + result.err) == (0, False)
    bodies = [row["body"] for row in harness.rows(receipts, message=message)]
    assert any(b"a\\u{1b}[31mb" in body for body in bodies)
    assert not any(b"\x1b" in body for body in bodies)
