"""Tables at a terminal of 80 columns: nothing that is copied is broken, and times are those of China."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from adapters.cli.tables import in_words, laid_out
from tests.support.declarations import Declaration
from tests.support.harness import Harness
from tests.support.rendering import render
from tests.support.served import ROOT

ID = "01JD0000000000000000000000"
ROW = {
    "received_at": "2026-11-30T20:15:30.123456+00:00",
    "id": ID,
    "reference": "TB20261102000001",
    "state": "waiting",
    "account": "broker-aa",
    "waiting_for": "agreement 195200016172325",
    "name": "申报单 一月份.zip",
    "repeat_of": None,
}


@pytest.mark.parametrize("width", [40, 80, 132, 400])
def test_ids_names_and_times_are_whole_at_any_width(width: int) -> None:
    names = [column.replace("_", " ") for column in ROW]
    lines = laid_out([list(ROW.values())], names, width, "UTC+8")
    text = "\n".join(lines)
    for whole in (
        ID,
        "TB20261102000001",
        "2026-12-01 04:15:30",
        "申报单 一月份.zip",
        "agreement 195200016172325",
    ):
        assert whole in text
    assert "repeat of" not in text or width == 400
    assert "UTC+8" in lines[0]


@given(
    values=st.lists(st.lists(st.text(max_size=20), min_size=6, max_size=6), max_size=4),
    width=st.integers(min_value=40, max_value=120),
)
def test_no_line_is_wider_than_the_terminal_where_each_value_has_room(
    values: list[list[str]], width: int
) -> None:
    longest = max((cell_len(in_words(value)) for row in values for value in row), default=0)
    for line in laid_out(values, ("a", "b", "c", "d", "e", "f"), width, "UTC+8"):
        assert cell_len(line) <= max(width, longest + 6)
        assert line.isprintable()


def test_a_terminal_has_times_of_china_and_a_pipe_full_instants(tmp_path: Path) -> None:
    with Harness.at(tmp_path / "home") as harness:
        harness.judged("broker-aa", "R1.xml", render(Declaration(reference="R1")))
        command = [sys.executable, "-m", "cli", "messages", "list", "--home", str(harness.home.path)]
        piped = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
        ).stdout
        ours, theirs = pty.openpty()
        environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm"}
        subprocess.run(command, cwd=ROOT, stdout=theirs, env=environment, check=True, timeout=60)
        os.close(theirs)
        screen = os.read(ours, 65536).decode()
        os.close(ours)
    assert "2026-11-23T04:00:01+00:00" in piped
    assert "2026-11-23 12:00:01" in screen
    assert "received at UTC+8" in screen
    assert "name R1.xml" in screen
    assert all(cell_len(line) <= 80 for line in screen.splitlines())
