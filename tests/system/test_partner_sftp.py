"""A party with an SFTP server of its own, which OpenSSH plays: its declarations are fetched, its receipts
brought, whatever becomes of the connection."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.partner import HostedPartner, declaration
from tests.support.sshd import Sshd


class SftpPartner(HostedPartner):
    def __init__(self, folder: Path, server: Sshd) -> None:
        watched = "[alarms]\nseconds = 0.2\nquiet_minutes = 0\npartner_minutes = 0\n"
        super().__init__(folder, server.root, f'kind = "sftp"\n{server.toml()}\n{watched}')
        self.server = server


@pytest.fixture(scope="module")
def _theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpPartner]:
    folder = tmp_path_factory.mktemp("theirs")
    server = Sshd(folder / "sshd").start()
    theirs = SftpPartner(folder, server)
    with theirs.gateway:
        yield theirs
    server.stop()


@pytest.fixture
def theirs(_theirs: SftpPartner) -> SftpPartner:
    if not _theirs.gateway.running:
        _theirs.gateway.forget_plan()
        _theirs.gateway.start()
    return _theirs


def sent(theirs: SftpPartner) -> str:
    reference = theirs.gateway.next_name()
    theirs.put(f"{reference}.xml", declaration(reference))
    return reference


def logged(theirs: SftpPartner, reason: str, times: int = 1) -> bool:
    return theirs.gateway.log.read_text("utf-8").count(reason) >= times


def open_alarms(theirs: SftpPartner) -> list[str]:
    done = theirs.gateway.cli("alarms", "list", "--json")
    assert done.returncode == 0, done.stderr
    return [row["key"] for row in json.loads(done.stdout)]


def test_a_declaration_is_fetched_and_its_receipts_are_brought(theirs: SftpPartner) -> None:
    reference = sent(theirs)
    theirs.comes_to_its_end(reference)
    assert (theirs.root / "SentBox" / f"{reference}.xml").read_bytes() == declaration(reference)
    assert not [name for name in theirs.names("InBox") if name.endswith(".tmp")]


def test_a_server_that_was_down_is_visited_again(theirs: SftpPartner) -> None:
    before = theirs.gateway.log.read_text("utf-8").count("partner not visited")
    theirs.server.stop()
    theirs.gateway.until(lambda: logged(theirs, "partner not visited", before + 1))
    theirs.gateway.until(lambda: "partner:hosted" in open_alarms(theirs))
    reference = sent(theirs)

    theirs.server.start()
    theirs.comes_to_its_end(reference)
    theirs.gateway.until(lambda: "partner:hosted" not in open_alarms(theirs))
    assert theirs.gateway.log.read_text("utf-8").count("partner not visited") <= before + 2


def test_a_server_that_goes_while_a_file_is_fetched_loses_nothing(theirs: SftpPartner) -> None:
    references = []
    for _ in range(5):
        references.append(sent(theirs))
    theirs.gateway.until(lambda: any(name.endswith(".taken") for name in theirs.names("OutBox")))
    theirs.server.stop()

    theirs.server.start()
    for reference in references:
        theirs.comes_to_its_end(reference)


def test_a_server_with_another_host_key_gets_no_password_and_no_file(theirs: SftpPartner) -> None:
    right = (theirs.server.folder / "host_ed25519").read_bytes()
    theirs.server.stop()
    theirs.server.take_host_key()
    theirs.server.start()
    reference = sent(theirs)
    theirs.gateway.until(lambda: logged(theirs, "another host key"))
    assert theirs.names("OutBox") == [f"{reference}.xml"]

    theirs.server.stop()
    (theirs.server.folder / "host_ed25519").write_bytes(right)
    theirs.server.start()
    theirs.comes_to_its_end(reference)


@pytest.mark.parametrize(
    ("place", "moment"),
    [
        ("add-a-message", "before"),
        ("add-a-message", "after"),
        ("move-a-remote-file", "after"),
    ],
)
def test_a_file_is_taken_once_though_the_node_is_killed_meanwhile(
    theirs: SftpPartner, place: str, moment: str
) -> None:
    theirs.gateway.plan("node", place, moment, 1)
    reference = sent(theirs)
    assert theirs.gateway.ended() == -signal.SIGKILL

    theirs.gateway.start()
    theirs.comes_to_its_end(reference)


def test_the_same_content_under_another_name_has_no_second_effect(theirs: SftpPartner) -> None:
    reference = sent(theirs)
    theirs.comes_to_its_end(reference)
    theirs.put(f"{reference}-again.xml", declaration(reference))
    theirs.gateway.until(lambda: f"{reference}-again.xml" in theirs.names("SentBox"))
    assert theirs.released(reference) == 1
