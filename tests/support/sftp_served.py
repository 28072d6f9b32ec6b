"""The real SFTP server over the real store and files of a temporary folder, for tests that connect to it."""

import asyncio
import os
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import insert, select

from adapters.blobs.filesystem import FilesystemBlobs
from adapters.blobs.packages import Packages
from adapters.channels.sftp_server.server import SftpServer
from adapters.home.host_keys import HostKey, read_host_keys
from adapters.home.ssh_keys import make_ed25519, write_private
from adapters.store.database import Database, sqlite_engine
from adapters.store.read.dossiers import SqlDossiers
from adapters.store.read.mailbox import SqlMailbox
from adapters.store.tables.messages import messages, metadata, packages, receipts
from adapters.store.write.allowances import Allowances
from adapters.store.write.messages import SqlMessages
from gateway.model.decision import Decision
from gateway.model.folders import Folder
from gateway.model.message import Arrival, Receipt, ReceiptKind, Received
from gateway.model.parties import Account
from gateway.model.policy import Policy
from gateway.model.states import Event
from gateway.model.transition import Applied
from gateway.receive.allowance import UploadAllowance
from gateway.receive.ports import Intake
from tests.support.judging import families
from tests.support.sftp_client import Login

T = TypeVar("T")


class ManualClock:
    """Real time, moved forward by hand."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class SftpHarness:
    """A running server with the accounts `broker` and `other`; a test may replace `intake`."""

    def __init__(
        self, root: Path, blobs_root: Path | None = None, host_keys: Sequence[HostKey] | None = None
    ) -> None:
        self.root = root
        self.clock = ManualClock()
        self.reserve_percent = 0.0
        self.blobs_root = blobs_root or root / "blobs"
        engine = sqlite_engine(root / "store.sqlite")
        metadata.create_all(engine)
        self.blobs = Packages(FilesystemBlobs(self.blobs_root), engine.connect)
        self.database = Database(engine)
        self.messages = SqlMessages(self.database)
        self.mailbox = SqlMailbox(self.database)
        self.accounts: dict[str, Account] = {}
        self.loop = asyncio.new_event_loop()
        self.intake: Intake = self.messages
        private, self.host_line = make_ed25519()
        write_private(root / "ssh_host_ed25519", private)
        self.server = SftpServer(
            "127.0.0.1",
            0,
            host_keys or read_host_keys(root),
            lambda name: self.accounts.get(name),
            self,
            self.mailbox,
            SqlDossiers(self.database, families()),
            self.blobs,
            self.clock,
            self.loop,
            self._room,
            root / "unfinished",
        )
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.host, self.port = self.server.start()
        self.broker = self.login("broker")
        self.other = self.login("other")

    async def add(
        self, arrival: Arrival, sender: Account | None = None, *, body: bytes | None = None
    ) -> None:
        await self.intake.add(arrival, sender, body=body)

    async def _room(self, account: Account) -> UploadAllowance:
        return await Allowances(self.database, self.root, self.reserve_percent, Policy, self.clock).room(
            account
        )

    def login(self, account: str, *, key: tuple[bytes, str] | None = None) -> Login:
        """An account of this name with a key of its own."""
        folder = self.root / "clients" / account
        folder.mkdir(parents=True)
        private, public = key or make_ed25519()
        write_private(folder / "id_ed25519", private)
        (folder / "known_hosts").write_text(f"[{self.host}]:{self.port} {self.host_line}\n")
        self.accounts[account] = Account(name=account, keys=(public,))
        return Login(account, folder, self.host, self.port)

    def limit(self, account: str, **limits: object) -> None:
        self.accounts[account] = replace(self.accounts[account], **limits)  # type: ignore[arg-type]  # fields by name

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(call, self.loop).result(30)

    def arrived(self, account: str = "broker") -> list[tuple[str, str, int]]:
        """Name, digest and size of what the account was acknowledged, oldest first."""
        query = select(messages.c.name, messages.c.sha256, messages.c.size).where(
            messages.c.account == account
        )
        rows = self.run(
            self.database.read(lambda reader: reader.execute(query.order_by(messages.c.seq)).all())
        )
        return [(row.name, row.sha256, row.size) for row in rows]

    def bodies(self) -> list[tuple[str, bytes]]:
        collected = []
        for name, sha256, _ in self.arrived():
            with self.blobs.open(sha256) as stream:
                collected.append((name, stream.read()))
        return collected

    def judge(self, event: Event, *receipts: Receipt) -> list[str]:
        """Gives every message that waits the same judgement; returns their ids."""
        claimed: Sequence[Received] = self.run(self.messages.claim(1000, self.clock(), timedelta()))
        for received in claimed:
            decision = Decision(
                message=received.arrival.id,
                attempt=received.attempts,
                fence=received.fence,
                event=event,
                receipts=receipts,
            )
            assert isinstance(self.run(self.messages.decide(decision, self.clock())), Applied)
        return [received.arrival.id for received in claimed]

    def fill_inbox(self, account: str, number: int, first: int = 0) -> None:
        """So many receipts in the InBox of the account, beside the way of a judgement."""
        rows = [
            {
                "message": "0" * 26,
                "verdict": "",
                "account": account,
                "folder": Folder.INBOX,
                "name": f"Receipt_{index:06}.xml",
                "kind": ReceiptKind.BUSINESS,
                "final": False,
                "superseded": False,
                "body": b"<Receipt/>",
                "size": 10,
                "created_at": self.clock(),
            }
            for index in range(first, first + number)
        ]
        self.run(
            self.database.write(lambda transaction: transaction.connection.execute(insert(receipts), rows))
        )

    def spools(self) -> list[str]:
        return os.listdir(self.blobs_root / "spool")

    def stored(self) -> list[str]:
        """The digests of all packages, and the names of spools."""
        rows = self.run(
            self.database.read(lambda reader: reader.execute(select(packages.c.sha256)).scalars())
        )
        return sorted([*rows, *(path.name for path in self.blobs_root.rglob("*") if path.is_file())])

    def close(self) -> None:
        self.server.stop(5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
        self.database.close()


@contextmanager
def serving(
    root: Path, blobs_root: Path | None = None, host_keys: Sequence[HostKey] | None = None
) -> Iterator[SftpHarness]:
    """`host_keys` are such as clients have not been told of; else there is one that they know."""
    served = SftpHarness(root, blobs_root, host_keys)
    try:
        yield served
    finally:
        served.close()
