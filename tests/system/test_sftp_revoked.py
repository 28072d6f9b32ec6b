"""A key that is revoked while its session is open: from then on it commits nothing and reads nothing."""

import io
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import paramiko
import pytest
from paramiko.sftp import CMD_CLOSE

from adapters.home.ssh_keys import make_ed25519
from tests.support.sftp_served import SftpHarness, serving


@pytest.fixture
def served(tmp_path: Path) -> Iterator[SftpHarness]:
    with serving(tmp_path) as running:
        running.fill_inbox("broker", 3)
        yield running


def revoke(served: SftpHarness) -> None:
    """The account stays, and has another key."""
    served.accounts["broker"] = replace(served.accounts["broker"], keys=(make_ed25519()[1],))


Step = Callable[[paramiko.SFTPClient], object]


def close(file: paramiko.SFTPFile) -> None:
    cast(Any, file).sftp._request(CMD_CLOSE, cast(Any, file).handle)


def uploading(client: paramiko.SFTPClient) -> Step:
    file = client.open("/OutBox/a.xml", "wb")
    file.write(b"<a/>")
    file.flush()
    return lambda _client: close(file)


def renaming(client: paramiko.SFTPClient) -> Step:
    client.putfo(io.BytesIO(b"<a/>"), "/OutBox/a.xml.tmp")
    return lambda client: client.rename("/OutBox/a.xml.tmp", "/OutBox/a.xml")


def reading(client: paramiko.SFTPClient) -> Step:
    file = client.open("/InBox/Receipt_000000.xml", "rb")
    return lambda _client: file.read()


def listing(client: paramiko.SFTPClient) -> Step:
    return lambda client: client.listdir("/InBox")


def looking(client: paramiko.SFTPClient) -> Step:
    return lambda client: client.stat("/InBox/Receipt_000000.xml")


def removing(client: paramiko.SFTPClient) -> Step:
    return lambda client: client.remove("/InBox/Receipt_000000.xml")


def another_channel(client: paramiko.SFTPClient) -> Step:
    channel = client.get_channel()
    assert channel is not None
    return lambda _client: channel.get_transport().open_session(timeout=10)


@pytest.mark.parametrize("begun", [uploading, renaming, reading, listing, looking, removing, another_channel])
def test_uploads_begun_before_a_key_was_revoked_are_dropped(
    served: SftpHarness, begun: Callable[[paramiko.SFTPClient], Step]
) -> None:
    with served.broker.session() as client:
        step = begun(client)
        revoke(served)
        # By an answer, or by the end of the connection, whichever is quicker.
        with pytest.raises((OSError, EOFError, paramiko.SSHException)):
            step(client)
    assert served.arrived() == []
    until(lambda: served.spools() == [] or begun is renaming)


def test_the_connections_of_a_revoked_key_are_closed_though_they_ask_for_nothing(served: SftpHarness) -> None:
    own = served.accounts["broker"].keys
    second = served.login("second")
    with served.broker.session() as client, second.session() as other:
        channel = client.get_channel()
        assert channel is not None
        revoke(served)
        until(lambda: channel.closed)
        assert other.listdir("/OutBox") == []
    served.accounts["broker"] = replace(served.accounts["broker"], keys=own)
    assert served.broker.sftp("pwd").returncode == 0


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        threading.Event().wait(0.01)
