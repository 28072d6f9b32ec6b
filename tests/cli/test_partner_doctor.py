"""What `gateway doctor` says of partners whose settings and registration do not fit together."""

from pathlib import Path

from adapters.cli.doctor import examine
from adapters.cli.init.init import create_home
from adapters.home.home import Home
from tests.support.submissions import NOW


def partner_check(home: Home) -> tuple[bool, str]:
    (check,) = [check for check in examine(home, NOW) if check["check"] == "partners"]
    return check["ok"], check["detail"]


def test_a_partner_needs_an_account_that_gets_its_receipts_in_folders(tmp_path: Path) -> None:
    home = create_home(tmp_path / "home", 0, NOW)
    assert partner_check(home) == (True, "0 visited")

    with (home.path / "gateway.toml").open("a", encoding="utf-8") as file:
        for name, account in (("one", "broker-aa"), ("two", "nobody"), ("three", "nobody")):
            file.write(f'[partner.{name}]\nkind = "directory"\naccount = "{account}"\nfolder = "{name}"\n')
    well, detail = partner_check(home)
    assert not well
    assert detail.split("; ") == [
        "one: the delivery of account broker-aa is inbox, not folder",
        "two: no account is named nobody",
        "three: no account is named nobody",
        "nobody: named by more than one partner",
    ]


def test_files_that_the_settings_name_must_exist_and_secrets_must_be_private(tmp_path: Path) -> None:
    home = create_home(tmp_path / "home", 0, NOW)
    with (home.path / "gateway.toml").open("a", encoding="utf-8") as file:
        file.write('[amqp]\nuser = "gateway"\npassword_file = "open"\nca = "not-there"\n')
    (home.path / "open").write_text("password")
    (home.path / "open").chmod(0o644)
    (check,) = [check for check in examine(home, NOW) if check["check"] == "connections"]
    assert not check["ok"]
    assert check["detail"].split("; ") == [
        "amqp.password_file: open can be read by others (mode 644)",
        "amqp.ca: not-there: No such file or directory",
    ]
