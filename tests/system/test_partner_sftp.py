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
def _partner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpPartner]:
    folder = tmp_path_factory.mktemp("partner")
    server = Sshd(folder / "sshd").start()
    partner = SftpPartner(folder, server)
    with partner.gateway:
        yield partner
    server.stop()


@pytest.fixture
def partner(_partner: SftpPartner) -> SftpPartner:
    if not _partner.gateway.running:
        _partner.gateway.forget_plan()
        _partner.gateway.start()
    return _partner


def sent(partner: SftpPartner) -> str:
    reference = partner.gateway.next_name()
    partner.put(f"{reference}.xml", declaration(reference))
    return reference


def logged(partner: SftpPartner, reason: str, times: int = 1) -> bool:
    return partner.gateway.log.read_text("utf-8").count(reason) >= times


def open_alarms(partner: SftpPartner) -> list[str]:
    done = partner.gateway.cli("alarms", "list", "--json")
    assert done.returncode == 0, done.stderr
    return [row["key"] for row in json.loads(done.stdout)]


def test_a_declaration_is_fetched_and_its_receipts_are_brought(partner: SftpPartner) -> None:
    reference = sent(partner)
    partner.comes_to_its_end(reference)
    assert (partner.root / "SentBox" / f"{reference}.xml").read_bytes() == declaration(reference)
    assert not [name for name in partner.names("InBox") if name.endswith(".tmp")]


def test_a_server_that_was_down_is_visited_again(partner: SftpPartner) -> None:
    before = partner.gateway.log.read_text("utf-8").count("partner not visited")
    partner.server.stop()
    partner.gateway.until(lambda: logged(partner, "partner not visited", before + 1))
    partner.gateway.until(lambda: "partner:hosted" in open_alarms(partner))
    reference = sent(partner)

    partner.server.start()
    partner.comes_to_its_end(reference)
    partner.gateway.until(lambda: "partner:hosted" not in open_alarms(partner))
    assert partner.gateway.log.read_text("utf-8").count("partner not visited") <= before + 2


def test_a_server_that_goes_while_a_file_is_fetched_loses_nothing(partner: SftpPartner) -> None:
    references = []
    for _ in range(5):
        references.append(sent(partner))
    partner.gateway.until(lambda: any(name.endswith(".taken") for name in partner.names("OutBox")))
    partner.server.stop()

    partner.server.start()
    for reference in references:
        partner.comes_to_its_end(reference)


def test_a_server_with_another_host_key_gets_no_password_and_no_file(partner: SftpPartner) -> None:
    right = (partner.server.folder / "host_ed25519").read_bytes()
    partner.server.stop()
    partner.server.take_host_key()
    partner.server.start()
    reference = sent(partner)
    partner.gateway.until(lambda: logged(partner, "another host key"))
    assert partner.names("OutBox") == [f"{reference}.xml"]

    partner.server.stop()
    (partner.server.folder / "host_ed25519").write_bytes(right)
    partner.server.start()
    partner.comes_to_its_end(reference)


@pytest.mark.parametrize(
    ("place", "moment"),
    [
        ("add-a-message", "before"),
        ("add-a-message", "after"),
        ("move-a-remote-file", "after"),
    ],
)
def test_a_file_is_taken_once_though_the_node_is_killed_meanwhile(
    partner: SftpPartner, place: str, moment: str
) -> None:
    partner.gateway.plan("node", place, moment, 1)
    reference = sent(partner)
    assert partner.gateway.ended() == -signal.SIGKILL

    partner.gateway.start()
    partner.comes_to_its_end(reference)


def test_the_same_content_under_another_name_has_no_second_effect(partner: SftpPartner) -> None:
    reference = sent(partner)
    partner.comes_to_its_end(reference)
    partner.put(f"{reference}-again.xml", declaration(reference))
    partner.gateway.until(lambda: f"{reference}-again.xml" in partner.names("SentBox"))
    assert partner.released(reference) == 1
