"""Judging alone, `judge.pipeline.judge` in one warm process, beside `bench.bare`: the goal is half of it.

Both process the same message repeatedly; the register is the real SQLite one, the package a real file.
"""

from bench.bare import Bare
from bench.harness import Harness, home
from bench.report import paired, show, table
from bench.traffic import SIZES, Broker, Sent

ROUNDS = 7
SECONDS = 0.5


def main() -> None:
    rows = table(
        "judging: pipeline.judge beside a bare loop of the same library calls",
        *("message", "judge /s", "bare /s", "ratio", "goal"),
    )
    with home() as base:
        harness, broker = Harness(base), Broker(base)
        for size in SIZES:
            sent = {
                f"{size} signed": broker.bare(size, "BENCH-BARE-1"),
                f"{size} signed, PDF of 200 KB": broker.with_pdf(size, "BENCH-PDF-1"),
            }
            for name, package in sent.items():
                rows.add_row(name, *_figures(Bare(base, harness, harness.keep(package)), harness, package))
    show(rows)


def _figures(bare: Bare, harness: Harness, package: Sent) -> tuple[str, ...]:
    received = harness.keep(package)
    ours, limit, ratio = paired(lambda: harness.judge(received), bare, ROUNDS, SECONDS)
    return f"{ours:.0f}", f"{limit:.0f}", f"{ratio:.2f}", ">= 0.50"
