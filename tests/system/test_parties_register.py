"""`gateway parties`: the register is changed in one commit or not at all, and every change is kept."""

import json
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

import cli
from adapters.cli.exit_codes import NO, USAGE
from adapters.cli.init.init import create_home
from adapters.home.actor import actor
from adapters.home.ssh_keys import make_ed25519
from adapters.store.database import sqlite_engine
from adapters.store.read.register import SqlRegister
from gateway.model.china import china_date
from gateway.model.parties import Party, TraderClass
from tests.support.keys import identity

NEW = "1207960404,91120116MADEM0C186,天津新贸易有限公司,trader,B,,trader-c"
TO_BROKER_B = "3122280022,,,,A,,"


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return create_home(tmp_path_factory.mktemp("parties") / "home", 0, datetime.now(UTC)).path


@pytest.fixture
def home(founded: Path, tmp_path: Path) -> Path:
    shutil.copytree(founded, tmp_path / "home")
    return tmp_path / "home"


def gateway(home: Path, *arguments: object) -> Result:
    return CliRunner().invoke(cli.app, ["parties", *map(str, arguments), "--home", str(home)])


def run_json(home: Path, *arguments: object) -> Any:
    result = gateway(home, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def party(home: Path, called: str) -> Party:
    engine = sqlite_engine(home / "gateway.db", read_only=True)
    register = SqlRegister(engine)
    party = register.party_called(called) or register.party_of(called)
    engine.dispose()
    assert party is not None
    return party


def changes(home: Path) -> list[tuple[Any, ...]]:
    engine = sqlite_engine(home / "gateway.db", read_only=True)
    with engine.connect() as reader:
        rows = reader.execute(
            text("SELECT party, actor, reason, before, after FROM party_changes ORDER BY id")
        )
        stored = [tuple(row) for row in rows]
    engine.dispose()
    return stored


def table(home: Path, *rows: str) -> Path:
    file = home.parent / "table.csv"
    file.write_text("\n".join(("code,scc,name,role,class,since,account", *rows)), encoding="gbk")
    return file


def test_init_registers_the_parties_of_its_file_and_says_so(home: Path) -> None:
    before = changes(home)

    assert [row[1:4] for row in before] == [(actor(), "init", None)] * 8
    assert [json.loads(row[4])["code"] for row in before] == [row[0] for row in before]
    assert [party["account"] for party in run_json(home, "list")][:2] == ["broker-aa", "broker-b"]


@pytest.mark.parametrize(
    "name",
    ["1207960303", "91120116MADEM0B11T", "MADEM0B11", "trader-b"],
    ids=["customs", "scc", "gb", "account"],
)
def test_a_party_is_found_by_each_of_its_names(home: Path, name: str) -> None:
    assert party(home, name).code == "1207960303"
    assert run_json(home, "show", name)["code"] == "1207960303"


@pytest.mark.parametrize("name", ["", "1207960304", "91120116MADEM0B11X", "MADEM0B1X", "nobody"])
def test_no_party_is_found_by_a_name_that_none_has(home: Path, name: str) -> None:
    engine = sqlite_engine(home / "gateway.db", read_only=True)
    assert SqlRegister(engine).party_called(name) is None
    engine.dispose()
    assert gateway(home, "show", name).exit_code == NO


def test_the_file_that_init_left_changes_nothing(home: Path) -> None:
    report = run_json(home, "import", home / "parties.toml")

    assert (report["added"], report["changed"], len(report["unchanged"])) == ([], [], 8)
    assert len(changes(home)) == 8


def test_a_table_adds_and_changes_parties_and_leaves_the_others(home: Path) -> None:
    others = [party for party in run_json(home, "list") if party["account"] != "broker-b"]
    today = china_date(datetime.now(UTC))

    report = run_json(home, "import", table(home, NEW, TO_BROKER_B), "--reason", "GAC 2026")

    assert report["added"] == [{"code": "1207960404", "name": "天津新贸易有限公司"}]
    (changed,) = report["changed"]
    assert changed["code"] == "3122280022"
    assert changed["changes"] == [
        {
            "field": "classes",
            "before": [{"class": "B", "since": None, "until": None}],
            "after": [
                {"class": "B", "since": None, "until": str(today - timedelta(days=1))},
                {"class": "A", "since": str(today), "until": None},
            ],
        }
    ]
    listed = run_json(home, "list")
    assert [row for row in listed if row["account"] not in ("broker-b", "trader-c")] == others
    assert listed[-1] == {
        "account": "trader-c",
        "code": "1207960404",
        "scc": "91120116MADEM0C186",
        "name": "天津新贸易有限公司",
        "class": "B",
        "role": "trader",
    }
    assert {(row[0], row[2]) for row in changes(home)[8:]} == {
        ("1207960404", "GAC 2026"),
        ("3122280022", "GAC 2026"),
    }


def test_a_dry_run_says_the_same_and_changes_nothing(home: Path) -> None:
    file = table(home, NEW, TO_BROKER_B)
    before = run_json(home, "list")

    dry = run_json(home, "import", file, "--dry-run")

    assert run_json(home, "list") == before
    assert len(changes(home)) == 8
    assert dry == {**run_json(home, "import", file), "dry_run": True}


def test_an_import_shows_what_it_changes(home: Path) -> None:
    printed = gateway(home, "import", table(home, NEW, TO_BROKER_B), "--dry-run").stdout

    assert "added      1207960404  天津新贸易有限公司" in printed
    assert "classes: B → B until " in printed
    assert "nothing was changed: --dry-run" in printed


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1207960405,,,,B,,", "table.csv, line 3, scc: a new party needs scc and name and role"),
        ("1207960303,,,,,,trader-x", "table.csv, line 3, account: the party has the account trader-b"),
        (
            "1207960405,91120116MADEM0C261,某公司,trader,,,trader-b",
            "table.csv, line 3, account: trader-b is that of 1207960303",
        ),
        (
            "1207960405,91120116MADEM0B11T,某公司,trader,,,",
            "table.csv, line 3, scc: the organisation code MADEM0B11 in it is that of 1207960303",
        ),
        ("1207960405,91120116MADEM0C260,某公司,trader,,,", "table.csv, line 3, scc:"),
    ],
)
def test_an_error_in_one_line_leaves_nothing_of_the_others(home: Path, row: str, reason: str) -> None:
    before = run_json(home, "list")

    result = gateway(home, "import", table(home, NEW, row))

    assert result.exit_code == USAGE
    assert reason in result.stderr
    assert run_json(home, "list") == before
    assert len(changes(home)) == 8


