"""Homes that nodes of earlier releases left, killed with work of every kind open: `tests.homes.make`."""

import json
import sqlite3
import tarfile
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import Select, select

from adapters.store.database import Database, sqlite_engine
from adapters.store.tables.messages import deliveries, messages, receipts, requests
from adapters.store.tables.queues import to_post, to_request
from gateway.model.states import DeliveryState, State
from tests.support.acts import release
from tests.support.invariants import violations
from tests.system.conftest import Mortal

ARCHIVES: Final = sorted((Path(__file__).parents[1] / "homes").glob("*.tar.gz"))
# The node starts so long after the kill that what was put back is due again; after as long again, the sender
# of what it holds is told.
PAUSE: Final = timedelta(minutes=10)


class ArchivedHome(Mortal):
    """The home of an archive, served by a clock that goes on from the kill. `ends` has the state in which
    each message must end, by its reference."""

    def __init__(self, folder: Path, archive: Path) -> None:
        self._archive = archive
        super().__init__(folder)
        description = json.loads(Path(str(archive).replace(".tar.gz", ".json")).read_text("utf-8"))
        self.ends: dict[str, str] = description["ends"]
        since_the_kill = datetime.now(UTC) - datetime.fromisoformat(description["killed_at"])
        self._ahead = -since_the_kill
        self.hurry_on()
        (partner,) = self.home.settings().partner.values()
        self.hosting = partner.account
        self.hosted = self.home.path / partner.folder
        (self.hosted / "OutBox").mkdir(parents=True)

    def create_home(self) -> None:
        with tarfile.open(self._archive) as archive:
            archive.extractall(self.home.path.parent, filter="data")

    def hurry_on(self) -> None:
        self._ahead += PAUSE
        self.hurry(int(self._ahead.total_seconds()))

    def read_all(self, query: Select[Any]) -> Sequence[Any]:
        with self.reading() as store:
            return store.execute(query).scalars().all()

    def states(self) -> dict[str, str]:
        """Of the declarations, by reference: their files are named by it."""
        query = select(messages.c.name, messages.c.state).where(messages.c.kind == "inbound")
        with self.reading() as store:
            states = {name.removesuffix(".xml"): state for name, state in store.execute(query).all()}
        return {reference: state for reference, state in states.items() if reference in self.ends}

    def open_work(self) -> dict[str, Sequence[Any]]:
        """What a node has still to do by itself; of what is held, that its sender is not told yet."""
        on_the_way = (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.UNKNOWN)
        statement = select(receipts.c.message).where(receipts.c.verdict == State.HELD)
        held = (messages.c.state == State.HELD, messages.c.id.not_in(statement))
        waits = (messages.c.kind == "answer", messages.c.state == State.WAITING)
        queries = {
            "received": select(messages.c.name).where(messages.c.state == State.RECEIVED),
            "on the way": select(deliveries.c.key).where(deliveries.c.state.in_(on_the_way)),
            "answers that wait": select(messages.c.name).where(*waits),
            "receipts to post": select(to_post.c.item),
            "requests to send": select(to_request.c.item),
            "requests not sent": select(requests.c.message).where(requests.c.told_at.is_(None)),
            "held, not told": select(messages.c.name).where(*held),
        }
        work = {kind: self.read_all(query) for kind, query in queries.items()}
        return {kind: rows for kind, rows in work.items() if rows}

    def release(self, reference: str) -> None:
        """As an operator does, by the node's clock."""
        now = datetime.now(UTC) + self._ahead
        (message,) = self.read_all(select(messages.c.id).where(messages.c.name == f"{reference}.xml"))
        with closing(Database(sqlite_engine(self.home.database))) as database:
            database.submit(lambda to: release(to, message, "operator", "it may go on", now)).result()

    def filed(self) -> Counter[str]:
        """How often customs took a declaration under each reference."""
        with closing(sqlite3.connect(self.home.path / "backends" / "customs" / "customs.db")) as customs:
            query = "SELECT reference FROM submissions JOIN calls USING (key) WHERE outcome = 'taken'"
            return Counter(reference for (reference,) in customs.execute(query))


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda archive: archive.name.removesuffix(".tar.gz"))
def test_work_left_open_by_a_killed_node_of_an_earlier_release_is_finished_once(
    archive: Path, tmp_path: Path
) -> None:
    gateway = ArchivedHome(tmp_path, archive)
    with gateway:
        gateway.until(lambda: gateway.states() == gateway.ends)
        gateway.hurry_on()
        gateway.until(lambda: not gateway.open_work())
        held = {reference: State.CLOSED for reference, end in gateway.ends.items() if end == State.HELD}
        for reference in held:
            gateway.release(reference)
        gateway.until(lambda: gateway.states() == gateway.ends | held and not gateway.open_work())
        assert gateway.stop() == 0

    assert violations(gateway.home) == []
    audit = gateway.cli("audit", "verify")
    assert audit.returncode == 0, audit.stdout
    assert gateway.filed() == {ref: 1 for ref, end in gateway.states().items() if end == State.CLOSED}
    posted = gateway.read_all(select(receipts.c.name).where(receipts.c.account == gateway.hosting))
    assert sorted(file.name for file in (gateway.hosted / "InBox").iterdir()) == sorted(posted)
