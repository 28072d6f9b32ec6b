"""Makes the home that a node leaves when it is killed with work of every kind open, as an archive that
`tests/system/test_homes_of_releases.py` opens, serves and drains in every later release.

    python -m tests.homes.make

It is run by hand, with a release whose tables the next one changes, and writes `REVISION.tar.gz` and
`REVISION.json` beside this file, named for the latest migration; they are never changed afterwards. The JSON
tells when the node was killed, since the test goes on from there by the node's clock: so neither certificates
nor waits run out, whenever it is run. It also tells the state in which each message must end.

The node of `tests.system.crashing` is killed three times: before it files answers of customs, while it sends
what waited for customs, and at last while both of its workers hang in a judgement and it sends again. What
none of these reaches is written as the release writes it:

- a message is put back with a later time by the store's own `put_back`, after the last kill;
- of another that is being judged the count says that two nodes died over it before;
- a reminder of documents falls due, in the store, while no worker is free to sign the request;
- customs' own ledger, no part of the store, tells the number of a declaration after the other answers that
  bear it, and only after the last kill.
"""

import asyncio
import json
import signal
import sqlite3
import tarfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from sqlalchemy import Update, func, select, update

from adapters.store.database import Database, sqlite_engine
from adapters.store.rows import received_of
from adapters.store.tables.messages import deliveries, messages, obligations, receipts, requests
from adapters.store.tables.queues import to_judge, to_post, to_request
from adapters.store.write.messages import SqlMessages
from gateway.model.states import DeliveryState, State
from gateway.run.worker import NODE_ENDS
from tests.support.association import ACCOUNT as ASSOCIATION
from tests.support.association import agreement, agreement_document, signed_notice
from tests.support.declarations import Declaration, enterprise, owing_nothing
from tests.support.invariants import violations
from tests.support.rendering import render
from tests.system.conftest import Mortal

FOLDER: Final = Path(__file__).parent
FETCHING: Final = "broker-aa"  # fetches its receipts
HOSTING: Final = "broker-b"  # has them put into its own folder, which is not there while the home is made
NEVER: Final = "195200016172301"  # an agreement of which no notice comes
COMES: Final = "195200016172302"
PUT_BACK_FOR: Final = timedelta(minutes=5)
# In one line: a `seconds` of its own is that of the judgements to the tests that configure homes.
PARTNER: Final = (
    f'\n[partner]\nhosted = {{account = "{HOSTING}", kind = "directory", folder = "hosted", seconds = 0.1}}\n'
)
ENDS: Final[Mapping[str, State]] = {
    # At its end before the kills, with documents that are due.
    "RELEASED-1": State.CLOSED,
    # Its answers wait for its number.
    "ANSWERED-1": State.CLOSED,
    # One agreement came for two of these, of which one can have it; the other never comes.
    "WAITS-1": State.WAITING,
    "WOKEN-1": State.CLOSED,
    "WOKEN-2": State.REJECTED,
    # Being sent when the node was killed for the second time, or not yet.
    "SENT-1": State.CLOSED,
    "SENT-2": State.CLOSED,
    "SENT-3": State.CLOSED,
    "SENT-4": State.HELD,  # by an operator, after the kill
    "SENT-5": State.CLOSED,
    "SENT-6": State.CLOSED,
    # The same when it was killed for the last time.
    "PENDING-1": State.CLOSED,
    "PENDING-2": State.CLOSED,
    "PENDING-3": State.CLOSED,
    "HELD-1": State.HELD,  # by an operator, not yet told
    # Claimed for judgement, the first one for the last time that is tried; put back; or not yet claimed.
    "CRASHED-1": State.HELD,
    "JUDGED-1": State.CLOSED,
    "PUT-BACK-1": State.CLOSED,
    "RECEIVED-1": State.CLOSED,
    "RECEIVED-2": State.CLOSED,
}


def main() -> None:
    with TemporaryDirectory() as folder, _configured(Path(folder)) as node:
        number = _leave_answers_that_wait(node)
        _leave_submissions_unknown(node)
        _leave_every_claim(node)
        killed_at = datetime.now(UTC)
        _put_back(node, "PUT-BACK-1", killed_at + PUT_BACK_FOR)
        crashed = select(messages.c.seq).where(messages.c.name == "CRASHED-1.xml").scalar_subquery()
        _set(node, update(to_judge).where(to_judge.c.item == crashed).values(attempts=NODE_ENDS))
        with _customs(node) as customs:
            customs.execute("INSERT INTO answers (key, name, body) VALUES (?, ?, ?)", number)
        _check(node)
        _pack(node, killed_at)


