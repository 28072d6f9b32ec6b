"""Judging without a node: the pipeline on a real home, set up as in a worker process."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from adapters.blobs.packages import Packages
from adapters.cli.init.init import create_home
from adapters.home.home import Home
from adapters.store.prepared import PreparedConnection
from adapters.store.read.register import SqlRegister
from bench.traffic import ACCOUNT, Sent
from gateway.judge.pipeline import judge
from gateway.model.decision import Decision
from gateway.model.message import Arrival, ChainLink, Received, new_id
from gateway.model.states import Event


def now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def home() -> Iterator[Home]:
    """A fresh home in a temporary folder, with a free port for SFTP."""
    with TemporaryDirectory(prefix="gateway-bench-") as folder:
        yield create_home(Path(folder) / "home", 0, now())


class Harness:
    """Everything needed for judging, loaded once."""

    def __init__(self, home: Home) -> None:
        self.rules = home.rules()
        self.signer = home.signer()
        reader = PreparedConnection(home.reader())
        self._packages = Packages.of(home, lambda: nullcontext(reader))
        self._small: dict[str, bytes] = {}  # as the store has them, but for the commit
        self._register = SqlRegister.over(reader)
        gc.freeze()  # as a worker process does

    def keep(self, sent: Sent) -> Received:
        """Keeps the package; returns the message that it would become."""
        spool = self._packages.spool()
        spool.write(0, sent.body)
        package = spool.keep()
        if package.body is not None:
            self._small[package.sha256] = package.body
        return Received(
            arrival=Arrival(
                id=new_id(now(), bytes(10)),
                account=ACCOUNT,
                channel="sftp",
                name=sent.name,
                sha256=package.sha256,
                size=package.size,
                received_at=now(),
            ),
            attempts=1,
            link=ChainLink(sequence=1, digest="0" * 64),
        )

    def opened(self, sha256: str) -> IO[bytes]:
        small = self._small.get(sha256)
        return self._packages.open(sha256) if small is None else BytesIO(small)

    def judge(self, received: Received) -> Decision:
        """The decision, which must be to accept, since refusals are quicker and would distort the result."""
        blob = partial(self.opened, received.arrival.sha256)
        decision = judge(received, blob, self.rules, self._register, self.signer, now())
        assert decision.event is Event.PASSED, decision.findings
        return decision
