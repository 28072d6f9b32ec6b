"""A gateway and a customs over HTTP, each a process of its own, from a declaration to its release."""

import json
import re
from pathlib import Path

import pytest

from adapters.cli.init.init import free_port
from tests.support.declarations import Declaration
from tests.support.rendering import render
from tests.support.served import Gateway, customs_served
from tests.support.tls import IssuedCertificate, issued

ACCOUNT = "broker-aa"


def certificate_settings(own: IssuedCertificate) -> str:
    return f'certificate = "{own.certificate}"\nkey = "{own.key}"\n'


@pytest.mark.parametrize("way", ["poll", "push"])
def test_a_declaration_is_released_by_a_customs_over_https_in_envelopes_of_dxp(
    tmp_path: Path, way: str
) -> None:
    tls = tmp_path / "tls"
    ours, theirs = issued(tls, "gateway"), issued(tls, "customs")
    gateway = Gateway(tmp_path)
    at, push = free_port(), free_port()
    settings = gateway.home.path / "gateway.toml"
    backend = f'kind = "http"\nurl = "https://127.0.0.1:{at}"\nca = "{ours.ca}"\nanswers = "{way}"\n'
    backend += 'dxp = {sender = "DXPENT0000000001", receiver = "DXPEDCDEC0000001"}\n' + certificate_settings(
        ours
    )
    arguments = ["--home", str(gateway.home.path), "--http", f"127.0.0.1:{at}", "--dxp"]
    arguments += ["--tls-certificate", str(theirs.certificate), "--tls-key", str(theirs.key)]
    arguments += ["--client-ca", str(ours.ca)]
    listener = ""
    if way == "push":
        backend += f'pusher = "{theirs.certificate}"\n'
        listener = f'\n[push]\nport = {push}\nclient_ca = "{ours.ca}"\n{certificate_settings(ours)}'
    text = re.sub(r'^kind = "reference".*$', backend, settings.read_text("utf-8"), flags=re.MULTILINE)
    settings.write_text(text + listener, "utf-8")
    (name,) = (name for name, kind in gateway.home.settings().backend.items() if kind.kind == "http")
    if way == "push":
        arguments += ["--push", f"https://127.0.0.1:{push}/answers/{name}"]

    with gateway, customs_served(tmp_path, *arguments):
        assert (f'"port": {push}, "event": "answers may be brought"' in gateway.log.read_text("utf-8")) is (
            way == "push"
        )
        gateway.send(ACCOUNT, "one.xml", render(Declaration(reference="HTTP-1")))

        def scene() -> list[str]:
            return sorted(
                name.split("_")[0] for name in gateway.inbox(ACCOUNT) if "_one_" in name and "Receipt" in name
            )

        gateway.until(lambda: len(scene()) == 4)
        listed = json.loads(gateway.cli("messages", "list", "--json").stdout)
        assert [(row["state"], row["customs_status"]) for row in listed] == [("closed", "closed")]
        assert gateway.stop() == 0


def test_a_customs_whose_answers_cannot_be_fetched_opens_an_alarm_though_nothing_waits_for_it(
    tmp_path: Path,
) -> None:
    gateway, at = Gateway(tmp_path), free_port()
    settings = gateway.home.path / "gateway.toml"
    backend = f'kind = "http"\nurl = "http://127.0.0.1:{at}"\nanswers = "poll"\n'
    text = re.sub(r'^kind = "reference".*$', backend, settings.read_text("utf-8"), flags=re.MULTILINE)
    settings.write_text(f"{text}\n[alarms]\nseconds = 0.2\nquiet_minutes = 0\nanswers_minutes = 0\n", "utf-8")

    def alarms() -> list[str]:
        return [alarm["key"] for alarm in json.loads(gateway.cli("alarms", "list", "--json").stdout)]

    with gateway:
        gateway.until(lambda: alarms() == ["answers:customs"])
        with customs_served(tmp_path, "--home", str(gateway.home.path), "--http", f"127.0.0.1:{at}"):
            gateway.until(lambda: alarms() == [])
