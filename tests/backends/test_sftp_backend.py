"""The back-end on somebody else's SFTP server: what it says when the connection, or the other side, is not as
it should be. What it does when all is well stands in the contract of back-ends."""

import asyncio
import io
import shutil
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import IO

import pytest

from adapters.backends.exchange import Exchange
from adapters.backends.folders import FolderBackend
from adapters.backends.sftp import SftpBackend
from adapters.home.ssh_keys import make_ed25519, write_private
from adapters.transport.files.folders import Files, NotLetIn, Unreachable
from adapters.transport.files.local import LocalFiles
from adapters.transport.sftp.sftp import SftpFiles
from gateway.config.connections import RemoteFolders, SftpBackendSettings
from gateway.deliver.ports import Backend
from gateway.model.delivery import Outcome
from tests.support.sshd import Sshd
from tests.support.submissions import given_answers, sent
from tests.support.unfinished import UNFINISHED


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    """Its folder is as it should be, and somebody answers."""
    server = Sshd(tmp_path / "sshd")
    Exchange(server.root).make()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def backend(server: Sshd) -> Iterator[SftpBackend]:
    with closing(opened(server)) as backend:
        yield backend


def opened(server: Sshd, **settings: object) -> SftpBackend:
    backend_settings = SftpBackendSettings.model_validate({"kind": "sftp", **server.settings(), **settings})
    return SftpBackend(backend_settings, Path(backend_settings.key), server.folder)


def ask(backend: Backend, key: str) -> Outcome | None:
    return asyncio.run(backend.ask(key))[0]


def out(server: Sshd) -> list[str]:
    return [file.name for file in (server.root / "out").iterdir()]


def test_a_server_with_another_host_key_is_given_nothing(server: Sshd) -> None:
    stranger = make_ed25519()[1]
    once = sent()
    with closing(opened(server, host_key=stranger)) as backend:
        outcome, reason = once.to(backend)
        assert outcome is Outcome.DENIED
        assert "another host key" in reason
        assert ask(backend, once.key) is Outcome.UNKNOWN
        assert given_answers(backend) == []
    assert {path.name for path in server.root.iterdir()} == {"out", "in"}
    assert "Accepted" not in server.log()


def test_a_host_key_of_a_type_that_the_server_has_not_is_denied(server: Sshd) -> None:
    with closing(opened(server, host_key="ecdsa-sha2-nistp256 AAAA")) as backend:
        assert sent().to(backend)[0] is Outcome.DENIED


def test_a_log_in_that_is_refused_is_denied(server: Sshd, tmp_path: Path) -> None:
    write_private(tmp_path / "other", make_ed25519()[0])
    for key in ("other", "missing"):
        with closing(opened(server, key=str(tmp_path / key))) as backend:
            assert sent().to(backend)[0] is Outcome.DENIED


def test_a_server_that_only_lets_us_read_is_denied(server: Sshd, backend: SftpBackend) -> None:
    server.stop()
    server.start("internal-sftp -R")
    assert sent().to(backend) == (Outcome.DENIED, "sent: Permission denied")


def test_a_server_that_is_gone_is_tried_later_and_found_again(server: Sshd, backend: SftpBackend) -> None:
    first, second = sent(), sent()
    assert first.to(backend)[0] is Outcome.TAKEN
    server.stop()
    assert second.to(backend)[0] is Outcome.LATER
    assert given_answers(backend) == []
    assert ask(backend, first.key) is Outcome.UNKNOWN

    server.start()
    assert second.to(backend)[0] is Outcome.TAKEN
    assert ask(backend, first.key) is Outcome.TAKEN
    assert sorted(out(server)) == sorted([f"{first.key}.zip", f"{second.key}.zip"])


def test_a_folder_that_is_not_there_takes_nothing(server: Sshd, backend: SftpBackend) -> None:
    (server.root / "out").rmdir()
    assert sent().to(backend) == (Outcome.LATER, "out: No such file or directory")


