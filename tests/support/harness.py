"""A home with its real store, blobs, register and signer, at which messages are judged one at a time."""

import asyncio
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Self

from sqlalchemy import Table, select

from adapters.blobs.packages import Packages
from adapters.cli.init.init import create_home
from adapters.home.clock import telling, utc_now
from adapters.home.home import Home
from adapters.store.database import Database, sqlite_engine
from adapters.store.prepared import PreparedConnection
from adapters.store.read.answered_declarations import SqlDeclarations
from adapters.store.read.register import SqlRegister
from adapters.store.tables.messages import deliveries, events, holders, messages, parties, receipts
from adapters.store.write.messages import SqlMessages
from adapters.store.write.parties import write
from gateway.formats.signing import XadesSigner
from gateway.formats.xml import trusted
from gateway.judge.pipeline import Rules, judge, pending_receipt
from gateway.model.decision import Decision
from gateway.model.message import Arrival, Receipt, Received, new_id
from gateway.model.parties import Party, PartyChange
from gateway.model.pending_receipt import PendingReceipt
from gateway.model.transition import Applied
from gateway.respond.decide_answers import AnswerRules, decided
from gateway.respond.ports import DecidedAnswers, ReceivedAnswer
from tests.support.judging import families
from tests.support.keys import identity

NOW: Final = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
LATER: Final = NOW + timedelta(hours=1)
_TABLES: Final = (messages, deliveries, holders, receipts, events, parties)

Row = dict[str, Any]


@cache
def _shared_home() -> TemporaryDirectory[str]:
    """Made once in a test run, since it makes nine pairs of keys; it goes with the process. What the gateway
    signs bears the real time, so its own certificate is valid on any day that tests are run."""
    folder = TemporaryDirectory(prefix="gateway-home-")
    home, pair = create_home(Path(folder.name), 0, NOW), identity("p-256", "gateway")
    home.signing_key.write_bytes(pair.key_pem)
    home.certificate.write_text(pair.certificate_pem)
    return folder


class _Judges:
    """ports.Judges in this process, with the home's own signer."""

    slots = workers = 1

    def __init__(self, harness: "Harness") -> None:
        self._harness = harness

    async def judge(self, received: Received, now: datetime) -> Decision:
        blob = partial(self._harness.blobs.open, received.arrival.sha256)
        return judge(received, blob, self._harness.rules, self._harness.register, self._harness.signer, now)

    async def decided(self, answers: Sequence[ReceivedAnswer]) -> DecidedAnswers:
        harness = self._harness
        rules = AnswerRules(
            families=harness.rules.families,
            policy=harness.rules.policy,
            declarations=harness.declarations,
            parties=harness.register,
            signer=harness.signer,
            clock=utc_now,
        )
        return decided(answers, rules)

    async def pending_receipt(self, pending: PendingReceipt, now: datetime) -> Receipt:
        return pending_receipt(
            pending, self._harness.rules, self._harness.register, self._harness.signer, now
        )

    async def signed(self, documents: Sequence[bytes]) -> Sequence[bytes]:
        return [self._harness.signer.sign(trusted(document)) for document in documents]


