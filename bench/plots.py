"""Draws the last results of the other benchmarks as PNG files beside docs/performance.md."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot  # after the choice of a backend that needs no screen

from bench.processes import GATEWAY, LOOP, OTHERS
from bench.report import Kept, kept

_DOCS: Final = Path(__file__).parents[1] / "docs"
_COLOURS: Final = ("#1f5f8b", "#5a9bc4", "#d08c3a", "#9a9a9a", "#cfcfcf")  # dark for the gateway's own
_LIMIT: Final = "#2e8b57"
_WIDTH, _ROW = 8.0, 0.42  # inches


def main() -> None:
    _cpu()
    _rates()
    _stored()
    _peers()


def _cpu() -> None:
    """CPU time of a declaration by process, and of the bare loop."""
    tables = {"AMQP": kept("amqp: CPU"), "SFTP": kept("throughput: CPU")}
    rows = [
        (f"{name}, {message}", cells)
        for name, table in tables.items()
        if table is not None
        for message, cells in table.rows.items()
    ]
    if not rows:
        return
    figure, axes = _figure(2 * len(rows))
    for at, (_name, cells) in enumerate(rows):
        left = 0.0
        for part, colour in zip((*GATEWAY, *OTHERS), _COLOURS, strict=True):
            width = float(cells[part])
            axes.barh(2 * at, width, left=left, color=colour, label=part if at == 0 else None)
            left += width
        axes.barh(2 * at + 0.8, float(cells[LOOP]), color=_LIMIT, label=LOOP if at == 0 else None)
    axes.set_yticks([2 * at + 0.4 for at in range(len(rows))], [name for name, _ in rows])
    axes.set_xlabel("CPU ms a declaration")
    _save(figure, axes, "performance-cpu.png", [each for each in tables.values() if each is not None])


def _rates() -> None:
    """Declarations closed per second beside the bare loop of the same run."""
    tables = {"AMQP": kept("amqp: AMQP in"), "SFTP": kept("throughput: SFTP in")}
    rows = [
        (f"{name}, {message}", float(cells["closed /s"]), float(cells["limit /s"]))
        for name, table in tables.items()
        if table is not None
        for message, cells in table.rows.items()
    ]
    if rows:
        _pairs(
            "performance-rates.png",
            "declarations a second, all cores",
            ("closed by customs", "bare loop of the same job"),
            rows,
            [each for each in tables.values() if each is not None],
        )


def _stored() -> None:
    """CPU time of a declaration in an empty and in a full store."""
    table = kept("filled: CPU")
    if table is None:
        return
    empty, full, _ratio = table.rows.values()
    rows = [(part, float(empty[part]), float(full[part])) for part in (*GATEWAY, *OTHERS)]
    names = tuple(f"{name} stored" for name in table.rows)[1:2]
    _pairs("performance-stored.png", "CPU ms a declaration", ("empty store", *names), rows, [table])


def _peers() -> None:
    table = kept("peers: signed")
    if table is None:
        return
    figure, axes = _figure(4 * len(table.rows))
    for at, (message, cells) in enumerate(table.rows.items()):
        names = list(cells)[1:5]
        for place, name in enumerate(names):
            colour = (_COLOURS[0], *_COLOURS[2:])[place]
            axes.barh(5 * at + place, float(cells[name]), color=colour, label=name if at == 0 else None)
        axes.text(0, 5 * at - 0.75, message)
    axes.set_yticks([])
    axes.set_xlabel("documents a second; the gateway does its whole job, the others verify and answer")
    _save(figure, axes, "performance-peers.png", [table])


def _pairs(
    file: str,
    what: str,
    names: Sequence[str],
    rows: Sequence[tuple[str, float, float]],
    tables: Sequence[Kept],
) -> None:
    figure, axes = _figure(2 * len(rows))
    for at, (_name, one, other) in enumerate(rows):
        axes.barh(2 * at, one, color=_COLOURS[0], label=names[0] if at == 0 else None)
        axes.barh(2 * at + 0.8, other, color=_LIMIT, label=names[1] if at == 0 else None)
    axes.set_yticks([2 * at + 0.4 for at in range(len(rows))], [name for name, *_ in rows])
    axes.set_xlabel(what)
    _save(figure, axes, file, tables)


def _figure(bars: int) -> tuple[Any, Any]:
    figure, axes = pyplot.subplots(figsize=(_WIDTH, 1.4 + _ROW * bars), layout="constrained")
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Any, axes: Any, file: str, tables: Sequence[Kept]) -> None:
    axes.legend(loc="best", frameon=False)
    axes.set_title("; ".join(dict.fromkeys(each.machine for each in tables)), fontsize=7, loc="right")
    figure.savefig(_DOCS / file, dpi=110, metadata={"Software": None})
    pyplot.close(figure)
    print(f"drawn: docs/{file}")
