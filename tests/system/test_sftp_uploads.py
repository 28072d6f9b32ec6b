"""When a file counts as received: OpenSSH's sftp and paramiko against the real server and store."""

import errno
import hashlib
import io
import os
import resource
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import paramiko
import pytest
from paramiko.sftp import CMD_CLOSE, CMD_READ, int64

from gateway.model.message import Arrival
from gateway.model.parties import Account
from gateway.model.states import Event
from tests.support.sftp_served import SftpHarness, serving
from tests.support.unfinished import UNFINISHED

PACKAGE = b"<?xml version='1.0'?>" + bytes(range(256)) * 200


@pytest.fixture
def served(tmp_path: Path) -> Iterator[SftpHarness]:
    with serving(tmp_path) as running:
        yield running


@pytest.fixture
def package(tmp_path: Path) -> Path:
    path = tmp_path / "declaration.zip"
    path.write_bytes(PACKAGE)
    return path


def until(true: Callable[[], bool]) -> None:
    """Waits for what the server does by itself when a client is gone."""
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        threading.Event().wait(0.01)


def close(file: paramiko.SFTPFile) -> None:
    """Closes a file and raises what the server says: paramiko's own `close` overlooks it."""
    cast(Any, file).sftp._request(CMD_CLOSE, cast(Any, file).handle)


def refused(done: subprocess.CompletedProcess[str]) -> bool:
    return done.returncode != 0


def test_a_file_with_a_final_name_is_received_at_its_close(served: SftpHarness, package: Path) -> None:
    done = served.broker.sftp(f"put {package} /OutBox/a.zip", "ls -1 /OutBox")
    assert done.returncode == 0, done.stderr
    assert "a.zip" in done.stdout
    assert served.arrived() == [("a.zip", hashlib.sha256(PACKAGE).hexdigest(), len(PACKAGE))]
    assert served.bodies() == [("a.zip", PACKAGE)]
    assert served.spools() == []


def test_an_unfinished_file_is_received_at_its_rename(served: SftpHarness, package: Path) -> None:
    assert served.broker.sftp(f"put {package} /OutBox/a.zip.part").returncode == 0
    assert served.arrived() == []
    assert served.broker.sftp("rename /OutBox/a.zip.part /OutBox/a.zip").returncode == 0
    assert served.bodies() == [("a.zip", PACKAGE)]
    assert served.spools() == []


def test_under_whatever_name_a_client_writes_the_message_is_made_at_the_rename(served: SftpHarness) -> None:
    served.limit("broker", unfinished=(".sending",))
    with served.broker.session() as client:
        for name in (*UNFINISHED, "a.xml.sending"):
            client.putfo(io.BytesIO(PACKAGE), f"/OutBox/{name}")
            assert served.arrived() == [], name
            client.rename(f"/OutBox/{name}", "/OutBox/a.tmp")
            client.remove("/OutBox/a.tmp")
        client.putfo(io.BytesIO(PACKAGE), "/OutBox/.a.xml.AbC123")
        client.posix_rename("/OutBox/.a.xml.AbC123", "/OutBox/a.xml")
    assert served.bodies() == [("a.xml", PACKAGE)]


def test_both_kinds_of_rename_commit(served: SftpHarness) -> None:
    with served.broker.session() as client:
        for rename in (client.rename, client.posix_rename):
            with client.open("/OutBox/x.tmp", "wb") as file:
                file.write(PACKAGE)
            rename("/OutBox/x.tmp", "/OutBox/x.zip")
    assert [name for name, _, _ in served.arrived()] == ["x.zip", "x.zip"]


