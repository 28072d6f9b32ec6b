"""Looks into a party's OutBox, one at a time: what is taken at which, over real folders and a real store."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from adapters.blobs.filesystem import FilesystemBlobs
from adapters.channels.sftp_partner.claim_names import FileClaim, claim_of
from adapters.channels.sftp_partner.ports import PartnerPorts, PartnerThread
from adapters.channels.sftp_partner.pull_uploads import UploadPuller
from adapters.store.database import Database, sqlite_engine
from adapters.store.read.mailbox import SqlMailbox
from adapters.store.tables.messages import metadata
from adapters.store.write.messages import SqlMessages
from adapters.store.write.receipt_delivery import SqlReceiptDeliveries
from adapters.transport.files.local import LocalFiles
from gateway.model.message import Arrival, new_id
from gateway.model.parties import Account
from gateway.receive.allowance import Disk, SentToday, UploadAllowance, room
from gateway.receive.ports import Intake

MARK = "0123abcd"
PARTY = Account(name="party", keys=(), max_package=4096)


class PollerHarness:
    """`before_add` is called when a file was fetched and is about to be added."""

    def __init__(self, root: Path) -> None:
        self.out, self.fail = root / "theirs" / "OutBox", root / "theirs" / "FailBox"
        for folder in ("OutBox", "InBox", "SentBox", "FailBox"):
            (root / "theirs" / folder).mkdir(parents=True)
        self.now = datetime.now(UTC)
        self.before_add: Callable[[], None] = lambda: None
        self.arrived: list[Arrival] = []
        engine = sqlite_engine(root / "store.sqlite")
        metadata.create_all(engine)
        self.database = Database(engine)
        self.thread = PartnerThread()
        self._messages: Intake = SqlMessages(self.database)
        self.ports = PartnerPorts(
            intake=self,
            mailbox=SqlMailbox(self.database),
            deliveries=SqlReceiptDeliveries(self.database),
            blobs=FilesystemBlobs(root / "blobs"),
            clock=lambda: self.now,
            mark=MARK,
        )
        self.spools = root / "blobs" / "spool"
        self.puller = UploadPuller("theirs", LocalFiles(root / "theirs"), self.thread, self.ports)

    async def add(
        self, arrival: Arrival, sender: Account | None = None, *, body: bytes | None = None
    ) -> None:
        self.before_add()
        await self._messages.add(arrival, sender, body=body)
        self.arrived.append(arrival)

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            run(self.puller.collect(PARTY, asyncio.Event()))

    def names(self) -> list[str]:
        return sorted(os.listdir(self.out))

    def close(self) -> None:
        self.thread.close()
        self.database.close()


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


@pytest.fixture
def looking(tmp_path: Path) -> Iterator[PollerHarness]:
    with closing(PollerHarness(tmp_path)) as looking:
        yield looking


def test_a_file_is_taken_when_two_looks_found_it_the_same(looking: PollerHarness) -> None:
    file = looking.out / "a.xml"
    file.write_bytes(b"<a")
    looking.look()
    file.write_bytes(b"<a/>")
    looking.look()
    os.utime(file, ns=(0, 0))
    looking.look()
    assert looking.arrived == []

    looking.look()
    (arrival,) = looking.arrived
    assert (arrival.name, arrival.size, arrival.account) == ("a.xml", 4, "party")
    assert looking.names() == [FileClaim("a.xml", arrival.id, MARK).file]
    looking.look(3)
    assert looking.arrived == [arrival]


def test_a_file_beyond_the_accounts_allowance_stays_in_its_folder_until_there_is_room(
    looking: PollerHarness,
) -> None:
    bound = replace(PARTY, daily_bytes=2)
    sent = SentToday()

    async def allowance_left(_account: Account) -> UploadAllowance:
        return room(bound, sent, Disk(free=1, reserve=0))

    ports = replace(looking.ports, room=allowance_left)
    looking.puller = UploadPuller("theirs", LocalFiles(looking.out.parent), looking.thread, ports)
    (looking.out / "a.xml").write_bytes(b"<a/>")
    looking.look(3)
    assert (looking.names(), looking.arrived) == (["a.xml"], [])

    bound = replace(bound, daily_bytes=None)
    looking.look()
    assert len(looking.arrived) == 1


def test_a_file_whose_allowance_is_used_up_while_it_is_fetched_gets_its_name_back(
    looking: PollerHarness,
) -> None:
    sender = replace(PARTY, daily_messages=1)

    async def allowance_left(_account: Account) -> UploadAllowance:
        return room(sender, SentToday(), Disk(free=1, reserve=0))

    ports = replace(looking.ports, room=allowance_left)
    looking.puller = UploadPuller("theirs", LocalFiles(looking.out.parent), looking.thread, ports)
    for name in ("a.xml", "b.xml"):
        (looking.out / name).write_bytes(b"<a/>")
    for _ in range(3):
        run(looking.puller.collect(sender, asyncio.Event()))
    (arrival,) = looking.arrived
    assert looking.names() == sorted([FileClaim("a.xml", arrival.id, MARK).file, "b.xml"])


def test_a_file_that_could_not_be_added_gets_its_name_back(looking: PollerHarness) -> None:
    def full() -> None:
        raise RuntimeError("disk full")

    (looking.out / "a.xml").write_bytes(b"<a/>")
    looking.look()
    looking.before_add = full
    with pytest.raises(RuntimeError):
        looking.look()
    assert looking.names() == ["a.xml"]
    assert not list(looking.spools.iterdir())

    looking.before_add = lambda: None
    looking.look(2)
    assert len(looking.arrived) == 1


def test_a_new_file_of_the_same_name_is_not_lost_when_a_claimed_file_cannot_be_stored(
    looking: PollerHarness,
) -> None:
    def replaced() -> None:
        (looking.out / "a.xml").write_bytes(b"<second/>")
        raise RuntimeError("disk full")

    (looking.out / "a.xml").write_bytes(b"<a/>")
    looking.look()
    looking.before_add = replaced
    with pytest.raises(RuntimeError):
        looking.look()
    looking.before_add = lambda: None
    looking.look(3)
    assert [arrival.size for arrival in looking.arrived] == [4, 9]


def test_a_file_that_is_still_written_to_after_its_claim_is_given_back(looking: PollerHarness) -> None:
    with (looking.out / "a.xml").open("wb", buffering=0) as writing:
        writing.write(b"<a>")
        looking.look()
        claim = FileClaim("a.xml", new_id(looking.now, bytes(10)), MARK)
        # The claim of a node that died, with what its writer has written since.
        (looking.out / "a.xml").rename(looking.out / claim.file)
        writing.write(b"</a>")
    looking.look()
    (arrival,) = looking.arrived
    assert (arrival.id, arrival.size) == (claim.message, 7)


def test_a_file_that_vanishes_is_no_trouble(looking: PollerHarness) -> None:
    (looking.out / "a.xml").write_bytes(b"<a/>")
    looking.look()
    (looking.out / "a.xml").unlink()
    looking.look()
    assert looking.arrived == []


def test_a_file_that_cannot_be_read_is_reported_once_and_delays_no_other(
    looking: PollerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.xml", "b.xml"):
        (looking.out / name).write_bytes(b"<x/>")
    really = os.open

    def refusing(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if ".a.xml." in str(path):
            raise PermissionError(13, "Permission denied")
        return really(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refusing)
    with capture_logs() as logs:
        looking.look(5)
    assert [arrival.name for arrival in looking.arrived] == ["b.xml"]
    assert "a.xml" in looking.names()
    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == ["a file cannot be taken"]

    monkeypatch.undo()
    looking.now += timedelta(minutes=11)
    looking.look()
    assert [arrival.name for arrival in looking.arrived] == ["b.xml", "a.xml"]


def test_a_file_that_is_larger_than_allowed_is_reported_and_not_read(looking: PollerHarness) -> None:
    (looking.out / "a.xml").write_bytes(bytes(5000))
    looking.look(2)
    refused, report = sorted(path.name for path in looking.fail.iterdir() if not path.name.startswith("."))[
        ::-1
    ]
    assert {refused, report.split("_")[0]} == {"a.xml", "Report"}
    assert (looking.names(), looking.arrived) == ([], [])


def test_a_claim_that_is_unfinished_for_an_hour_is_reported_once(looking: PollerHarness) -> None:
    (looking.out / "a.xml").write_bytes(b"<a/>")
    with capture_logs() as logs:
        looking.look(3)
        assert not [entry for entry in logs if entry["log_level"] == "warning"]
        looking.now += timedelta(minutes=61)
        looking.look(3)
    (warning,) = [entry for entry in logs if entry["log_level"] == "warning"]
    assert warning["event"] == "claimed and not finished for an hour"


def test_an_upload_unfinished_for_an_hour_is_reported_in_the_in_box_once(
    looking: PollerHarness, tmp_path: Path
) -> None:
    inbox = tmp_path / "theirs" / "InBox"
    (looking.out / "a.xml.part").write_bytes(b"<a")
    looking.look(2)
    assert (os.listdir(inbox), looking.puller.left) == ([], {})
    looking.now += timedelta(minutes=61)
    looking.look(2)
    (name,) = os.listdir(inbox)
    assert name.startswith("Unfinished_a.xml.part_")
    assert "a.xml.part" in (inbox / name).read_text("utf-8")
    assert list(looking.puller.left) == ["a.xml.part"]
    (inbox / name).unlink()
    looking.look(2)
    assert os.listdir(inbox) == []  # they have read it
    (looking.out / "a.xml.part").rename(looking.out / "a.xml")
    looking.look(2)
    assert (looking.puller.left, [arrival.name for arrival in looking.arrived]) == ({}, ["a.xml"])


def test_a_link_in_place_of_out_box_leads_nowhere(looking: PollerHarness, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.xml").write_bytes(b"<a/>")
    looking.out.rmdir()
    looking.out.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="OutBox"):
        looking.look()
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["a.xml"]


@pytest.mark.parametrize("name", ["a.xml", "报关单.zip", "a.b.c", "x" * 200])
def test_a_claim_says_the_name_and_the_message_that_it_is_of(name: str) -> None:
    now = datetime.now(UTC).replace(microsecond=123000)  # a claim's id tells milliseconds
    claim = FileClaim(name, new_id(now, os.urandom(10)), MARK)
    assert claim_of(claim.file) == claim
    assert claim.at == now
    assert len(claim.file.encode()) <= 255


@pytest.mark.parametrize(
    "file",
    [
        "a.xml",
        ".a.xml.taken",
        "..." + "0" * 26 + ".0123abcd.taken",
        ".a\n.xml." + "0" * 26 + ".0123abcd.taken",
    ],
)
def test_files_of_other_names_are_no_claims(file: str) -> None:
    assert claim_of(file) is None
