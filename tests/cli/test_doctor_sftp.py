"""What `doctor` says of the SFTP server: its host keys, and uploads that were left unfinished."""

from typing import Any

from adapters.cli.doctor import examine
from adapters.home.host_keys import KINDS, read_host_keys
from adapters.store.write.alarms import write
from gateway.monitor.alarm_conditions import UNFINISHED
from gateway.monitor.alarms import AlarmSeverity, Changes, Condition
from tests.support.harness import NOW, Harness


def doctor_check(harness: Harness, check: str) -> dict[str, Any]:
    (checked,) = [result for result in examine(harness.home, NOW) if result["check"] == check]
    return checked


def test_a_new_home_has_host_keys_of_every_kind_and_doctor_shows_their_fingerprints(harness: Harness) -> None:
    checked = doctor_check(harness, "host keys")
    keys = read_host_keys(harness.home.keys)
    assert {key.kind for key in keys} == set(KINDS)
    assert checked["ok"] is True
    assert all(key.fingerprint in checked["detail"] for key in keys)
    known_hosts = (harness.home.path / "clients" / "broker-aa" / "known_hosts").read_text()
    assert all(key.key.get_base64() in known_hosts for key in keys)


def test_doctor_accepts_an_older_home_and_says_how_to_add_another_kind_of_host_key(harness: Harness) -> None:
    for kind in KINDS[1:]:
        (harness.home.keys / f"ssh_host_{kind}").unlink()
    checked = doctor_check(harness, "host keys")
    assert checked["ok"] is True
    assert "ssh-keygen -t ecdsa" in checked["detail"]


def test_a_host_key_that_cannot_be_read_is_named(harness: Harness) -> None:
    (harness.home.keys / "ssh_host_rsa").write_text("no key")
    checked = doctor_check(harness, "host keys")
    assert checked["ok"] is False
    assert "ssh_host_rsa" in checked["detail"]


def test_doctor_reports_uploads_that_are_left_unfinished(harness: Harness) -> None:
    assert doctor_check(harness, "unfinished uploads")["ok"] is True
    left = Condition(
        key=f"{UNFINISHED}broker-aa", severity=AlarmSeverity.WARNING, zh="z", en="broker-aa left 2"
    )
    harness.database.submit(lambda to: write(to, Changes(opened=(left,)), NOW)).result()
    check = doctor_check(harness, "unfinished uploads")
    assert (check["ok"], check["detail"]) == (False, "broker-aa left 2")
