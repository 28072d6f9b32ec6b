"""Memory of the whole gateway while it processes one package of 512 MB: the goal is less than 300 MB.

Proportional set sizes (what is shared counts once) of the `gateway serve` process and all that it started,
from /proc, summed and sampled while `sftp` uploads the package and until customs has closed it. It holds
128 PDFs of almost 4 MB, stored, and is accepted.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

from bench.clients import Clients
from bench.harness import home
from bench.processes import descendants
from bench.report import show, table
from bench.serving import Progress, serving, when
from bench.traffic import Broker, scan
from tests.support.declarations import Document, small
from tests.support.rendering import files

GOAL = 300
DOCUMENTS = 128
DOCUMENT_SIZE = 4_190_000  # so that the package stays just below 512 MB
PAGES = 11
EVERY = 0.05


def main() -> None:
    rows = table(
        "memory: proportional set size of all processes, MB", *("moment", "node", "workers", "all", "of goal")
    )
    with home() as base, serving(base) as served:
        package = _package(base.path, Broker(base))
        rows.add_row("idle", *_row(_sizes(served.pid)))
        progress, clients = Progress(base), Clients(base, served)
        with _sampled(served.pid) as samples:
            begun = clients.send([package])
            receipted = when(progress.finally_receipted, 1) - begun
            closed = when(progress.closed_by_customs, 1) - begun
            clients.wait()
        assert progress.refused() == 0
        rows.add_row(f"peak, package of {package.stat().st_size >> 20} MB", *_row(max(samples, key=_total)))
        rows.add_row("after it", *_row(_sizes(served.pid)))
        rows.caption = f"receipted after {receipted:.1f} s, closed after {closed:.1f} s; goal {GOAL} MB"
    show(rows)


def _package(folder: Path, broker: Broker) -> Path:
    documents = tuple(Document(body=scan(DOCUMENT_SIZE, PAGES)) for _ in range(DOCUMENTS))
    declaration = replace(small("BENCH-LARGE"), documents=documents)
    path = folder / "BENCH-LARGE.zip"
    with ZipFile(path, "w", ZIP_STORED) as archive:
        archive.writestr("BENCH-LARGE.xml", broker.signed(declaration))
        for name, body in files(declaration).items():
            archive.writestr(name, body)
    return path


@contextmanager
def _sampled(pid: int) -> Iterator[list[dict[int, int]]]:
    samples = [_sizes(pid)]
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(EVERY):
            samples.append(_sizes(pid))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


def _sizes(pid: int) -> dict[int, int]:
    """Bytes of the process (first) and of each of its descendants."""
    return {each: _proportional(each) for each in (pid, *descendants(pid))}


def _proportional(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def _total(sizes: dict[int, int]) -> int:
    return sum(sizes.values())


def _row(sizes: dict[int, int]) -> tuple[str, ...]:
    node, *others = (size / (1 << 20) for size in sizes.values())
    whole = node + sum(others)
    return f"{node:.0f}", f"{sum(others):.0f}", f"{whole:.0f}", f"{whole / GOAL:.2f}"