def test_all_conflicts_with_the_register_are_reported_at_once(home: Path) -> None:
    result = gateway(home, "import", table(home, "1207960405,,,,,,", "1207960303,,,,,,trader-x"))

    assert "line 2, scc: a new party needs" in result.stderr
    assert "line 3, account: the party has" in result.stderr


def test_a_social_credit_code_can_go_from_one_party_to_another_in_one_import(home: Path) -> None:
    first, second = party(home, "trader-a").scc, party(home, "trader-b").scc

    run_json(home, "import", table(home, f"1207940101,{second},,,,,", f"1207960303,{first},,,,,"))

    assert (party(home, "trader-a").scc, party(home, "trader-b").scc) == (second, first)
    assert party(home, first).code == "1207960303"


def test_an_import_does_not_lift_a_revocation(home: Path) -> None:
    key, certificate = run_json(home, "keys", "trader-b")
    run_json(home, "keys", "trader-b", "--revoke", key["fingerprint"])
    run_json(home, "keys", "trader-b", "--revoke", certificate["fingerprint"])

    report = run_json(home, "import", home / "parties.toml")

    assert report["changed"] == []
    assert {key["state"] for key in run_json(home, "keys", "trader-b")} == {"revoked"}


def test_one_party_is_added_by_options(home: Path) -> None:
    line = make_ed25519()[1]
    (home.parent / "id.pub").write_text(line)
    options = ("--code", "1207960404", "--scc", "91120116MADEM0C186", "--name", "天津新贸易有限公司")

    added = run_json(
        *(home, "add", *options, "--role", "trader", "--class", "A", "--since", "2026-01-01"),
        *("--account", "trader-c", "--key", home.parent / "id.pub", "--reason", "signed up"),
    )

    assert (added["account"], added["class"]) == ("trader-c", "A")
    registered = party(home, "trader-c")
    assert registered.class_on(date(2025, 12, 31)) is None
    assert registered.class_on(date(2026, 1, 1)) is TraderClass.A
    assert registered.account is not None
    assert registered.account.keys == (line,)
    assert changes(home)[-1][1:4] == (actor(), "signed up", None)
    again = gateway(home, "add", *options, "--role", "trader")
    assert again.exit_code == NO
    assert "1207960404 is registered already" in again.stderr
    assert len(changes(home)) == 9


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--code", "12"), "add, code: '12' is no customs code"),
        (("--scc", "91120116MADEM0C187"), "add, scc: '91120116MADEM0C187' is no social credit code"),
        (("--since", "yesterday", "--class", "A"), "add, since: 'yesterday' is no day"),
        (("--key", "none.pub"), "name it with --account"),
        (("--key", "none.pub", "--account", "trader-c"), "none.pub: No such file or directory"),
        (("--account", "trader-b"), "add, account: trader-b is that of 1207960303"),
    ],
)
def test_a_party_with_a_mistake_is_not_added(home: Path, options: tuple[str, ...], reason: str) -> None:
    right = ("--code", "1207960404", "--scc", "91120116MADEM0C186", "--name", "某公司", "--role", "trader")

    result = gateway(home, "add", *right, *options)

    assert result.exit_code == USAGE
    assert reason in result.stderr
    assert len(changes(home)) == 8


