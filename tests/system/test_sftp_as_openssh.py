"""What clients ask besides files, answered as OpenSSH's server answers it; and folders, page by page."""

import posixpath
import stat
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from getpass import getuser
from pathlib import Path
from typing import Any, cast

import paramiko
import pytest
from paramiko.sftp import (
    CMD_MKDIR,
    CMD_OPENDIR,
    CMD_READDIR,
    CMD_READLINK,
    CMD_RMDIR,
    CMD_SYMLINK,
    SFTP_FAILURE,
    SFTP_NO_SUCH_FILE,
    SFTP_OK,
    SFTP_PERMISSION_DENIED,
)

from adapters.channels.sftp_server.wire import NAMES_IN_A_PACKET, FileAttributes
from gateway.model.china import CHINA
from tests.support.sftp_served import SftpHarness, serving
from tests.support.sshd import shared


@pytest.fixture
def served(tmp_path: Path) -> Iterator[SftpHarness]:
    with serving(tmp_path) as running:
        yield running


def send_request(client: paramiko.SFTPClient, kind: int, *arguments: Any) -> Any:
    return cast(Any, client)._request(kind, *arguments)


def status(client: paramiko.SFTPClient, kind: int, path: str) -> int:
    """The number of the status that a request is refused with."""
    arguments: list[Any] = [path]
    if kind == CMD_MKDIR:
        arguments = [path, paramiko.SFTPAttributes()]
    elif kind == CMD_SYMLINK:
        arguments = ["anything", path]
    try:
        send_request(client, kind, *arguments)
    except FileNotFoundError:
        return int(SFTP_NO_SUCH_FILE)
    except PermissionError:
        return int(SFTP_PERMISSION_DENIED)
    except OSError:
        return int(SFTP_FAILURE)
    return int(SFTP_OK)


def test_a_folder_that_is_there_is_no_obstacle_to_making_it(served: SftpHarness) -> None:
    with served.broker.session() as client:
        client.open("/OutBox/a.xml.tmp", "wb").close()
        # As asyncssh's makedirs(exist_ok=True) does: FAILURE is taken for "exists" where a folder is there.
        for path in ("/OutBox", "OutBox", "/InBox/"):
            made = "/"
            for part in posixpath.normpath(f"/{path}").split("/"):
                made = posixpath.join(made, part)
                assert status(client, CMD_MKDIR, made) == SFTP_FAILURE
                assert stat.S_ISDIR(client.stat(made).st_mode or 0)
        assert status(client, CMD_MKDIR, "/OutBox/a.xml.tmp") == SFTP_FAILURE
        assert status(client, CMD_MKDIR, "/new") == SFTP_PERMISSION_DENIED
        assert status(client, CMD_MKDIR, "/OutBox/new") == SFTP_PERMISSION_DENIED
        assert status(client, CMD_MKDIR, "/OutBox/none/new") == SFTP_NO_SUCH_FILE


@pytest.fixture
def openssh() -> Iterator[paramiko.SFTPClient]:
    """A session with OpenSSH's server, on folders as ours are."""
    server = shared()
    folder = Path(tempfile.mkdtemp(dir=server.root))
    for name in ("OutBox", "InBox", "SentBox", "FailBox"):
        (folder / name).mkdir()
    (folder / "OutBox" / "a.xml.tmp").touch()
    with paramiko.Transport(("127.0.0.1", server.port)) as transport:
        transport.connect(username=getuser(), pkey=paramiko.Ed25519Key.from_private_key_file(str(server.key)))
        client = paramiko.SFTPClient.from_transport(transport)
        assert client is not None
        client.chdir(str(folder))
        yield client


@pytest.mark.parametrize(
    ("kind", "path", "code"),
    [
        (CMD_RMDIR, "none", SFTP_NO_SUCH_FILE),
        (CMD_RMDIR, "OutBox/none", SFTP_NO_SUCH_FILE),
        (CMD_RMDIR, "none/none", SFTP_NO_SUCH_FILE),
        (CMD_RMDIR, "OutBox/a.xml.tmp", SFTP_NO_SUCH_FILE),  # as no folder is there
        (CMD_RMDIR, "OutBox/a.xml.tmp/none", SFTP_NO_SUCH_FILE),
        (CMD_RMDIR, "OutBox", SFTP_FAILURE),  # it holds something
        (CMD_RMDIR, "OutBox/", SFTP_FAILURE),
        (CMD_RMDIR, "/", SFTP_FAILURE),
        (CMD_SYMLINK, "OutBox", SFTP_FAILURE),  # it exists
        (CMD_SYMLINK, "OutBox/a.xml.tmp", SFTP_FAILURE),
        (CMD_SYMLINK, "none/a.xml", SFTP_NO_SUCH_FILE),
        (CMD_SYMLINK, "OutBox/a.xml.tmp/none", SFTP_NO_SUCH_FILE),
        (CMD_MKDIR, "OutBox", SFTP_FAILURE),
        (CMD_MKDIR, "OutBox/a.xml.tmp", SFTP_FAILURE),
        (CMD_MKDIR, "OutBox/a.xml.tmp/none", SFTP_NO_SUCH_FILE),
        (CMD_MKDIR, "none/none", SFTP_NO_SUCH_FILE),
        (CMD_READLINK, "none", SFTP_NO_SUCH_FILE),
        (CMD_READLINK, "OutBox/none", SFTP_NO_SUCH_FILE),
    ],
)
def test_refusals_to_make_or_remove_folders_and_links_are_worded_as_openssh_words_them(
    served: SftpHarness, openssh: paramiko.SFTPClient, kind: int, path: str, code: int
) -> None:
    openssh_path = path if path.startswith("/") else f"{openssh.getcwd()}/{path}"
    with served.broker.session() as client:
        client.open("/OutBox/a.xml.tmp", "wb").close()
        assert (status(client, kind, path), status(openssh, kind, openssh_path)) == (code, code)