def test_an_unfinished_file_is_seen_renamed_resumed_and_removed_from_other_sessions(
    served: SftpHarness, tmp_path: Path
) -> None:
    half, whole = tmp_path / "half", tmp_path / "whole"
    half.write_bytes(PACKAGE[:20000])
    whole.write_bytes(PACKAGE)
    assert served.broker.sftp(f"put {half} /OutBox/a.part", f"put {half} /OutBox/b.part").returncode == 0
    done = served.broker.sftp(
        "ls -l /OutBox",
        f"reput {whole} /OutBox/a.part",
        "rename /OutBox/a.part /OutBox/c.tmp",
        "rm /OutBox/b.part",
    )
    assert done.returncode == 0, done.stderr
    assert "20000" in done.stdout
    done = served.broker.sftp("rename /OutBox/c.tmp /OutBox/c.zip", "ls -1 /OutBox")
    assert done.stdout.splitlines()[-1] == "/OutBox/c.zip"
    assert served.bodies() == [("c.zip", PACKAGE)]
    assert served.spools() == []


def test_append_mode_writes_at_the_end(served: SftpHarness) -> None:
    with served.broker.session() as client:
        for piece in (b"one ", b"two"):
            with client.open("/OutBox/a.tmp", "ab") as file:
                file.write(piece)
        client.rename("/OutBox/a.tmp", "/OutBox/a.xml")
    assert served.bodies() == [("a.xml", b"one two")]