def test_keys_and_certificates_are_listed_with_how_long_they_are_valid(home: Path) -> None:
    ended = identity("p-256", ends=datetime(2021, 1, 1, tzinfo=UTC))
    (home.parent / "ended.crt").write_text(ended.certificate_pem)

    key, first, second = run_json(home, "keys", "trader-b", "--add-certificate", home.parent / "ended.crt")

    assert key["fingerprint"].startswith("SHA256:")
    assert (key["kind"], key["type"], key["state"]) == ("key", "ssh-ed25519", "valid")
    assert (first["kind"], first["state"]) == ("certificate", "valid")
    assert (second["fingerprint"], second["state"]) == (ended.fingerprint, "expired")
    assert (second["valid_from"], second["valid_until"]) == (
        "2020-01-01T00:00:00+00:00",
        "2021-01-01T00:00:00+00:00",
    )


def test_a_revoked_key_cannot_be_added_again_or_revoked_twice(home: Path) -> None:
    folder = home / "clients" / "trader-b"
    for option, file in (("--add-key", "id_ed25519.pub"), ("--add-certificate", "sign.crt")):
        kind = "key" if option == "--add-key" else "certificate"
        (listed,) = [key for key in run_json(home, "keys", "trader-b") if key["kind"] == kind]
        run_json(home, "keys", "trader-b", "--revoke", listed["fingerprint"])
        for again in ((option, folder / file), ("--revoke", listed["fingerprint"])):
            assert gateway(home, "keys", "trader-b", *again).exit_code == NO
    assert len(changes(home)) == 10


def test_a_party_without_an_account_has_no_log_in_keys(home: Path) -> None:
    run_json(home, "import", table(home, NEW.removesuffix("trader-c")))
    key = home / "clients" / "trader-b" / "id_ed25519.pub"

    result = gateway(home, "keys", "1207960404", "--add-key", key)

    assert result.exit_code == NO
    assert "1207960404 has no account" in result.stderr
    assert gateway(home, "keys", "nobody").exit_code == NO


def test_every_change_of_a_party_is_shown_with_who_and_why(home: Path) -> None:
    run_json(home, "import", table(home, TO_BROKER_B), "--reason", "promoted")

    first, second = run_json(home, "show", "broker-b")["changes"]

    assert (first["reason"], first["changes"]) == ("init", [])
    assert (second["actor"], second["reason"]) == (actor(), "promoted")
    assert [change["field"] for change in second["changes"]] == ["classes"]
    assert "classes (promoted)" in gateway(home, "show", "broker-b").stdout
