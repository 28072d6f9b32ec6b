"""Looks into an OutBox that holds more than it should: what comes through, and who waits for whom."""

import asyncio
import os
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from adapters.channels.sftp_partner import pull_uploads
from adapters.channels.sftp_partner.claim_names import FileClaim
from adapters.channels.sftp_partner.pull_uploads import UploadPuller
from adapters.transport.files import local
from adapters.transport.files.folders import FolderEntry
from adapters.transport.files.local import LocalFiles
from tests.channels.test_pull_uploads import MARK, PARTY, PollerHarness, looking, run

__all__ = ["looking"]  # a fixture


def test_files_that_are_never_taken_do_not_hide_others(
    looking: PollerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "MOST", 20)
    for number in range(40):
        (looking.out / f"{number}.xml.tmp").write_bytes(b"<a")
        (looking.out / f".hidden-{number}").write_bytes(b"")
        (looking.out / f"{number}").mkdir()
    for number in range(20):
        (looking.out / f"{number}.xml").write_bytes(b"<a/>")
    looking.look(2)
    assert {arrival.name for arrival in looking.arrived} == {f"{number}.xml" for number in range(20)}


def test_a_folder_with_too_many_files_is_taken_in_turns_and_reported_once(
    looking: PollerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "MOST", 10)
    monkeypatch.setattr(pull_uploads, "MOST", 10)
    for number in range(30):
        (looking.out / f"{number}.xml").write_bytes(b"<a/>")
    with capture_logs() as logs:
        for _ in range(12):
            looking.look()
            for name in looking.names():  # judged, as the node would have them go
                if name.endswith(f".{MARK}.taken"):
                    (looking.out / name).unlink()
    assert {arrival.name for arrival in looking.arrived} == {f"{number}.xml" for number in range(30)}
    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == [
        "more lies in a folder than is looked at in one turn"
    ]


def test_receipts_do_not_wait_until_all_files_are_taken(
    looking: PollerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull_uploads, "IN_A_ROW", 3)
    for number in range(10):
        (looking.out / f"{number}.xml").write_bytes(b"<a/>")
        os.utime(looking.out / f"{number}.xml", (number, number))
    numbers: list[int] = []

    async def between() -> None:
        numbers.append(len(looking.arrived))

    looking.look()
    run(looking.puller.collect(PARTY, asyncio.Event(), between))
    assert numbers == [3, 6, 9]
    assert [arrival.name for arrival in looking.arrived] == [f"{number}.xml" for number in range(10)]


def test_times_far_in_the_future_or_the_past_are_times(tmp_path: Path) -> None:
    with closing(PollerHarness(tmp_path)) as looking:
        for name, at in (("then.xml", -2_000_000_000), ("soon.xml", 32_000_000_000), ("now.xml", 0)):
            (looking.out / name).write_bytes(b"<a/>")
            os.utime(looking.out / name, (at, at))
        looking.look(2)
        assert [arrival.name for arrival in looking.arrived] == ["then.xml", "now.xml", "soon.xml"]


def test_ever_new_names_do_not_fill_the_log(looking: PollerHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull_uploads, "MOST_SAID", 5)
    for number in range(30):
        (looking.out / f"{number}").mkdir()
    with capture_logs() as logs:
        looking.look(4)
        assert len(logs) == 5
        looking.now += timedelta(hours=25)
        looking.look(4)
    assert len(logs) == 10


class Racing(LocalFiles):
    """A party that puts a new file where it was just seen that there is none."""

    def look(self, folder: str, name: str) -> FolderEntry | None:
        entry = super().look(folder, name)
        if entry is None and name == "a.xml":
            self.write(folder, name, lambda out: out.write(b"<second/>"))
        return entry


def test_a_file_that_comes_while_a_claim_is_given_back_is_not_replaced(tmp_path: Path) -> None:
    def full() -> None:
        raise RuntimeError("disk full")

    with closing(PollerHarness(tmp_path)) as looking:
        looking.puller = UploadPuller("theirs", Racing(tmp_path / "theirs"), looking.thread, looking.ports)
        (looking.out / "a.xml").write_bytes(b"<a/>")
        looking.look()
        looking.before_add = full
        with pytest.raises(RuntimeError):
            looking.look()
        looking.before_add = lambda: None
        looking.look(3)
        assert [arrival.size for arrival in looking.arrived] == [4, 9]


def test_a_file_is_given_back_where_it_can_have_no_second_name(
    looking: PollerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = os.link

    def refusing(old: Any, new: Any, **named: Any) -> None:
        if str(old).endswith(".taken"):
            raise PermissionError(1, "Operation not permitted")
        really(old, new, **named)

    def full() -> None:
        raise RuntimeError("disk full")

    monkeypatch.setattr(os, "link", refusing)
    (looking.out / "a.xml").write_bytes(b"<a/>")
    looking.look()
    looking.before_add = full
    with pytest.raises(RuntimeError):
        looking.look()
    assert looking.names() == ["a.xml"]


@pytest.mark.parametrize("message", ["7ZZZZZZZZZ" + "Z" * 16, "7Z00000000" + "0" * 16, "05" + "0" * 24])
def test_a_claim_that_somebody_made_up_stops_no_visit_and_makes_no_id(
    looking: PollerHarness, message: str
) -> None:
    made_up = {FileClaim("b.xml", message, mark).file for mark in (MARK, "deadbeef")}
    for name in made_up:
        (looking.out / name).write_bytes(b"<b/>")
    (looking.out / "a.xml").write_bytes(b"<a/>")
    looking.look(2)
    assert [arrival.name for arrival in looking.arrived] == ["a.xml"]
    assert made_up <= set(looking.names())


def test_a_name_that_cannot_be_taken_and_a_receipt_that_cannot_be_written_are_trouble(
    looking: PollerHarness,
) -> None:
    (looking.out / "folder").mkdir()
    looking.look()
    assert looking.puller.untaken == ["folder"]
    (looking.out / "folder").rmdir()
    looking.look()
    assert looking.puller.untaken == []