class Ending(io.BytesIO):
    """A package while whose bytes are read the server goes."""

    def __init__(self, server: Sshd, package: bytes) -> None:
        super().__init__(package)
        self._server = server

    def read(self, size: int | None = -1) -> bytes:
        self._server.stop()
        return super().read(size)


def test_a_server_that_is_killed_while_it_is_sent_to_has_nothing(server: Sshd, backend: SftpBackend) -> None:
    once = sent(
        parts={"报关单.xml": b"<DecMessage/>", "照片.pdf": b"%PDF-1.4" + bytes(range(256)) * (12 << 10)}
    )

    def ending(_sha256: str) -> IO[bytes]:
        return Ending(server, once.package)

    outcome, _reason = asyncio.run(backend.submit(once.submission, ending))
    assert outcome is Outcome.LATER
    server.start()
    assert ask(backend, once.key) is Outcome.LATER
    assert out(server) == []

    assert once.to(backend) == (Outcome.TAKEN, "")
    assert once.package in (server.root / "out" / f"{once.key}.zip").read_bytes()


class Breaking(SftpFiles):
    """A connection that breaks around the rename to `out`, before the server has done it or after."""

    def __init__(self, server: Sshd, *, done: bool) -> None:
        super().__init__(RemoteFolders.model_validate(server.settings()), server.key)
        self._server = server
        self._done = done

    def move(self, folder: str, name: str, to_folder: str, to_name: str) -> None:
        if self._done:
            super().move(folder, name, to_folder, to_name)
        self._server.stop()
        super().move(folder, name, to_folder, to_name)
        raise AssertionError("the server is not gone")


@pytest.mark.parametrize("done", [False, True])
def test_a_connection_that_breaks_around_the_rename_leaves_the_outcome_unknown_until_it_is_asked(
    server: Sshd, backend: SftpBackend, *, done: bool
) -> None:
    once = sent()
    broken = FolderBackend([Breaking(server, done=done)], Breaking(server, done=done), None, server.folder)
    with closing(broken):
        assert once.to(broken)[0] is Outcome.UNKNOWN
        assert ask(broken, once.key) is Outcome.UNKNOWN
    server.start()
    assert ask(backend, once.key) is (Outcome.TAKEN if done else Outcome.LATER)
    assert once.to(backend)[0] is Outcome.TAKEN
    assert out(server) == [f"{once.key}.zip"]


def test_a_delivered_submission_is_found_whatever_the_other_side_does_with_it(
    server: Sshd, backend: SftpBackend
) -> None:
    once = sent()
    once.to(backend)
    (server.root / "out" / f"{once.key}.zip").unlink()
    assert ask(backend, once.key) is Outcome.TAKEN
    assert once.to(backend) == (Outcome.TAKEN, "handed over before")
    assert out(server) == []


def test_a_submission_that_was_only_prepared_before_a_crash_is_prepared_again(
    server: Sshd, backend: SftpBackend
) -> None:
    once = sent()
    (server.root / "sent").mkdir()
    (server.root / "sent" / f"{once.key}.tmp").write_bytes(b"half a submission")
    (server.root / "sent" / once.key).touch()
    assert ask(backend, once.key) is Outcome.LATER
    assert once.to(backend) == (Outcome.TAKEN, "")
    assert once.package in (server.root / "out" / f"{once.key}.zip").read_bytes()


def test_a_server_without_openssh_s_extensions_will_do(server: Sshd) -> None:
    server.stop()
    server.start("internal-sftp -P posix-rename,fsync")
    once = sent()
    with closing(opened(server)) as backend:
        assert once.to(backend) == (Outcome.TAKEN, "")
        for _ in range(2):  # the second one finds the first one's name in `done`
            (server.root / "in" / "said.xml").write_bytes(b"<x/>")
            (answer,) = given_answers(backend)
            asyncio.run(backend.acknowledge([answer.id]))
            assert given_answers(backend) == []
    assert [path.name for path in (server.root / "in" / "done").iterdir()] == ["said.xml"]


