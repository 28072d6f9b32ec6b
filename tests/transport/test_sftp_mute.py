"""A partner's SFTP server that lets one in no further, and a log-in there that is broken off."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from adapters.home.ssh_keys import make_ed25519, write_private
from adapters.transport.files.folders import Unreachable
from adapters.transport.sftp.sftp import SftpFiles
from gateway.config.connections import RemoteFolders
from tests.support.mute import MuteServer


def files_at(port: int, folder: Path) -> SftpFiles:
    private, public = make_ed25519()
    write_private(folder / "key", private)
    settings = {"host": "127.0.0.1", "port": port, "user": "party", "key": "key", "host_key": public}
    return SftpFiles(RemoteFolders.model_validate({**settings, "folder": "."}), folder / "key")


@contextmanager
def looking(files: SftpFiles) -> Iterator[None]:
    """A look under way, which must be over soon after the block, as that of a place out of reach."""
    with ThreadPoolExecutor(1) as thread:
        look = thread.submit(files.listing, "OutBox")
        yield
        began = time.monotonic()
        with pytest.raises(Unreachable):
            look.result()
        assert time.monotonic() - began < 10


@pytest.mark.parametrize("first", [b"", b"SSH-2.0-OpenSSH_9.9\r\n"])
def test_a_log_in_that_gets_no_answer_ends_when_it_is_closed(tmp_path: Path, first: bytes) -> None:
    with (
        closing(MuteServer(first)) as server,
        closing(files_at(server.port, tmp_path)) as files,
        looking(files),
    ):
        assert server.met.wait(20)
        files.close()


def test_a_connection_that_does_not_come_about_ends_when_it_is_broken_off(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as stack:
        port = int(full.getsockname()[1])
        stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        files = stack.enter_context(closing(files_at(port, tmp_path)))
        stack.enter_context(looking(files))
        deadline = time.monotonic() + 20
        while f":{port:04X} 02 " not in Path("/proc/net/tcp").read_text():  # SYN_SENT
            assert time.monotonic() < deadline
        files.close()
