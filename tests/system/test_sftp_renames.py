"""The last step of clients' uploads: lftp itself, and what others ask for, against the real server."""

import io
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.model.states import Event
from tests.support.sftp_client import Login
from tests.support.sftp_served import SftpHarness, serving
from tests.support.upload_steps import LISTED, Steps, unusual_name

PACKAGE = b"<?xml version='1.0'?>" + bytes(range(256)) * 200


@pytest.fixture
def served(tmp_path: Path) -> Iterator[SftpHarness]:
    with serving(tmp_path) as running:
        yield running


def sizes(served: SftpHarness) -> list[tuple[str, int]]:
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
    served: SftpHarness, tmp_path: Path
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


@pytest.mark.parametrize("steps", [*LISTED, unusual_name])
def test_the_steps_of_a_client_make_one_message_of_the_final_name(served: SftpHarness, steps: Steps) -> None:
    with served.broker.session() as client:
        steps(client, "a.zip", PACKAGE)
    assert sizes(served) == [("a.zip", len(PACKAGE))]


def test_a_file_judged_meanwhile_can_be_renamed_from_any_session(served: SftpHarness) -> None:
    with served.broker.session() as client:
        client.putfo(io.BytesIO(PACKAGE), "/OutBox/a.zip-7f3e")
    served.judge(Event.PASSED)
    with served.broker.session() as later:
        later.rename("/OutBox/a.zip-7f3e", "/OutBox/a.zip")
        assert later.stat("/OutBox/a.zip").st_size == len(PACKAGE)
        assert later.listdir("/SentBox") == ["a.zip"]
        assert later.listdir("/OutBox") == []
    assert sizes(served) == [("a.zip", len(PACKAGE))]


def test_files_of_other_accounts_old_files_and_files_onto_others_are_not_renamed(served: SftpHarness) -> None:
    with served.broker.session() as client, served.other.session() as other:
        for name in ("a.zip", "b.zip", "c.zip.part"):
            client.putfo(io.BytesIO(PACKAGE), f"/OutBox/{name}")
        with pytest.raises(FileNotFoundError):
            other.rename("/OutBox/a.zip", "/OutBox/c.zip")
        for target in ("/OutBox/b.zip", "/OutBox/c.zip.part", "/SentBox/a.zip"):
            for rename in (client.rename, client.posix_rename):
                with pytest.raises(PermissionError):
                    rename("/OutBox/a.zip", target)
        served.clock.ahead = timedelta(minutes=11)
        with pytest.raises(FileNotFoundError):
            client.rename("/OutBox/none.zip", "/OutBox/none.zip.tmp")
        with pytest.raises(PermissionError, match="too long ago"):
            client.rename("/OutBox/a.zip", "/OutBox/d.zip")
    assert [name for name, _ in sizes(served)] == ["a.zip", "b.zip"]


def test_a_file_that_was_taken_may_get_any_name_and_stays_one_message(served: SftpHarness) -> None:
    with served.broker.session() as client:
        client.putfo(io.BytesIO(PACKAGE), "/OutBox/a.zip")
        client.rename("/OutBox/a.zip", "/OutBox/a.zip.tmp")
        with pytest.raises(PermissionError):
            client.remove("/OutBox/a.zip.tmp")
    assert [name for name, _ in sizes(served)] == ["a.zip.tmp"]
