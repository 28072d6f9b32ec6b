"""What an operator gets wrong, or finds wrong with the machine, is told in one sentence and an exit code."""

import os
import shutil
import subprocess

import pytest

from adapters.cli.exit_codes import NO, UNREACHABLE, USAGE
from adapters.cli.output import cell
from tests.support import launching
from tests.support.served import Gateway

ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "GATEWAY_HOME"}


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return launching.run(*map(str, arguments), environment=ENVIRONMENT, timeout=60)


def test_a_file_that_the_system_refuses_is_named(gateway: Gateway) -> None:
    (gateway.home.path / "lock").mkdir()
    result = run("serve", "--home", gateway.home.path)
    assert result.returncode == UNREACHABLE
    assert result.stderr == f"gateway: {gateway.home.path / 'lock'}: Is a directory\n"


def test_a_store_that_cannot_be_opened_is_reported_without_the_librarys_text(gateway: Gateway) -> None:
    gateway.home.database.write_bytes(b"no database, " * 1000)
    doctor = run("doctor", "--home", gateway.home.path)
    assert doctor.returncode == NO
    assert "file is not a database" in doctor.stdout
    assert "sqlalche" not in doctor.stdout


def test_a_route_to_a_back_end_that_is_not_there_stops_a_node_from_starting(gateway: Gateway) -> None:
    routes = gateway.home.path / "routes.toml"
    routes.write_text(
        routes.read_text("utf-8").replace('backend = "customs"', 'backend = "custom"', 1), "utf-8"
    )
    result = run("serve", "--home", gateway.home.path)
    assert result.returncode == USAGE
    assert "routes.toml: route.backend" in result.stderr
    assert "named custom\n" in result.stderr
    assert run("doctor", "--home", gateway.home.path).returncode == NO


AMQP = """
[amqp]
user = "gateway"
password_file = "keys/not-there"

[backend.customs-2]
kind = "amqp"
user = "gateway"
password_file = "keys/nor-this"
"""


def test_a_missing_file_that_the_settings_name_is_reported_by_its_setting(gateway: Gateway) -> None:
    with (gateway.home.path / "gateway.toml").open("a") as settings:
        settings.write(AMQP)
    first = "amqp.password_file: keys/not-there: No such file or directory"
    second = "backend.customs-2.password_file: keys/nor-this: No such file or directory"
    result = run("serve", "--home", gateway.home.path)
    assert (result.returncode, result.stdout) == (USAGE, "")
    assert result.stderr == f"gateway: gateway.toml: {first}; {second}\n"
    customs = run("customs", "serve", "--amqp", "--home", gateway.home.path)
    assert (customs.returncode, customs.stderr) == (USAGE, f"gateway: gateway.toml: {second}\n")
    doctor = run("doctor", "--json", "--home", gateway.home.path)
    assert doctor.returncode == NO
    assert f"{first}; {second}" in doctor.stdout


def test_a_key_given_for_a_certificate_is_wrong_use(gateway: Gateway) -> None:
    sample = gateway.home.path / "samples" / "trader-b" / "01-import-by-trader.xml"
    result = run("receipts", "verify", sample, "--certificate", gateway.home.signing_key)
    assert result.returncode == USAGE
    assert result.stderr == f"gateway: {gateway.home.signing_key} holds no certificate in PEM form\n"


def test_verifying_speaks_of_the_file_and_of_the_certificate_that_were_given(gateway: Gateway) -> None:
    home = gateway.home.path
    unsigned = run(
        "receipts", "verify", home / "samples" / "trader-b" / "01-import-by-trader.xml", "--home", home
    )
    assert unsigned.returncode == NO
    assert "The file bears no signature" in unsigned.stdout
    shutil.unpack_archive(home / "samples" / "trader-a" / "04-signed.zip", home / "signed")
    (signed,) = (home / "signed").glob("*.xml")
    other = run("receipts", "verify", signed, "--home", home)
    assert other.returncode == NO
    assert "signed with another certificate than this one" in other.stdout