def _configured(folder: Path) -> Mortal:
    node = Mortal(folder)
    home = node.home.path
    node.configure("workers", "2")
    node.configure("seconds", "60")  # so that a worker may hang for as long as the rest takes
    settings = home / "gateway.toml"
    text = settings.read_text("utf-8")
    four = text.replace('kind = "reference"', 'at_once = 4\nkind = "reference"')
    settings.write_text(four + PARTNER, "utf-8")
    register = home / "parties.toml"
    name = f'name = "{HOSTING}"\n'
    register.write_text(register.read_text("utf-8").replace(name, f'{name}delivery = "folder"\n'), "utf-8")
    _done(node, "parties", "import", str(register), "--reason", "hosts its folders")
    return node


def _leave_answers_that_wait(node: Mortal) -> tuple[str, str, bytes]:
    """The answer of customs with the number that they wait for."""
    _send(node, FETCHING, Declaration(reference="RELEASED-1"))
    _until_states(node, State.CLOSED, "RELEASED-1")
    node.until(lambda: _count(node, requests) and not _count(node, requests, requests.c.told_at.is_(None)))
    node.plan("node", "file-answers", "before", 1)
    _send(node, FETCHING, owing_nothing("ANSWERED-1"))
    _killed(node)
    with _customs(node) as customs:
        (key,) = customs.execute("SELECT key FROM submissions WHERE reference = 'ANSWERED-1'").fetchone()
        first, name, body = customs.execute(
            "SELECT id, name, body FROM answers WHERE key = ? ORDER BY id LIMIT 1", (key,)
        ).fetchone()
        customs.execute("DELETE FROM answers WHERE id = ?", (first,))
        # As an exchange of files, it does not tell which submission is answered.
        customs.execute("UPDATE answers SET key = '' WHERE key = ?", (key,))
    node.start()
    node.until(lambda: _answers_that_wait(node) == 4)
    return key, name, body


def _leave_submissions_unknown(node: Mortal) -> None:
    """Where customs took some of them, and an operator holds one."""
    for reference, number in (("WAITS-1", NEVER), ("WOKEN-1", COMES), ("WOKEN-2", COMES)):
        _send(node, FETCHING, Declaration(reference=reference, documents=(agreement_document(number),)))
    _until_states(node, State.WAITING, "WAITS-1", "WOKEN-1", "WOKEN-2")
    _done(node, "backends", "pause", "customs", "--reason", "maintenance")
    sent = [reference for reference in ENDS if reference.startswith("SENT-")]
    for reference in sent:
        _send(node, FETCHING, owing_nothing(reference))
        _until_states(node, State.ACCEPTED, reference)
    node.plan("node", "a-sandbox-takes-a-submission", "after", 1)
    _done(node, "backends", "resume", "customs", "--reason", "it is over")
    _killed(node)
    _done(node, "backends", "pause", "customs", "--reason", "the node was killed")
    _done(node, "messages", "hold", "SENT-4", "--reason", "the trader asks for it")
    node.start()
    node.until(lambda: not _count(node, deliveries, deliveries.c.state == DeliveryState.SENDING))


def _leave_every_claim(node: Mortal) -> None:
    for reference in ("PENDING-1", "PENDING-2", "PENDING-3"):
        _send(node, HOSTING, _of_hosting(reference))
    _send(node, FETCHING, owing_nothing("HELD-1"))
    _until_states(node, State.ACCEPTED, "PENDING-1", "PENDING-2", "PENDING-3", "HELD-1")
    _done(node, "messages", "hold", "HELD-1", "--reason", "the trader asks for it")

    node.plan("worker", "CRASHED-1.xml", "hangs", 9)
    _send(node, FETCHING, owing_nothing("CRASHED-1"))
    node.until(lambda: _claimed(node) == {"CRASHED-1"})
    node.plan("worker", "WOKEN-1.xml", "hangs", 9)
    node.send(ASSOCIATION, "notice.xml", signed_notice(node.home, agreement(COMES)))
    node.until(lambda: _claimed(node) == {"CRASHED-1", "WOKEN-1"})
    # Each worker has one in its queue as well; and neither signs anything from now on.
    for reference in ("JUDGED-1", "PUT-BACK-1", "RECEIVED-1", "RECEIVED-2"):
        account, declaration = FETCHING, owing_nothing(reference)
        if reference == "JUDGED-1":
            account, declaration = HOSTING, _of_hosting(reference)
        _send(node, account, declaration)
    node.until(lambda: _claimed(node) == {"CRASHED-1", "WOKEN-1", "JUDGED-1", "PUT-BACK-1"})
    _set(
        node,
        update(obligations).where(obligations.c.remind_at.is_not(None)).values(remind_at=datetime.now(UTC)),
    )
    node.until(lambda: _count(node, requests, requests.c.told_at.is_(None)))

    node.plan("node", "a-sandbox-takes-a-submission", "before", 1)
    _done(node, "backends", "resume", "customs", "--reason", "it is over")
    _killed(node)


