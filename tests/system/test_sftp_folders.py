"""What an account sees and may do in its folders."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from adapters.store.tables.messages import receipts
from gateway.model.folders import Folder
from gateway.model.states import Event
from tests.support.sftp_served import SftpHarness, serving


@pytest.fixture
def served(tmp_path: Path) -> Iterator[SftpHarness]:
    with serving(tmp_path) as running:
        yield running


def collected(served: SftpHarness) -> list[str]:
    query = select(receipts.c.name).where(receipts.c.collected_at.is_not(None)).order_by(receipts.c.id)
    return list(served.run(served.database.read(lambda reader: reader.execute(query).scalars().all())))


def test_there_are_four_folders_and_nothing_else(served: SftpHarness) -> None:
    with served.broker.session() as client:
        assert sorted(client.listdir("/")) == ["FailBox", "InBox", "OutBox", "SentBox"]
        for folder in client.listdir("/"):
            assert client.listdir(folder) == []
            assert client.stat(folder).st_mode == 0o040755
        for path in ("/etc", "/etc/passwd", "OutBox/x/y", "/../etc", "/OutBox/../../etc/passwd", "/outbox/x"):
            with pytest.raises(FileNotFoundError):
                client.stat(path)
            with pytest.raises(FileNotFoundError):
                client.listdir(path)


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        (".", "/"),
        ("", "/"),
        ("/../..", "/"),
        ("OutBox", "/OutBox"),
        ("/OutBox/./x/../../InBox//a.xml", "/InBox/a.xml"),
        ("报关单.zip", "/报关单.zip"),
    ],
)
def test_paths_are_made_canonical_from_the_root(served: SftpHarness, path: str, canonical: str) -> None:
    with served.broker.session() as client:
        assert client.normalize(path) == canonical


def test_the_tree_is_fixed(served: SftpHarness) -> None:
    with served.broker.session() as client:
        for path in ("/new", "/OutBox/new"):
            with pytest.raises(PermissionError):
                client.mkdir(path)
        with pytest.raises(PermissionError):
            client.rmdir("/OutBox")
        with pytest.raises(PermissionError):
            client.symlink("/etc/passwd", "/OutBox/a.tmp")
        with pytest.raises(PermissionError):
            client.rename("/OutBox", "/Other")
        with pytest.raises(PermissionError):
            client.chmod("/InBox/a", 0o777)
        with pytest.raises(PermissionError):
            client.remove("/OutBox")
    assert served.broker.sftp("ln -s a b").returncode != 0
    assert served.broker.sftp("ln a b").returncode != 0


@pytest.mark.parametrize(
    "path", ["/a.zip", "/InBox/a.xml", "/SentBox/a.zip", "/FailBox/a.tmp", "/Other/a.zip"]
)
def test_files_are_taken_in_the_outbox_only(served: SftpHarness, path: str) -> None:
    with served.broker.session() as client:
        with pytest.raises((PermissionError, FileNotFoundError)):
            client.open(path, "wb")
        client.open("/OutBox/x.tmp", "wb").close()
        with pytest.raises((PermissionError, FileNotFoundError)):
            client.posix_rename("/OutBox/x.tmp", path)
    assert served.arrived() == []


@pytest.mark.parametrize(
    "name",
    ["a\nb.zip", "a\x1b[31m.zip", "a\x00.zip", "a\u202exml.zip", "x" * 252 + ".zip", "报" * 84 + ".zip"],
)
def test_names_that_cannot_be_shown_or_are_too_long_are_refused(served: SftpHarness, name: str) -> None:
    with served.broker.session() as client:
        with pytest.raises(OSError, match="file name"):
            client.open(f"/OutBox/{name}", "wb")
        client.open("/OutBox/x.tmp", "wb").close()
        with pytest.raises(OSError, match="file name"):
            client.rename("/OutBox/x.tmp", f"/OutBox/{name}")
    assert served.arrived() == []


def test_names_that_are_not_utf_8_are_refused(served: SftpHarness) -> None:
    with served.broker.session() as client, pytest.raises(OSError, match="UTF-8"):
        client.open(b"/OutBox/\xb1\xa8.zip", "wb")


def test_chinese_names_and_names_of_255_bytes_are_taken(served: SftpHarness) -> None:
    names = ["报关单 2026.zip", "报" * 83 + "xx.zip"]
    with served.broker.session() as client:
        for name in names:
            client.open(f"/OutBox/{name}", "wb").close()
        assert client.listdir("/OutBox") == names
    assert [name for name, _, _ in served.arrived()] == names


def test_no_account_sees_anothers_files(served: SftpHarness, tmp_path: Path) -> None:
    served.fill_inbox("broker", 1)
    with served.broker.session() as client, served.other.session() as other:
        for name in ("a.zip", "b.tmp"):
            with client.open(f"/OutBox/{name}", "wb") as file:
                file.write(b"secret")
        for folder in Folder:
            assert other.listdir(folder) == []
        for path in ("/OutBox/a.zip", "/OutBox/b.tmp", "/InBox/Receipt_000000.xml"):
            with pytest.raises(FileNotFoundError):
                other.stat(path)
            with pytest.raises(FileNotFoundError):
                other.open(path, "rb")
            with pytest.raises((FileNotFoundError, PermissionError)):
                other.remove(path)
        with pytest.raises(FileNotFoundError):
            other.rename("/OutBox/b.tmp", "/OutBox/b.zip")
        assert client.listdir("/OutBox") == ["a.zip", "b.tmp"]


def test_a_receipt_that_was_read_to_its_end_is_marked_as_collected(
    served: SftpHarness, tmp_path: Path
) -> None:
    served.fill_inbox("broker", 3)
    with served.broker.session() as client, client.open("/InBox/Receipt_000000.xml", "rb") as file:
        assert file.read(4) == b"<Rec"
    assert collected(served) == []
    done = served.broker.sftp(f"get /InBox/Receipt_000001.xml {tmp_path / 'receipt'}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "receipt").read_bytes() == b"<Receipt/>"
    assert collected(served) == ["Receipt_000001.xml"]
    assert "Receipt_000001.xml" in served.broker.sftp("ls -1 /InBox").stdout


def test_a_receipt_that_is_removed_is_gone_from_the_inbox_and_stays_on_record(served: SftpHarness) -> None:
    served.fill_inbox("broker", 2)
    assert served.broker.sftp("rm /InBox/Receipt_000000.xml").returncode == 0
    assert served.broker.sftp("rm /InBox/Receipt_000000.xml").returncode != 0
    with served.broker.session() as client:
        assert client.listdir("/InBox") == ["Receipt_000001.xml"]
        with pytest.raises(FileNotFoundError):
            client.open("/InBox/Receipt_000000.xml")
    rows = served.run(served.database.read(lambda reader: reader.execute(select(receipts.c.body)).all()))
    assert len(rows) == 2


def test_a_judged_file_is_readable_and_cannot_be_removed_or_changed(served: SftpHarness) -> None:
    with served.broker.session() as client:
        with client.open("/OutBox/a.zip", "wb") as file:
            file.write(b"refused package")
        served.judge(Event.REFUSED)
        assert client.listdir("/FailBox") == ["a.zip"]
        with client.open("/FailBox/a.zip", "rb") as handle:
            assert handle.read() == b"refused package"
            with pytest.raises(PermissionError):
                handle.truncate(1)
        with pytest.raises(PermissionError):
            client.remove("/FailBox/a.zip")
        with pytest.raises(PermissionError):
            client.rename("/FailBox/a.zip", "/OutBox/a.zip")
        with pytest.raises(PermissionError):
            client.open("/FailBox/a.zip", "r+b")
    assert collected(served) == []


def test_ten_thousand_receipts_are_listed_quickly(served: SftpHarness) -> None:
    served.fill_inbox("broker", 10_000)
    began = time.perf_counter()
    done = served.broker.sftp("ls -l /InBox")
    duration = time.perf_counter() - began
    assert len(done.stdout.splitlines()) == 10_001
    assert duration < 5, "four times what it takes on a busy machine"


def test_listings_show_sizes_and_times(served: SftpHarness) -> None:
    served.clock.ahead = timedelta(days=3)
    with served.broker.session() as client:
        with client.open("/OutBox/a.zip", "wb") as file:
            file.write(b"12345")
        (entry,) = client.listdir_attr("/OutBox")
        assert entry.st_size == 5
        assert entry.st_mode == 0o100644
        assert entry.st_mtime is not None
        assert abs(entry.st_mtime - served.clock().timestamp()) < 60