def test_a_declaration_that_names_two_parties_is_checked_as_that_of_the_one(gateway: Gateway) -> None:
    home = gateway.home.path
    sound = (home / "samples" / "trader-b" / "01-import-by-trader.xml").read_text("utf-8")
    mixed = home / "mixed.xml"
    mixed.write_text(sound.replace("<AgentCode>1207960303<", "<AgentCode>1207980011<"), "utf-8")
    result = run("check", mixed, "--home", home)
    assert result.returncode == NO
    assert "error wrong-party  mixed.xml line" in result.stdout
    assert "account-unknown" not in result.stdout


def test_a_declaration_that_names_no_party_is_checked_for_all_else(gateway: Gateway) -> None:
    nameless = gateway.home.path / "nameless.xml"
    nameless.write_text(
        '<DecMessage xmlns="http://www.chinaport.gov.cn/dec"><DecHead><IEFlag>E</IEFlag></DecHead>'
        "<DecSign><OperType>C</OperType></DecSign></DecMessage>",
        "utf-8",
    )
    result = run("check", nameless, "--home", gateway.home.path)
    assert result.returncode == NO
    assert "AgentCode is required" in result.stdout
    assert "account-unknown" not in result.stdout


def test_a_name_of_several_messages_shows_the_newest_that_is_no_repeat_and_names_the_others(
    gateway: Gateway,
) -> None:
    home = gateway.home.path
    sample = (home / "samples" / "trader-b" / "01-import-by-trader.xml").read_bytes()
    gateway.start()
    gateway.send("trader-b", "first.xml", sample)
    gateway.until(lambda: "Gateway_first_" in " ".join(gateway.inbox("trader-b")))
    gateway.send("trader-b", "second.xml", sample)
    gateway.until(lambda: "Gateway_second_" in " ".join(gateway.inbox("trader-b")))
    assert gateway.stop() == 0
    shown = run("messages", "show", "DEMO202611020001", "--home", home)
    assert shown.returncode == 0, shown.stderr
    assert "first.xml" in shown.stdout
    assert shown.stderr.startswith("gateway: the newest of several by DEMO202611020001 is ")
    assert shown.stderr.endswith(" (a repeat)\n")
    repeat = shown.stderr.split()[-3]
    second = run("messages", "show", repeat, "--home", home)
    assert "second.xml" in second.stdout
    assert second.stderr == ""


def test_a_period_that_ends_before_it_begins_is_refused(gateway: Gateway) -> None:
    result = run(
        "stats", "findings", "--since", "2027-01-01", "--until", "2026-01-01", "--home", gateway.home.path
    )
    assert (result.returncode, result.stdout) == (USAGE, "")
    assert result.stderr == "gateway: --until: 2026-01-01 is before --since 2027-01-01\n"


@pytest.mark.parametrize("command", [("parties", "import"), ("customs", "ledger", "import", "duties")])
def test_a_file_that_is_not_there_is_wrong_use(gateway: Gateway, command: tuple[str, ...]) -> None:
    result = run(*command, "nowhere.toml", "--home", gateway.home.path)
    assert (result.returncode, result.stdout) == (USAGE, "")
    assert "'nowhere.toml' does not exist" in result.stderr
    assert "Errno" not in result.stderr


def test_tables_say_yes_and_no_and_leave_no_cell_empty(gateway: Gateway) -> None:
    rows = run("doctor", "--home", gateway.home.path).stdout.splitlines()
    assert "configuration          yes" in rows[1]
    assert cell("").plain == cell(None).plain == "-"


def test_arguments_that_are_not_utf_8_are_reported(gateway: Gateway) -> None:
    reason = os.fsdecode(b"caf\xe9")
    result = run("backends", "pause", "customs", "--reason", reason, "--home", gateway.home.path)
    assert result.returncode == USAGE
    assert result.stderr == "gateway: what was given is no text in UTF-8\n"
