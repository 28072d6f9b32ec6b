"""The last step of clients' uploads: lftp itself, and what others ask for, against the real server."""

import io
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import paramiko
import pytest

from gateway.states import Event
from tests.sftp_client import Login
from tests.sftp_served import Served, serving

PACKAGE = b"<?xml version='1.0'?>" + bytes(range(256)) * 200


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as running:
        yield running


def sizes(served: Served) -> list[tuple[str, int]]:
    return [(name, size) for name, _, size in served.arrived()]


def lftp(login: Login, *commands: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("lftp")
    assert program is not None, "install lftp (make setup-test)"
    connect = "ssh -a -x " + " ".join(login.arguments())
    script = "; ".join(
        (
            "set cmd:fail-exit yes",
            "set net:max-retries 1",
            f"set sftp:connect-program '{connect}'",
            f"open -u {login.account}, sftp://{login.host}:{login.port}",
            *commands,
        )
    )
    return subprocess.run(
        [program, "--norc", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )


def test_lftp_with_a_temporary_file_makes_one_message_of_the_final_name(
    served: Served, tmp_path: Path
) -> None:
    (tmp_path / "a.zip").write_bytes(PACKAGE)
    done = lftp(
        served.broker,
        "set xfer:use-temp-file yes",
        f"put -O /OutBox {tmp_path / 'a.zip'}",
        "cd /OutBox",
        "cls -l",
    )
    assert done.returncode == 0, done.stderr
    assert sizes(served) == [("a.zip", len(PACKAGE))]


Steps = Callable[[paramiko.SFTPClient], None]


def rclone(client: paramiko.SFTPClient) -> None:
    client.putfo(io.BytesIO(PACKAGE), "/OutBox/a.zip.6f1c2b3a.partial", confirm=False)
    client.utime("/OutBox/a.zip.6f1c2b3a.partial", (1, 1))
    client.posix_rename("/OutBox/a.zip.6f1c2b3a.partial", "/OutBox/a.zip")
    assert client.stat("/OutBox/a.zip").st_size == len(PACKAGE)


def rsync(client: paramiko.SFTPClient) -> None:
    client.putfo(io.BytesIO(PACKAGE), "/OutBox/.a.zip.XyZ987")
    client.chmod("/OutBox/.a.zip.XyZ987", 0o644)
    client.posix_rename("/OutBox/.a.zip.XyZ987", "/OutBox/a.zip")


def nifi(client: paramiko.SFTPClient) -> None:
    client.putfo(io.BytesIO(PACKAGE), "/OutBox/.a.zip")
    client.rename("/OutBox/.a.zip", "/OutBox/a.zip")


def spring(client: paramiko.SFTPClient) -> None:
    client.putfo(io.BytesIO(PACKAGE), "/OutBox/a.zip.writing")
    client.rename("/OutBox/a.zip.writing", "/OutBox/a.zip")


def winscp(client: paramiko.SFTPClient) -> None:
    client.putfo(io.BytesIO(PACKAGE), "/OutBox/a.zip.filepart")
    client.rename("/OutBox/a.zip.filepart", "/OutBox/a.zip")
    client.utime("/OutBox/a.zip", (1, 1))


def unheard_of(client: paramiko.SFTPClient) -> None:
    """Its names are on no list, so that each is taken at its close."""
    client.putfo(io.BytesIO(PACKAGE), "/OutBox/a.zip-7f3e")
    client.rename("/OutBox/a.zip-7f3e", "/OutBox/a.zip")
    assert client.stat("/OutBox/a.zip").st_size == len(PACKAGE)
    client.utime("/OutBox/a.zip", (1, 1))


@pytest.mark.parametrize("steps", [rclone, rsync, nifi, spring, winscp, unheard_of])
def test_the_steps_of_a_client_make_one_message_of_the_final_name(served: Served, steps: Steps) -> None:
    with served.broker.session() as client:
        steps(client)
    assert sizes(served) == [("a.zip", len(PACKAGE))]


def test_what_was_judged_meanwhile_is_renamed_where_it_is_from_any_session(served: Served) -> None:
    with served.broker.session() as client:
        client.putfo(io.BytesIO(PACKAGE), "/OutBox/a.zip-7f3e")
    served.judge(Event.PASSED)
    with served.broker.session() as later:
        later.rename("/OutBox/a.zip-7f3e", "/OutBox/a.zip")
        assert later.stat("/OutBox/a.zip").st_size == len(PACKAGE)
        assert later.listdir("/SentBox") == ["a.zip"]
        assert later.listdir("/OutBox") == []
    assert sizes(served) == [("a.zip", len(PACKAGE))]


def test_what_is_another_accounts_too_old_or_would_look_unfinished_or_cover_another_is_not_renamed(
    served: Served,
) -> None:
    with served.broker.session() as client, served.other.session() as other:
        for name in ("a.zip", "b.zip", "c.zip.part"):
            client.putfo(io.BytesIO(PACKAGE), f"/OutBox/{name}")
        with pytest.raises(FileNotFoundError):
            other.rename("/OutBox/a.zip", "/OutBox/c.zip")
        for target in ("/OutBox/b.zip", "/OutBox/c.zip.part", "/SentBox/a.zip", "/OutBox/a.zip.tmp"):
            for rename in (client.rename, client.posix_rename):
                with pytest.raises(PermissionError):
                    rename("/OutBox/a.zip", target)
        served.clock.ahead = timedelta(minutes=11)
        with pytest.raises(FileNotFoundError):
            client.rename("/OutBox/none.zip", "/OutBox/none.zip.tmp")
        with pytest.raises(PermissionError, match="taken already"):
            client.rename("/OutBox/a.zip", "/OutBox/.a.zip")
        with pytest.raises(PermissionError, match="too long ago"):
            client.rename("/OutBox/a.zip", "/OutBox/d.zip")
    assert [name for name, _ in sizes(served)] == ["a.zip", "b.zip"]