class Harness:
    """Closed by `close`. Each message arrives a second after the one before, the first after `start`. A
    command that runs in this process while it is open is told `now`, from an hour later on, so that no
    real clock meets fixed dates. Where another process works on the home, see `until_now`."""

    def __init__(self, path: Path, start: datetime = NOW) -> None:
        self.start, self.now = start, start + (LATER - NOW)
        self._told = ExitStack()
        self._told.enter_context(telling(self._tick))
        shutil.copytree(_shared_home().name, path)
        self.home = Home(path)
        self.database = Database(sqlite_engine(self.home.database))
        self.messages = SqlMessages(self.database)
        self._reader = sqlite_engine(self.home.database, read_only=True)
        self.blobs = Packages.of(self.home, self._reader.connect)
        self.register = SqlRegister(self._reader)
        self.signer = XadesSigner(
            self.home.signing_key.read_bytes(), self.home.certificate.read_text(), utc_now
        )
        self.rules = Rules(families=families(), policy=self.home.policy(), routes=self.home.routes())
        self.declarations = SqlDeclarations(PreparedConnection(self._reader))
        self.judges = _Judges(self)
        self._numbers = count(1)

    @classmethod
    @contextmanager
    def at(cls, path: Path, start: datetime = NOW) -> Iterator[Self]:
        harness = cls(path, start)
        try:
            yield harness
        finally:
            harness.close()

    @classmethod
    @contextmanager
    def until_now(cls, path: Path) -> Iterator[Self]:
        """Its story ends a minute before the real time: what other processes do with the home comes later."""
        with cls.at(path, datetime.now(UTC) - timedelta(hours=1, minutes=1)) as harness:
            yield harness

    def _tick(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def close(self) -> None:
        self._told.close()
        self.database.close()
        self._reader.dispose()

    def change(self, account: str, /, **changes: Any) -> Party:
        """Registers the party of this account anew, with these fields changed."""
        party = self.party(account)
        changed = replace(party, **changes)
        change = PartyChange(before=party, after=changed)
        self.database.submit(lambda to: write(to, [change], "tests", "", NOW)).result()
        return changed

    def change_account(self, account: str, **changes: Any) -> Party:
        """The same for the account itself."""
        present = self.party(account).account
        assert present is not None
        return self.change(account, account=replace(present, **changes))

    def party(self, account: str) -> Party:
        party = self.register.party_of(account)
        assert party is not None
        return party

    def received(self, account: str, name: str, body: bytes) -> Received:
        """Stored, added and claimed, as a channel and the node would."""
        spool = self.blobs.spool()
        spool.write(0, body)
        package = spool.keep()
        number = next(self._numbers)
        at = self.start + timedelta(seconds=number)
        arrival = Arrival(
            id=new_id(at, number.to_bytes(10, "big")),
            account=account,
            channel="sftp",
            name=name,
            sha256=package.sha256,
            size=package.size,
            received_at=at,
        )
        asyncio.run(self.messages.add(arrival, body=package.body))
        received = self.claimed(at)
        assert received.arrival == arrival
        return received

    def expired(self, at: datetime) -> int:
        """How many messages waited too long and are to be judged a last time."""
        return asyncio.run(self.messages.expire(at))

    def claimed(self, at: datetime) -> Received:
        """The one message that is to be judged."""
        (received,) = asyncio.run(self.messages.claim(2, at, timedelta(minutes=1)))
        return received

    def judgement(self, received: Received, at: datetime | None = None) -> Decision:
        """What the pipeline says, not committed. A second one of the same message needs a time of its own:
        receipts are named by it."""
        blob = partial(self.blobs.open, received.arrival.sha256)
        at = at or received.arrival.received_at + timedelta(milliseconds=250)
        return judge(received, blob, self.rules, self.register, self.signer, at)

    def judged(self, account: str, name: str, body: bytes) -> Decision:
        """The decision on a new message, committed."""
        received = self.received(account, name, body)
        decision = self.judgement(received)
        at = received.arrival.received_at + timedelta(milliseconds=500)
        assert isinstance(asyncio.run(self.messages.decide(decision, at)), Applied)
        return decision

    def rows(self, table: Table, **where: object) -> list[Row]:
        with self.database.engine.connect() as reader:
            found_rows = reader.execute(select(table).filter_by(**where).order_by(*table.primary_key))
            return [dict(row._mapping) for row in found_rows]

    def message(self, id_: str) -> Row:
        (row,) = self.rows(messages, id=id_)
        return row

    @contextmanager
    def nothing_else_touched(self) -> Iterator[None]:
        """What happens inside may add messages with receipts and events of their own; no row that was there
        changes, no key is taken and no delivery is made."""
        before = {table.name: self.rows(table) for table in _TABLES}
        yield
        after = {table.name: self.rows(table) for table in _TABLES}
        message_ids = {row["id"] for row in before["messages"]}
        for name in ("deliveries", "holders", "parties"):
            assert after[name] == before[name]
        for name, column in (("messages", "id"), ("receipts", "message"), ("events", "message")):
            assert [row for row in after[name] if row[column] in message_ids] == before[name]
