"""One declaration at a time on an idle node, and the node's start.

From the acknowledged rename (paramiko) to a readable signed receipt, and to the end at customs (R), which is
a process of its own behind a private RabbitMQ. The message moves to SentBox in the commit that makes its
receipt readable; a stat there and a look into the store every 2 ms find both times. Start-up is from the
start of the process `gateway serve` to its ready line.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from io import BytesIO
from random import Random
from statistics import median
from typing import Final

import paramiko

from adapters.home.home import Home
from bench.customs import over_amqp, serving_customs
from bench.harness import home
from bench.report import percentile, show, table
from bench.serving import PATIENCE, serving
from bench.traffic import ACCOUNT, KINDS, Broker, Sent
from tests.support.rabbitmq import Rabbit
from tests.support.sftp_client import Login

SIZE: Final = "7 KB"
DECLARATIONS: Final = 60
STARTS: Final = 5
_LOOK: Final = 0.002
_CLOSED: Final = "SELECT 1 FROM messages WHERE kind = 'inbound' AND name = ? AND customs_status = 'closed'"


def main() -> None:
    made = table("idle: milliseconds", *("what", "times", "median", "p99", "longest"))
    with home() as base, Rabbit() as rabbit:
        over_amqp(base, rabbit)
        starts = []
        for _ in range(STARTS):
            with serving(base) as served:
                starts.append(served.ready_after)
        made.add_row("start to ready line", *_figures(starts))
        with serving(base) as served, serving_customs(base):
            login = Login(ACCOUNT, base.path / "clients" / ACCOUNT, served.host, served.port)
            broker = Broker(base)
            for kind, make in KINDS.items():
                sent = [make(broker, SIZE, f"I{len(kind)}-{each}") for each in range(DECLARATIONS)]
                with login.session() as sftp:
                    waits = [_send(sftp, base, each) for each in _spaced(sent)]
                made.add_row(f"{SIZE} {kind}: rename to receipt", *_figures([wait for wait, _ in waits]))
                made.add_row(f"{SIZE} {kind}: rename to closed", *_figures([wait for _, wait in waits]))
    show(made)


def _spaced(sent: Sequence[Sent]) -> Iterator[Sent]:
    """With pauses of different length, so that they fall on no beat of the node's own."""
    drawn = Random(1)  # noqa: S311  # pauses, no secret
    for each in sent:
        time.sleep(drawn.uniform(0.2, 0.5))
        yield each


def _send(sftp: paramiko.SFTPClient, base: Home, sent: Sent) -> tuple[float, float]:
    """Seconds to the receipt and to the end."""
    final = f"/OutBox/{sent.name}"
    sftp.putfo(BytesIO(sent.body), f"{final}.tmp")
    sftp.rename(f"{final}.tmp", final)
    renamed = time.perf_counter()
    while not is_there(sftp, f"/SentBox/{sent.name}"):
        _wait(renamed)
    receipted = time.perf_counter() - renamed
    with closing(sqlite3.connect(base.database)) as store:
        while store.execute(_CLOSED, (sent.name,)).fetchone() is None:
            _wait(renamed)
    return receipted, time.perf_counter() - renamed


def _wait(since: float) -> None:
    assert time.perf_counter() < since + PATIENCE, "nothing has come of it"
    time.sleep(_LOOK)


def is_there(sftp: paramiko.SFTPClient, path: str) -> bool:
    try:
        sftp.stat(path)
    except FileNotFoundError:
        return False
    return True


def _figures(seconds: list[float]) -> tuple[str, ...]:
    waits = [1000 * each for each in seconds]
    figures = (median(waits), percentile(waits, 0.99), max(waits))
    return (str(len(waits)), *(f"{each:.0f}" for each in figures))
