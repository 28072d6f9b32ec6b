"""The plots are drawn from the tables that the benchmarks have shown."""

from pathlib import Path

import pytest

from bench import report
from bench.processes import BESIDE, COLUMNS
from bench.report import kept, show, table


def test_a_table_that_was_shown_is_kept_for_the_plots_until_the_next_of_its_title(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "_KEPT", tmp_path / "build" / "bench.json")
    for rate in ("1", "2"):
        made = table("figure: about", "message", "/s")
        made.add_row("7 KB", rate)
        show(made)

    tables = kept("figure:")

    assert tables is not None
    assert tables.rows == {"7 KB": {"message": "7 KB", "/s": "2"}}
    assert kept("another") is None


def test_plots_leave_out_what_was_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", reason="an extra, which requirements.lock has")
    from bench import plots

    monkeypatch.setattr(report, "_KEPT", tmp_path / "bench.json")
    monkeypatch.setattr(plots, "_DOCS", tmp_path)
    costs = table("amqp: CPU ms a message, by process", "message", *COLUMNS, *BESIDE)
    costs.add_row("7 KB signed", *("1.0" for _ in (*COLUMNS, *BESIDE)))
    show(costs)

    plots.main()

    assert [path.name for path in tmp_path.glob("*.png")] == ["performance-cpu.png"]
    assert (tmp_path / "performance-cpu.png").read_bytes().startswith(b"\x89PNG")