def test_an_empty_file_is_received_like_any_other(served: SftpHarness, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert served.broker.sftp(f"put {tmp_path / 'empty'} /OutBox/empty.xml").returncode == 0
    assert served.bodies() == [("empty.xml", b"")]


def test_a_name_may_be_used_again_for_a_new_message_but_what_was_acknowledged_is_not_changed(
    served: SftpHarness, package: Path
) -> None:
    put = f"put {package} /OutBox/a.zip"
    assert served.broker.sftp(put, put).returncode == 0
    with served.broker.session() as client:
        for mode in ("ab", "r+b", "wxb"):
            with pytest.raises(OSError, match=r"acknowledged|exists"):
                client.open("/OutBox/a.zip", mode)
        with pytest.raises(OSError, match="changed"):
            client.truncate("/OutBox/a.zip", 3)
    assert refused(served.broker.sftp("rm /OutBox/a.zip"))
    assert served.bodies() == [("a.zip", PACKAGE)] * 2


def test_an_unfinished_file_is_not_renamed_while_it_is_written(served: SftpHarness) -> None:
    with served.broker.session() as client, served.broker.session() as second:
        file = client.open("/OutBox/a.tmp", "wb")
        file.write(b"half")
        for session in (client, second):
            with pytest.raises(PermissionError):
                session.posix_rename("/OutBox/a.tmp", "/OutBox/a.zip")
        file.close()
        second.posix_rename("/OutBox/a.tmp", "/OutBox/a.zip")
    assert served.bodies() == [("a.zip", b"half")]


def test_a_rename_does_not_replace_another_unfinished_file_unless_it_says_so(served: SftpHarness) -> None:
    with served.broker.session() as client:
        for name in ("a.tmp", "b.tmp"):
            with client.open(f"/OutBox/{name}", "wb") as file:
                file.write(name.encode())
        with pytest.raises(PermissionError):
            client.rename("/OutBox/a.tmp", "/OutBox/b.tmp")
        client.posix_rename("/OutBox/a.tmp", "/OutBox/b.tmp")
        client.rename("/OutBox/b.tmp", "/OutBox/c.xml")
    assert served.bodies() == [("c.xml", b"a.tmp")]
    assert served.spools() == []


def test_a_new_upload_replaces_an_unfinished_one_whose_session_hangs(served: SftpHarness) -> None:
    with served.broker.session() as hanging, served.broker.session() as client:
        stuck = hanging.open("/OutBox/a.tmp", "wb")
        stuck.write(b"old")
        with client.open("/OutBox/a.tmp", "wb") as file:
            file.write(b"new")
        with pytest.raises(OSError, match="broken off"):
            close(stuck)
        client.rename("/OutBox/a.tmp", "/OutBox/a.xml")
    assert served.bodies() == [("a.xml", b"new")]
    assert served.spools() == []


def test_a_client_that_is_killed_in_the_middle_leaves_nothing(served: SftpHarness, tmp_path: Path) -> None:
    (big := tmp_path / "big.zip").write_bytes(os.urandom(1 << 20) * 40)
    for name in ("a.zip", "b.zip.tmp"):
        client = subprocess.Popen(
            served.broker.command("-l", "20000"),  # kbit/s, so that it is on its way for a while
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert client.stdin is not None
        client.stdin.write(f"put {big} /OutBox/{name}\n".encode())
        client.stdin.flush()
        until(lambda: any(os.path.getsize(served.blobs_root / "spool" / spool) for spool in served.spools()))
        client.kill()
        client.wait()
        client.stdin.close()
        until(lambda: served.spools() == [])
    assert served.stored() == []
    assert served.arrived() == []
    assert served.broker.sftp("ls -1 /OutBox").stdout.splitlines()[1:] == []


@pytest.mark.parametrize("name", ["a.zip", "a.zip.tmp"])
def test_a_connection_that_is_cut_in_the_middle_leaves_nothing(served: SftpHarness, name: str) -> None:
    with served.broker.session() as client:
        file = client.open(f"/OutBox/{name}", "wb")
        file.write(PACKAGE)
        file.flush()
        assert len(served.spools()) == 1
        channel = client.get_channel()
        assert channel is not None
        channel.get_transport().sock.close()
        until(lambda: served.spools() == [])
    assert served.stored() == []
    assert served.arrived() == []


@pytest.mark.parametrize("name", ["a.zip", "a.zip.tmp"])
def test_a_client_that_leaves_in_order_without_closing_leaves_nothing(served: SftpHarness, name: str) -> None:
    with served.broker.session() as client:
        file = client.open(f"/OutBox/{name}", "wb")
        file.write(PACKAGE)
        channel = client.get_channel()
        assert channel is not None
        channel.close()
        until(lambda: served.spools() == [])
        del file  # it would close itself when nobody holds it
    assert served.stored() == []
    assert served.arrived() == []


class Failing:
    """An intake whose commits fail, as on a full disk of the store."""

    async def add(
        self, arrival: Arrival, sender: Account | None = None, *, body: bytes | None = None
    ) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_commit_that_fails_fails_the_client_and_leaves_no_message(
    served: SftpHarness, package: Path
) -> None:
    served.intake = Failing()
    assert refused(served.broker.sftp(f"put {package} /OutBox/a.zip"))
    assert refused(served.broker.sftp(f"put {package} /OutBox/b.tmp", "rename /OutBox/b.tmp /OutBox/b.zip"))
    served.intake = served.messages
    done = served.broker.sftp("ls -1 /OutBox", f"put {package} /OutBox/c.zip")
    assert done.returncode == 0
    assert "a.zip" not in done.stdout
    assert "b." not in done.stdout
    assert served.bodies() == [("c.zip", PACKAGE)]
    assert served.spools() == []


class Bug:
    async def add(
        self, arrival: Arrival, sender: Account | None = None, *, body: bytes | None = None
    ) -> None:
        raise ZeroDivisionError("a fault of ours, with secrets in its text")


def test_a_failure_of_our_own_is_not_explained_and_the_session_goes_on(served: SftpHarness) -> None:
    served.intake = Bug()
    with served.broker.session() as client:
        file = client.open("/OutBox/a.zip", "wb")
        with pytest.raises(OSError, match="try again later") as caught:
            close(file)
        assert "secrets" not in str(caught.value)
        served.intake = served.messages
        with client.open("/OutBox/b.zip", "wb") as again:
            again.write(b"b")
    assert served.bodies() == [("b.zip", b"b")]


def test_a_full_disk_fails_the_client_and_leaves_nothing(tmp_path: Path) -> None:
    (big := tmp_path / "big.zip").write_bytes(os.urandom(6 << 20))
    (small := tmp_path / "small.zip").write_bytes(PACKAGE)
    with small_disk(tmp_path / "disk") as disk, serving(tmp_path, disk) as served:
        for name in ("a.zip", "b.zip.tmp"):
            assert refused(served.broker.sftp(f"put {big} /OutBox/{name}"))
            until(lambda: served.spools() == [])
        assert served.stored() == []
        assert served.arrived() == []
        assert served.broker.sftp(f"put {small} /OutBox/c.zip").returncode == 0
        assert served.bodies() == [("c.zip", PACKAGE)]


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A folder that takes 4 MB: a file system of that size, or a limit on files where none may be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode == 0:
        try:
            yield folder
        finally:
            subprocess.run(["umount", str(folder)], check=True)
    else:
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, limit[1]))
        try:
            yield folder
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)