def test_the_folders_cannot_be_changed_where_openssh_would_allow_it(served: SftpHarness) -> None:
    with served.broker.session() as client:
        client.open("/OutBox/a.xml.tmp", "wb").close()
        for kind, path in ((CMD_RMDIR, "SentBox"), (CMD_SYMLINK, "OutBox/b"), (CMD_SYMLINK, "/b")):
            assert status(client, kind, path) == SFTP_PERMISSION_DENIED
        assert client.listdir("/") == ["FailBox", "InBox", "OutBox", "SentBox"]
        assert client.listdir("/OutBox") == ["a.xml.tmp"]


def test_nothing_can_be_read_as_a_link(served: SftpHarness) -> None:
    with served.broker.session() as client:
        assert status(client, CMD_READLINK, "/OutBox") == SFTP_FAILURE
        assert status(client, CMD_READLINK, "/OutBox/none") == SFTP_NO_SUCH_FILE


def test_a_folder_is_not_opened_as_a_file(served: SftpHarness) -> None:
    with served.broker.session() as client:
        for path in ("/", "/OutBox"):
            for mode in ("rb", "wb", "wxb"):
                with pytest.raises(OSError, match="is a folder"):
                    client.open(path, mode)


@pytest.mark.parametrize("name", ["a.xml", "a.xml.tmp"])
def test_a_file_is_made_exclusively_once_also_while_another_session_writes_it(
    served: SftpHarness, name: str
) -> None:
    with served.broker.session() as client, served.broker.session() as other:
        held = client.open(f"/OutBox/{name}", "wxb")
        for session in (client, other):
            with pytest.raises(OSError, match="exists"):
                session.open(f"/OutBox/{name}", "wxb")
        held.close()
        with pytest.raises(OSError, match="exists"):
            other.open(f"/OutBox/{name}", "wxb")


def test_the_reported_free_space_is_that_of_the_account(served: SftpHarness) -> None:
    served.limit("broker", max_package=1 << 20, max_files=10)
    with served.broker.session() as client:
        with client.open("/OutBox/a.tmp", "wb") as file:
            file.write(bytes(1 << 20))
        done = served.broker.sftp("df /OutBox", "df -i /OutBox")
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if line.strip()[:1].isdigit()]
    assert lines == [["4096", "1024", "3072", "3072", "25%"], ["10", "1", "9", "9", "10%"]]


def test_ls_shows_the_time_of_what_is_recent_and_the_year_of_what_is_not(served: SftpHarness) -> None:
    now = datetime(2026, 11, 2, 20, 0, tzinfo=UTC)
    shown = {
        now - timedelta(minutes=1): " Nov 03 03:59 ",
        now - timedelta(days=200): " Apr 17  2026 ",
        now + timedelta(days=200): " May 22  2027 ",
    }
    for at, words in shown.items():
        assert words in FileAttributes(0o100644, 1, at).line("a", now)
    served.fill_inbox("broker", 1)
    (line,) = [line for line in served.broker.sftp("ls -l /InBox").stdout.splitlines() if "Receipt" in line]
    assert f"{served.clock().astimezone(CHINA):%b %d} " in line
    assert ":" in line


def test_a_folder_is_read_in_pages_and_each_name_shown_once(served: SftpHarness) -> None:
    many = 2 * NAMES_IN_A_PACKET + 7
    served.fill_inbox("broker", many)
    with served.broker.session() as client:
        _kind, opened = send_request(client, CMD_OPENDIR, "/InBox")
        handle = opened.get_binary()
        names: list[str] = []
        sizes = []
        while True:
            try:
                _kind, page = send_request(client, CMD_READDIR, handle)
            except EOFError:
                break
            sizes.append(page.get_int())
            for _ in range(sizes[-1]):
                names.append(page.get_text())
                page.get_text()
                cast(Any, paramiko.SFTPAttributes)._from_msg(page)
        assert sizes == [NAMES_IN_A_PACKET, NAMES_IN_A_PACKET, 7]
        assert names == [f"Receipt_{index:06}.xml" for index in range(many)]
        with pytest.raises(EOFError):
            send_request(client, CMD_READDIR, handle)


def test_pages_are_of_what_is_there_while_files_come_and_go(served: SftpHarness) -> None:
    served.fill_inbox("broker", 2 * NAMES_IN_A_PACKET)
    with served.broker.session() as client, served.broker.session() as other:
        entries = client.listdir_iter("/InBox")
        first = next(entries).filename
        other.remove(f"/InBox/{first}")
        other.remove(f"/InBox/Receipt_{2 * NAMES_IN_A_PACKET - 1:06}.xml")
        rest = [entry.filename for entry in entries]
    assert [first, *rest] == sorted({first, *rest})
    assert len(rest) >= 2 * NAMES_IN_A_PACKET - 2


def test_unfinished_files_stand_among_the_others_in_every_page(served: SftpHarness) -> None:
    with served.broker.session() as client:
        for number in range(NAMES_IN_A_PACKET + 3):
            client.open(f"/OutBox/{number:04}.xml{'.tmp' if number % 2 else ''}", "wb").close()
        names = client.listdir("/OutBox")
    assert names == [f"{n:04}.xml{'.tmp' if n % 2 else ''}" for n in range(NAMES_IN_A_PACKET + 3)]
