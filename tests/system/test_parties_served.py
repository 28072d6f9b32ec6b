"""A running node goes by the register as it is at each log-in and each judgement."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from sqlalchemy import select

from adapters.cli.init.samples import signed
from adapters.home.ssh_keys import make_ed25519, write_private
from adapters.store.tables.messages import deliveries
from gateway.formats.submission import read_envelope
from gateway.formats.xml import trusted
from tests.support.declarations import Declaration, enterprise
from tests.support.keys import identity
from tests.support.rendering import render
from tests.support.served import Gateway
from tests.support.sftp_client import Login


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A running node; each test has an account of its own."""
    with Gateway(tmp_path_factory.mktemp("parties")) as running:
        yield running


def run_json(gateway: Gateway, *arguments: object) -> Any:
    done = gateway.cli("parties", *map(str, arguments), "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def declaration(account: str, reference: str) -> bytes:
    return render(Declaration(reference=reference, agent=enterprise(account)))


def judged(gateway: Gateway, account: str, reference: str, body: bytes) -> dict[str, Any]:
    """The message once it is judged."""
    gateway.send(account, f"{reference}.xml", body)

    def judged_message() -> dict[str, Any] | None:
        listed = json.loads(gateway.cli("messages", "list", "--account", account, "--json").stdout)
        return next(
            (row for row in listed if row["reference"] == reference and row["state"] != "received"), None
        )

    message: dict[str, Any] = gateway.until(judged_message)
    return message


def test_a_certificate_that_is_revoked_is_refused_from_the_next_message_on(
    gateway: Gateway, tmp_path: Path
) -> None:
    client = gateway.home.path / "clients" / "broker-aa"
    key, certificate = (client / "sign.key").read_bytes(), (client / "sign.crt").read_bytes()

    def sent(reference: str, key: bytes, certificate: bytes) -> dict[str, Any]:
        body = signed(declaration("broker-aa", reference), key, certificate)
        return judged(gateway, "broker-aa", reference, body)

    assert sent("PARTYREVOKED00001", key, certificate)["faults"] == []
    (registered,) = [key for key in run_json(gateway, "keys", "broker-aa") if key["kind"] == "certificate"]
    run_json(gateway, "keys", "broker-aa", "--revoke", registered["fingerprint"])
    refused = sent("PARTYREVOKED00002", key, certificate)
    assert (refused["state"], refused["faults"]) == ("rejected", ["certificate-revoked"])

    new = identity("p-256", "broker-aa")
    (tmp_path / "new.crt").write_text(new.certificate_pem)
    run_json(gateway, "keys", "broker-aa", "--add-certificate", tmp_path / "new.crt")
    assert sent("PARTYREVOKED00003", new.key_pem, new.certificate_pem.encode())["faults"] == []


def test_a_key_that_is_added_logs_in_and_one_that_is_revoked_does_not(
    gateway: Gateway, tmp_path: Path
) -> None:
    private, line = make_ed25519()
    write_private(tmp_path / "id_ed25519", private)
    (tmp_path / "id.pub").write_text(line)
    old = gateway.login("trader-b")
    (tmp_path / "known_hosts").write_text((old.folder / "known_hosts").read_text())
    new = Login("trader-b", tmp_path, old.host, old.port)
    assert (old.sftp("pwd").returncode == 0, new.sftp("pwd").returncode == 0) == (True, False)
    (registered,) = [key for key in run_json(gateway, "keys", "trader-b") if key["kind"] == "key"]

    run_json(gateway, "keys", "trader-b", "--add-key", tmp_path / "id.pub")
    assert (old.sftp("pwd").returncode == 0, new.sftp("pwd").returncode == 0) == (True, True)

    run_json(gateway, "keys", "trader-b", "--revoke", registered["fingerprint"])
    assert (old.sftp("pwd").returncode == 0, new.sftp("pwd").returncode == 0) == (False, True)


def test_a_party_that_is_imported_sends_at_once(gateway: Gateway, tmp_path: Path) -> None:
    private, line = make_ed25519()
    write_private(tmp_path / "id_ed25519", private)
    (tmp_path / "id.pub").write_text(line)
    (tmp_path / "known_hosts").write_text((gateway.login("trader-b").folder / "known_hosts").read_text())
    (tmp_path / "new.toml").write_text(
        '[[party]]\ncode = "1207960404"\nscc = "91120116MADEM0C186"\nname = "某公司"\nrole = "trader"\n'
        '[party.account]\nname = "trader-c"\nkeys = ["id.pub"]\n'
    )

    run_json(gateway, "import", tmp_path / "new.toml")

    done = Login("trader-c", tmp_path, "127.0.0.1", gateway.port).sftp("ls /OutBox")
    assert done.returncode == 0, done.stderr


def test_the_envelope_has_a_class_that_was_imported_while_the_node_runs(
    gateway: Gateway, tmp_path: Path
) -> None:
    (tmp_path / "classes.csv").write_text("code,class\n3122280022,A\n")

    def scene(reference: str) -> str:
        message = judged(gateway, "broker-b", reference, declaration("broker-b", reference))
        with gateway.reading() as reader:
            query = select(deliveries.c.envelope).where(deliveries.c.message == message["id"])
            root: etree._Element = trusted(reader.execute(query).scalar_one())
        return read_envelope(root).sender["class"]

    assert scene("PARTYCLASS0000001") == "B"
    run_json(gateway, "import", tmp_path / "classes.csv")
    assert scene("PARTYCLASS0000002") == "A"
