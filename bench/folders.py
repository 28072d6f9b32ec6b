"""Folders over SFTP: memory of open folders, and how long others wait during continuous listings.

The server runs in its own process. Goals (November 2026): 1,000 open folders of 30,000 entries take less than
100 MB; four listings of a box of 700,000 receipts take less than 50 MB, and others wait 0.3 s at most.
"""

import multiprocessing
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from paramiko.sftp import CMD_OPENDIR, CMD_READDIR

from bench.report import show, table
from tests.support.sftp_client import Login
from tests.support.sftp_served import serving

MANY, LARGE = 30_000, 700_000
OPEN, HANDLES = 1_000, 250  # in total, and per session
LISTING = (4, 16)
SECONDS = 20.0


def main() -> None:
    rows = table("SFTP folders", *("what", "memory of it, MB", "others wait: median s", "longest s"))
    with _server(MANY) as served:
        before = served.memory()
        with ExitStack() as stack:
            for _ in range(OPEN // HANDLES):
                client = stack.enter_context(served.broker.session())
                for _ in range(HANDLES):
                    _kind, opened = cast(Any, client)._request(CMD_OPENDIR, "/InBox")
                    cast(Any, client)._request(CMD_READDIR, opened.get_binary())
            rows.add_row(f"{OPEN} open folders of {MANY}", f"{served.memory() - before:.0f}", "", "")
        _waits(rows, served, LISTING[1], MANY)
    with _server(LARGE) as served:
        _waits(rows, served, LISTING[0], LARGE)
    show(rows)


def _waits(rows: Any, served: "_Served", listing: int, entries: int) -> None:
    before, most = served.memory(), 0.0
    lists = [
        subprocess.Popen(
            served.broker.command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(listing)
    ]
    for each in lists:
        assert each.stdin is not None
        threading.Thread(target=_feed, args=(each,), daemon=True).start()
    waits = []
    with served.other.session() as client:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            began = time.monotonic()
            client.listdir("/OutBox")  # waits for a turn, the event loop and the store
            waits.append(time.monotonic() - began)
            most = max(most, served.memory() - before)
            threading.Event().wait(0.05)
    for each in lists:
        each.kill()
        each.wait()
    waits.sort()
    named = f"{listing} listings of {entries} without a pause"
    rows.add_row(named, f"{most:.0f}", f"{waits[len(waits) // 2]:.3f}", f"{waits[-1]:.3f}")


def _feed(client: "subprocess.Popen[bytes]") -> None:
    assert client.stdin is not None
    try:
        client.stdin.write(b"ls -1 /InBox\n" * 1000)
        client.stdin.close()
    except OSError:  # it was killed, as all processes are at the end
        return


class _Served:
    def __init__(self, pid: int, broker: Login, other: Login) -> None:
        self.pid, self.broker, self.other = pid, broker, other

    def memory(self) -> float:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def _server(receipts: int) -> Iterator[_Served]:
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_serve, args=(theirs, receipts))
    process.start()
    try:
        assert process.pid is not None
        yield _Served(process.pid, *ours.recv())
    finally:
        ours.send(None)
        process.join()


def _serve(pipe: Connection, receipts: int) -> None:
    with TemporaryDirectory() as folder, serving(Path(folder)) as served:
        for account in ("broker", "other"):
            served.limit(account, max_sessions=64)
        step = 10_000
        for begin in range(0, receipts, step):
            served.fill_inbox("broker", step, begin)
        pipe.send((served.broker, served.other))
        pipe.recv()


if __name__ == "__main__":
    main()
