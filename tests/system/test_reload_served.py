"""`gateway reload` and SIGHUP at a real node, and what commands say while files and node differ."""

import json
import signal
from pathlib import Path

from sqlalchemy import select

from adapters.home.ssh_keys import make_ed25519, write_private
from adapters.store.tables.messages import events, messages
from adapters.store.write.in_force import NODE
from tests.support.declarations import Declaration, lines
from tests.support.rendering import render
from tests.support.served import Gateway

BROKER = "broker-aa"


def edit(gateway: Gateway, name: str, before: str, after: str) -> None:
    path = gateway.home.path / name
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after), "utf-8")


def happened(gateway: Gateway) -> list[str]:
    with gateway.reading() as store:
        return list(store.execute(select(events.c.event).where(events.c.message == NODE)).scalars())


def state(gateway: Gateway, reference: str) -> str | None:
    with gateway.reading() as store:
        own = (messages.c.name == f"{reference}.xml", messages.c.kind == "inbound")
        return store.execute(select(messages.c.state).where(*own)).scalar()


def host_key(gateway: Gateway) -> str:
    """The host key that a connection is shown."""
    with gateway.login(BROKER).transport() as transport:
        transport.start_client()
        key = transport.get_remote_server_key()
        return f"{key.get_name()} {key.get_base64()}"


def test_host_keys_are_taken_for_connections_from_then_on(tmp_path: Path) -> None:
    private, line = make_ed25519()
    with Gateway(tmp_path) as gateway:
        before, path = host_key(gateway), gateway.home.keys / "ssh_host_ed25519"
        with gateway.login(BROKER).session() as session:
            path.unlink()
            write_private(path, private)
            unwell = gateway.cli("doctor", "--json")
            (listed,) = [check for check in json.loads(unwell.stdout) if check["check"] == "in force"]
            assert "keys/ssh_host_*" in listed["detail"]
            assert host_key(gateway) == before
            listed = json.loads(gateway.cli("reload", "--json").stdout)
            assert (listed["changed"], listed["needs_restart"]) == (["keys/ssh_host_*"], [])
            assert host_key(gateway) == line != before
            assert session.listdir("/") == ["FailBox", "InBox", "OutBox", "SentBox"]
            path.write_bytes(b"cut off")
            refused = gateway.cli("reload")
            assert (refused.returncode, "ssh_host_ed25519" in refused.stderr) == (1, True)
            assert host_key(gateway) == line
            path.unlink()  # other kinds are left
            assert gateway.cli("reload").returncode == 0
            assert host_key(gateway).startswith("ecdsa-")
            assert session.listdir("/InBox") == []


def test_the_node_runs_by_the_reloaded_files_and_reports_differences_from_the_present_ones(
    tmp_path: Path,
) -> None:
    sample = tmp_path / "R1.xml"
    sample.write_bytes(render(Declaration(reference="R1", lines=lines(2))))
    with Gateway(tmp_path) as gateway:
        assert gateway.cli("doctor").returncode == 0
        edit(gateway, "policy.toml", "lines = 50 ", "lines = 1 ")
        for command in (
            ("check", str(sample), "--account", BROKER),
            ("messages", "replay", "--state", "rejected", "--reason", "tests"),
            ("messages", "replay", "--state", "rejected", "--dry-run"),
            ("routes", "try", str(sample)),
        ):
            assert "differing from what the node runs by" in gateway.cli(*command).stderr, command
        unwell = gateway.cli("doctor", "--json")
        (shown,) = [check for check in json.loads(unwell.stdout) if check["check"] == "in force"]
        assert (unwell.returncode, shown["ok"]) == (1, False)
        assert "policy.toml" in shown["detail"]
        assert "routes.toml" not in shown["detail"]
        gateway.send(BROKER, "R1.xml", sample.read_bytes())
        gateway.until(lambda: state(gateway, "R1") == "closed")

        edit(gateway, "routes.toml", 'backend = "customs"', 'backend = "nowhere"')
        refused = gateway.cli("reload")
        assert (refused.returncode, "nowhere" in refused.stderr) == (1, True)
        edit(gateway, "routes.toml", 'backend = "nowhere"', 'backend = "customs"')
        edit(gateway, "gateway.toml", "seconds = 60 ", "seconds = 61 ")
        shown = json.loads(gateway.cli("reload", "--json").stdout)
        assert (shown["reloaded"], shown["changed"]) == (True, ["policy.toml"])
        assert shown["needs_restart"] == ["judging.seconds"]
        gateway.send(BROKER, "R2.xml", render(Declaration(reference="R2", lines=lines(2))))
        gateway.until(lambda: state(gateway, "R2") == "rejected")

        edit(gateway, "policy.toml", "lines = 1 ", "lines = 50 ")
        gateway.signal(signal.SIGHUP)
        gateway.until(lambda: happened(gateway)[-1:] == ["reloaded"] and len(happened(gateway)) == 6)
        assert happened(gateway) == [
            *("started", "reload-asked", "reload-refused", "reload-asked", "reloaded"),
            "reloaded",
        ]
        assert gateway.stop() == 0
        assert gateway.cli("reload").returncode == 3
