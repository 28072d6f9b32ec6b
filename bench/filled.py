"""A store with a hundred thousand declarations beside an empty one: CPU time of a declaration, by process.

Both homes are served in turn, each round with a node of its own, over AMQP as in `bench amqp`. The full store
holds one real declaration, closed by customs, a hundred thousand times: every row that the product wrote for
it, with other ids, references and times.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from statistics import median
from typing import Final

from adapters.home.home import Home
from bench import processes
from bench.amqp import sent_and_receipted, set_up, until_consumed
from bench.copies import TEMPLATE, multiply
from bench.customs import serving_customs
from bench.harness import home
from bench.report import show, table
from bench.rounds import parts
from bench.serving import Progress, serving, when
from bench.traffic import ACCOUNT, Broker
from tests.support.rabbitmq import Rabbit

STORED: Final = 100_000
ROUNDS: Final = 3
MESSAGES: Final = 200
_SIZE: Final = "7 KB"


def main(stored: int = STORED) -> None:
    made = table(
        f"filled: CPU ms a declaration with {stored:,} stored, beside an empty store",
        *("store", "closed /s", "ready after s", "MB", *processes.COLUMNS),
    )
    with home() as empty, home() as full, Rabbit() as rabbit:
        vhosts = {empty: set_up(empty, rabbit), full: set_up(full, rabbit)}
        found: dict[Home, list[_Figures]] = {empty: [], full: []}
        _run(full, rabbit, vhosts[full], TEMPLATE, 1)
        begun = time.perf_counter()
        multiply(full.database, stored)
        print(f"filled in {time.perf_counter() - begun:.0f} s", flush=True)
        for number in range(ROUNDS):
            for base, vhost in vhosts.items():
                found[base].append(_run(base, rabbit, vhost, f"F{number}", MESSAGES))
        for name, base in (("empty", empty), (f"{stored:,}", full)):
            size = base.database.stat().st_size / 1e6
            made.add_row(name, *_row(found[base], f"{size:.0f}"))
        made.add_row("ratio", *_ratios(found[full], found[empty]))
    show(made)


class _Figures:
    """Of one round: declarations closed per second, seconds to the ready line, CPU ms by part."""

    def __init__(self, closed: float, ready_after: float, cpu: Mapping[str, float]) -> None:
        self.closed, self.ready_after, self.cpu = closed, ready_after, cpu
        self.gateway = sum(cpu[part] for part in processes.GATEWAY)
        self.all = sum(cpu.values())


def _run(base: Home, rabbit: Rabbit, vhost: str, label: str, messages: int) -> _Figures:
    broker = Broker(base)
    sent = [broker.bare(_SIZE, f"{label}-{each}") for each in range(messages)]
    with serving(base) as served, serving_customs(base) as customs, closing(Progress(base)) as progress:
        until_consumed(rabbit, vhost)
        clocks = {**parts(served, customs, rabbit), "sender": time.process_time}
        with processes.spent(clocks) as spent:
            begun, _receipted = asyncio.run(sent_and_receipted(rabbit.url(vhost, ACCOUNT), sent))
            closed_at = when(progress.closed_by_customs, messages)
        assert progress.refused() == 0
        return _Figures(messages / (closed_at - begun), served.ready_after, spent.each(messages))


def _row(rounds: Sequence[_Figures], size: str) -> Iterator[str]:
    yield f"{median(each.closed for each in rounds):.0f}"
    yield f"{median(each.ready_after for each in rounds):.1f}"
    yield size
    for column in processes.COLUMNS:
        yield f"{median(_cpu(each, column) for each in rounds):.1f}"


def _ratios(full: Sequence[_Figures], empty: Sequence[_Figures]) -> Iterator[str]:
    pairs = list(zip(full, empty, strict=True))
    yield f"{median(one.closed / other.closed for one, other in pairs):.2f}"
    yield f"{median(one.ready_after / other.ready_after for one, other in pairs):.2f}"
    yield ""
    for column in processes.COLUMNS:
        yield f"{median(_cpu(one, column) / _cpu(other, column) for one, other in pairs):.2f}"


def _cpu(figures: _Figures, column: str) -> float:
    match column:
        case "gateway":
            return figures.gateway
        case "all":
            return figures.all
        case part:
            return figures.cpu[part]
