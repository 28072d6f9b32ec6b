"""Which folder, certificate and books `gateway customs serve` takes, and what it says to a wrong use."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

import cli
from adapters.cli.exit_codes import USAGE
from tests.support.served import Gateway


@pytest.mark.parametrize("options", [(), ("--folder", "exchange"), ("--certificate", "gateway.crt")])
def test_without_a_home_the_folder_and_the_certificate_are_needed(
    options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GATEWAY_HOME", raising=False)
    result = CliRunner().invoke(cli.app, ["customs", "serve", *options])
    assert result.exit_code == USAGE
    assert "--folder and --certificate" in result.stderr


def test_a_home_whose_customs_is_inside_the_node_has_none_to_serve(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    result = gateway.cli("customs", "serve")
    assert result.returncode == USAGE
    assert "back-end of kind directory" in result.stderr
    assert "for one of kind http or amqp say --http HOST:PORT or --amqp" in result.stderr


def test_a_home_with_several_folders_asks_which(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    with (gateway.home.path / "gateway.toml").open("a") as settings:
        for name in ("north", "south"):
            settings.write(f'\n[backend.{name}]\nkind = "directory"\nfolder = "{name}"\n')
    result = gateway.cli("customs", "serve")
    assert result.returncode == USAGE
    assert "north, south" in result.stderr


@pytest.mark.parametrize("other", [("--folder", "exchange"), ("--http", "127.0.0.1:0")])
def test_customs_serve_over_amqp_refuses_options_of_other_channels(
    other: tuple[str, ...], tmp_path: Path
) -> None:
    arguments = ["customs", "serve", "--home", str(tmp_path), "--amqp", *other]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == USAGE
    assert "--amqp needs a home" in result.stderr


def test_over_amqp_answers_have_no_envelope(tmp_path: Path) -> None:
    arguments = ["customs", "serve", "--home", str(tmp_path), "--amqp", "--dxp"]
    result = CliRunner().invoke(cli.app, arguments)
    assert (result.exit_code, "--dxp goes with a folder or --http" in result.stderr) == (USAGE, True)


def test_over_amqp_customs_is_served_where_the_home_has_one_such_back_end(tmp_path: Path) -> None:
    home = Gateway(tmp_path).home.path
    result = CliRunner().invoke(cli.app, ["customs", "serve", "--home", str(home), "--amqp"])
    assert result.exit_code == USAGE
    assert "one back-end of kind amqp; it names 0" in result.stderr
