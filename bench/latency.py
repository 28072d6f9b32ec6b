"""A broker's waiting time, from the acknowledged rename to a readable signed gateway receipt.

Measured at half the rate that the same node has just reached (7 KB signed, PDF of 200 KB), over eight
paramiko sessions in the benchmark's own process. The message moves to SentBox in the commit that makes its
receipt readable, so a stat there every 5 ms finds the time; at the end every receipt is checked to be there.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from statistics import median

from adapters.home.home import Home
from bench.clients import CONNECTIONS
from bench.idle import is_there
from bench.report import percentile, show, table
from bench.serving import Serving
from bench.throughput import Course, course
from bench.traffic import ACCOUNT, Broker, Sent
from tests.support.sftp_client import Login

SIZE = "7 KB"
KIND = "signed, PDF of 200 KB"
SECONDS = 15.0
POLL = 0.005


def main() -> None:
    rows = table(
        "latency: rename acknowledged to signed receipt readable, at half of the measured throughput",
        *("message", "throughput /s", "offered /s", "messages", "median ms", "p99 ms", "longest ms"),
    )
    with course() as running:
        given = running.loops.inputs(SIZE, KIND)
        whole = running.run(SIZE, KIND, given, 0).receipted
        waits = _measured(running, whole / 2)
    rows.add_row(
        f"{SIZE} {KIND}",
        *(f"{whole:.0f}", f"{whole / 2:.0f}", f"{len(waits)}"),
        *(f"{1000 * wait:.0f}" for wait in (median(waits), percentile(waits, 0.99), max(waits))),
    )
    show(rows)


def _measured(running: Course, rate: float) -> list[float]:
    number = max(CONNECTIONS, int(rate * SECONDS))
    broker = Broker(running.home)
    sent = [broker.with_pdf(SIZE, f"W-{each}") for each in range(number)]
    start = time.perf_counter() + 2.0  # all sessions are logged in by then
    with ThreadPoolExecutor(CONNECTIONS) as sessions:
        shares = [
            sessions.submit(
                _send,
                _login(running.home, running.served),
                sent[first::CONNECTIONS],
                start + first / rate,
                CONNECTIONS / rate,
            )
            for first in range(CONNECTIONS)
        ]
        return [wait for share in shares for wait in share.result()]


def _login(home: Home, served: Serving) -> Login:
    return Login(ACCOUNT, home.path / "clients" / ACCOUNT, served.host, served.port)


def _send(login: Login, sent: Sequence[Sent], start: float, every: float) -> list[float]:
    """Sends one package at `start` and then every `every` seconds; returns the wait for each receipt."""
    waits = []
    with login.session() as sftp:
        for number, each in enumerate(sent):
            time.sleep(max(0.0, start + number * every - time.perf_counter()))
            sftp.putfo(BytesIO(each.body), f"/OutBox/{each.name}.tmp")
            sftp.rename(f"/OutBox/{each.name}.tmp", f"/OutBox/{each.name}")
            renamed = time.perf_counter()
            while not is_there(sftp, f"/SentBox/{each.name}"):
                assert time.perf_counter() < renamed + 60, "no receipt"
                time.sleep(POLL)
            waits.append(time.perf_counter() - renamed)
        listed = sftp.listdir("/InBox")
        for each in sent:
            base = each.name.rsplit(".", 1)[0]
            (receipt,) = (name for name in listed if name.startswith(f"Gateway_{base}_"))
            with sftp.open(f"/InBox/{receipt}") as file:
                assert b"SignatureValue" in file.read()
    return waits