def _of_hosting(reference: str) -> Declaration:
    return Declaration(reference=reference, agent=enterprise(HOSTING), trader=enterprise("trader-aa"))


def _set(node: Mortal, change: Update) -> None:
    with closing(Database(sqlite_engine(node.home.database))) as database:
        database.submit(lambda transaction: transaction.connection.execute(change)).result()


def _put_back(node: Mortal, reference: str, not_before: datetime) -> None:
    with node.reading() as store:
        query = select(
            *(messages, to_judge.c.attempts.label("begun"), to_judge.c.fence.label("claim"), to_judge.c.owner)
        )
        of_name = query.join(to_judge, to_judge.c.item == messages.c.seq)
        row = store.execute(of_name.where(messages.c.name == f"{reference}.xml")).one()
    with closing(Database(sqlite_engine(node.home.database))) as database:
        database.owner = row.owner
        received = received_of(row, row.begun, row.claim)
        asyncio.run(SqlMessages(database).put_back(received, not_before, crashed=True))


def _check(node: Mortal) -> None:
    """Nothing is wrong, and every kind of open work is there."""
    assert violations(node.home) == []
    kinds = {
        "claimed": len(_claimed(node)),
        "claimed for the last time": _count(node, to_judge, to_judge.c.attempts == NODE_ENDS),
        "put back": _count(node, to_judge, to_judge.c.due_at > datetime.now(UTC)),
        "received": _count(node, messages, messages.c.state == State.RECEIVED),
        "woken": _count(
            node, messages, messages.c.state == State.RECEIVED, messages.c.waiting_for.is_not(None)
        ),
        "waiting": _count(node, messages, messages.c.state == State.WAITING, messages.c.kind == "inbound"),
        "answers that wait": _answers_that_wait(node),
        **{
            f"deliveries {state}": _count(node, deliveries, deliveries.c.state == state)
            for state in ("pending", "sending", "unknown", "held")
        },
        "receipts to post": _count(node, to_post),
        "requests to send": _count(node, to_request),
        "held": _count(node, messages, messages.c.state == State.HELD),
    }
    print(json.dumps(kinds, indent=2))
    assert all(kinds.values())
    assert not _count(node, receipts, receipts.c.verdict == State.HELD)


def _pack(node: Mortal, killed_at: datetime) -> None:
    with closing(sqlite3.connect(node.home.database)) as store:
        (revision,) = store.execute("SELECT version_num FROM alembic_version").fetchone()
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    description = {"killed_at": killed_at.isoformat(), "ends": ENDS}
    (FOLDER / f"{revision}.json").write_text(json.dumps(description, indent=2) + "\n", "utf-8")
    with tarfile.open(FOLDER / f"{revision}.tar.gz", "w:gz") as archive:
        archive.add(node.home.path, "home", filter=_kept)


def _kept(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Without samples, and without what tells of the machine."""
    if member.name == "home/samples":
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _send(node: Mortal, account: str, declaration: Declaration) -> None:
    node.send(account, f"{declaration.reference}.xml", render(declaration))


def _done(node: Mortal, *arguments: str) -> None:
    done = node.cli(*arguments)
    assert done.returncode == 0, done.stderr


def _killed(node: Mortal) -> None:
    assert node.ended() == -signal.SIGKILL
    assert violations(node.home) == []


def _until_states(node: Mortal, state: State, *references: str) -> None:
    names = [f"{reference}.xml" for reference in references]
    conditions = (messages.c.name.in_(names), messages.c.state == state)
    node.until(lambda: _count(node, messages, *conditions) == len(names))


def _claimed(node: Mortal) -> Collection[str]:
    with node.reading() as store:
        query = select(messages.c.name).join(to_judge, to_judge.c.item == messages.c.seq)
        query = query.where(to_judge.c.lease_until.is_not(None))
        return {name.removesuffix(".xml") for name in store.execute(query).scalars()}


def _answers_that_wait(node: Mortal) -> int:
    return _count(node, messages, messages.c.kind == "answer", messages.c.state == State.WAITING)


def _count(node: Mortal, table: Any, *where: Any) -> int:
    with node.reading() as store:
        return int(store.execute(select(func.count()).select_from(table).where(*where)).scalar_one())


@contextmanager
def _customs(node: Mortal) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(node.home.path / "backends" / "customs" / "customs.db")) as customs, customs:
        yield customs


if __name__ == "__main__":
    main()