def test_an_upload_over_the_accounts_limit_fails_with_a_clear_error_and_leaves_nothing(
    served: SftpHarness, package: Path
) -> None:
    served.limit("broker", max_package=len(PACKAGE) - 1)
    done = served.broker.sftp(f"put {package} /OutBox/a.zip")
    assert refused(done)
    with served.broker.session() as client:
        for name in ("/OutBox/a.zip", "/OutBox/a.tmp"):
            file = client.open(name, "wb")
            with pytest.raises(OSError, match=f"{len(PACKAGE) - 1} bytes at most"):
                file.write(PACKAGE)
            with pytest.raises(OSError, match="broken off"):
                close(file)
            with pytest.raises(FileNotFoundError):
                client.stat(name)
            with client.open(name, "wb") as sparse, pytest.raises(OSError, match="bytes at most"):
                sparse.truncate(1 << 40)
    assert served.stored() == []
    assert served.arrived() == []


def test_the_bytes_of_all_unfinished_files_together_are_limited(served: SftpHarness) -> None:
    served.limit("broker", max_package=len(PACKAGE))
    with served.broker.session() as client:
        for number in range(4):
            client.putfo(io.BytesIO(PACKAGE), f"/OutBox/{number}.tmp")
        file = client.open("/OutBox/more.tmp", "wb")
        with pytest.raises(OSError, match="bytes together at most"):
            file.write(b"x")
        client.remove("/OutBox/0.tmp")
        client.putfo(io.BytesIO(PACKAGE), "/OutBox/more.tmp")
        client.rename("/OutBox/1.tmp", "/OutBox/1.zip")
        client.putfo(io.BytesIO(PACKAGE), "/OutBox/again.tmp")


def test_the_number_of_unfinished_files_is_limited(served: SftpHarness) -> None:
    served.limit("broker", max_files=2)
    with served.broker.session() as client:
        for name in ("a.tmp", "b.tmp"):
            client.open(f"/OutBox/{name}", "wb").close()
        with pytest.raises(OSError, match="Too many unfinished files"):
            client.open("/OutBox/c.tmp", "wb")
        with pytest.raises(OSError, match="Too many unfinished files"):
            client.open("/OutBox/c.zip", "wb")
        client.remove("/OutBox/a.tmp")
        client.open("/OutBox/c.tmp", "wb").close()


def test_times_and_permissions_can_be_set_after_the_upload(served: SftpHarness, package: Path) -> None:
    assert served.broker.sftp(f"put -p {package} /OutBox/a.zip", "chmod 600 /OutBox/a.zip").returncode == 0


def test_a_file_that_is_judged_at_once_stays_visible_to_its_sender_for_a_while(served: SftpHarness) -> None:
    with served.broker.session() as client, served.broker.session() as another:
        with client.open("/OutBox/a.zip", "wb") as file:
            file.write(PACKAGE)
        served.judge(Event.REFUSED)
        assert client.stat("/OutBox/a.zip").st_size == len(PACKAGE)
        client.utime("/OutBox/a.zip", (1, 1))
        assert client.listdir("/OutBox") == []
        assert client.listdir("/FailBox") == ["a.zip"]
        with pytest.raises(FileNotFoundError):
            another.stat("/OutBox/a.zip")
        served.clock.ahead = timedelta(seconds=6)
        with pytest.raises(FileNotFoundError):
            client.stat("/OutBox/a.zip")