def test_a_name_that_is_no_text_or_a_link_hides_no_other_answer(
    server: Sshd, backend: SftpBackend, tmp_path: Path
) -> None:
    (server.root / "in" / b"\xff\n.xml".decode("utf-8", "surrogateescape")).write_bytes(b"1")
    (server.root / "in" / "sound.xml").write_bytes(b"2")
    for name in UNFINISHED:
        (server.root / "in" / name).write_bytes(b"3")
    (tmp_path / "secret").write_text("4")
    (server.root / "in" / "link.xml").symlink_to(tmp_path / "secret")
    answers = given_answers(backend)
    assert sorted(answer.body for answer in answers) == [b"1", b"2"]
    asyncio.run(backend.acknowledge([answer.id for answer in answers]))
    assert given_answers(backend) == []


def test_a_connection_is_used_again_by_what_comes_after_it_broke(server: Sshd) -> None:
    files = SftpFiles(RemoteFolders.model_validate(server.settings()), server.key)
    with closing(files):
        assert {entry.name for entry in files.listing("")} == {"out", "in"}
        server.stop()
        with pytest.raises(Unreachable):
            files.listing("")
        server.start()
        assert {entry.name for entry in files.listing("")} == {"out", "in"}


def test_a_key_that_is_changed_counts_from_the_moment_on_that_it_is_taken(
    server: Sshd, tmp_path: Path
) -> None:
    key = tmp_path / "login"
    shutil.copyfile(server.key, key)
    files = SftpFiles(RemoteFolders.model_validate(server.settings()), key)
    with closing(files):
        assert files.listing("")
        private, _line = make_ed25519()
        key.write_bytes(private)
        cut_off(server, files)
        assert files.listing("")
        files.renewal()()
        with pytest.raises(NotLetIn):  # over a connection that is made anew
            files.listing("")
        key.write_bytes(b"no key")
        with pytest.raises(NotLetIn):
            files.renewal()


def cut_off(server: Sshd, files: SftpFiles) -> None:
    """What comes next connects anew."""
    server.stop()
    with pytest.raises(Unreachable):
        files.listing("")
    server.start()


def test_a_large_file_goes_both_ways_as_it_is(server: Sshd) -> None:
    body = bytes(range(251)) * 20_011
    files = SftpFiles(RemoteFolders.model_validate(server.settings()), server.key)
    with closing(files):
        files.write("out", "large", lambda out: out.write(body))
        assert b"".join(files.read("out", "large")) == body
        with closing(files.read("out", "large")) as begun:
            next(begun)
        assert b"".join(files.read("out", "large")) == body


def test_a_server_that_is_down_is_not_asked_for_answers_at_every_poll(server: Sshd) -> None:
    with closing(opened(server, host_key=make_ed25519()[1])) as backend:
        for _ in range(20):
            assert given_answers(backend) == []
    assert server.log().count("Connection closed by") + server.log().count("Connection reset by") < 4


def test_a_server_out_of_reach_is_tried_once_for_all_answers_to_acknowledge(server: Sshd) -> None:
    with closing(opened(server, host_key=make_ed25519()[1])) as backend:
        asyncio.run(backend.acknowledge([f"1-{number}:{number}.xml" for number in range(20)]))
    assert server.log().count("Connection closed by") + server.log().count("Connection reset by") < 4


def _say(text: str, out: IO[bytes]) -> None:
    out.write(text.encode())


def test_a_name_that_is_taken_is_not_replaced_by_a_rename(server: Sshd) -> None:
    over_there = SftpFiles(RemoteFolders.model_validate(server.settings()), server.key)
    places: tuple[Files, ...] = (over_there, LocalFiles(server.root))
    for files in places:
        with closing(files):
            for name in ("a", "b"):
                files.write("out", name, partial(_say, name))
            with pytest.raises(OSError, match=r"exists|Failure"):
                files.rename("out", "a", "b")
            assert [b"".join(files.read("out", name)) for name in ("a", "b")] == [b"a", b"b"]
            files.rename("out", "a", "c")
            assert b"".join(files.read("out", "c")) == b"a"
            files.remove("out", "c")
            assert files.look("out", "a") is None