def test_paramikos_put_confirms_the_size(served: SftpHarness, package: Path) -> None:
    with served.broker.session() as client:
        assert client.put(str(package), "/OutBox/a.zip").st_size == len(PACKAGE)


def test_unfinished_files_that_nobody_finishes_are_removed_after_a_day(served: SftpHarness) -> None:
    with served.broker.session() as client:
        client.open("/OutBox/a.tmp", "wb").close()
        held = client.open("/OutBox/b.tmp", "wb")
        uploads = served.server._services.uploads("broker")
        uploads.expire(served.clock() + timedelta(hours=23))
        assert sorted(client.listdir("/OutBox")) == ["a.tmp", "b.tmp"]
        uploads.expire(served.clock() + timedelta(hours=25))
        assert client.listdir("/OutBox") == ["b.tmp"]
        held.close()
    assert len(served.spools()) == 1


def test_uploads_of_many_sessions_at_once_all_arrive_whole(served: SftpHarness) -> None:
    def send(number: int) -> None:
        with served.broker.session() as client:
            for index in range(10):
                with client.open(f"/OutBox/{number}-{index}.tmp", "wb") as file:
                    file.write(PACKAGE + f"{number}-{index}".encode())
                client.posix_rename(f"/OutBox/{number}-{index}.tmp", f"/OutBox/{number}-{index}.zip")

    threads = [threading.Thread(target=send, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert dict(served.bodies()) == {
        f"{number}-{index}.zip": PACKAGE + f"{number}-{index}".encode()
        for number in range(6)
        for index in range(10)
    }


def test_pieces_sent_out_of_order_are_put_together(served: SftpHarness) -> None:
    with served.broker.session() as client:
        file = client.open("/OutBox/a.zip", "wb")
        for start in (40000, 0, 20000):
            file.seek(start)
            file.write(PACKAGE[start : start + 20000])
            file.flush()
        file.close()
    assert served.bodies() == [("a.zip", PACKAGE[:60000])]


def test_a_closed_handle_is_of_no_use(served: SftpHarness) -> None:
    with served.broker.session() as client:
        file = client.open("/OutBox/a.tmp", "wb")
        close(file)
        with pytest.raises(OSError, match="No such handle"):
            close(file)


def test_an_earlier_file_of_the_same_name_does_not_hide_that_an_upload_failed(
    served: SftpHarness, package: Path
) -> None:
    with served.broker.session() as client:
        client.put(str(package), "/OutBox/a.zip")
        served.intake = Failing()
        with pytest.raises(FileNotFoundError):
            client.put(str(package), "/OutBox/a.zip")
    assert len(served.arrived()) == 1


@pytest.mark.parametrize("offset", [len(PACKAGE), 2**63 - 1, 2**63, 2**64 - 1])
def test_reading_beyond_the_end_is_the_end_whatever_the_offset(served: SftpHarness, offset: int) -> None:
    with served.broker.session() as client:
        with client.open("/OutBox/a.tmp", "w+b") as file:
            file.write(PACKAGE)
            file.flush()
            assert file.stat().st_size == len(PACKAGE)
            assert _read_at(file, offset) == b""
        client.rename("/OutBox/a.tmp", "/OutBox/a.zip")
        with client.open("/OutBox/a.zip", "rb") as file:
            assert _read_at(file, offset) == b""
    assert served.bodies() == [("a.zip", PACKAGE)]


def _read_at(file: paramiko.SFTPFile, offset: int) -> bytes:
    """paramiko's own reads never go beyond the end."""
    opened = cast(Any, file)
    try:
        _kind, answer = opened.sftp._request(CMD_READ, opened.handle, int64(offset), 100)
    except EOFError:
        return b""
    return cast(bytes, answer.get_string())


def test_scp_that_uploads_ends_with_0(served: SftpHarness, package: Path) -> None:
    login = served.broker
    target = f"{login.account}@{login.host}:OutBox/"
    command = ["scp", *login.arguments(), "-P", str(login.port), str(package), target]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert served.bodies() == [(package.name, PACKAGE)]
