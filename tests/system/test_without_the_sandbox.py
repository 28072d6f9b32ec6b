"""The sandbox can be left out: real back-ends are served without it, and who asks for it is told."""

import os
import shutil
import site
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from adapters.cli.exit_codes import NO, USAGE
from cli import COMMANDS
from docs.generate import ROOT
from tests.support.declarations import Declaration
from tests.support.rendering import render
from tests.support.served import DONE_WITHIN, Gateway

# Without `site`: an editable installation would find the folder that is left out in the tree of this test.
COMMAND: Final = ("-S", "-m", "cli")
OF_THE_SANDBOX: Final = {name for name, place in COMMANDS.items() if ".sandbox." in place.module}


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The product in a folder of its own, without `adapters/sandbox`."""
    folder = tmp_path_factory.mktemp("product")
    for package in ("gateway", "adapters", "schemas", "config"):
        ignored = shutil.ignore_patterns("__pycache__", "sandbox")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    shutil.copy(ROOT / "cli.py", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *site.getsitepackages()]))
        yield folder


def run_gateway(product: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *COMMAND, *arguments],
        cwd=product,
        capture_output=True,
        text=True,
        timeout=DONE_WITHIN,
        check=False,
    )


@pytest.fixture
def gateway(product: Path, tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path, (*COMMAND, "serve"), product)
    yield made
    if made.running:
        made.kill()


def by_a_folder(gateway: Gateway) -> None:
    """A directory takes the place of the sandbox's customs, and there is no association."""
    settings, routes = gateway.home.path / "gateway.toml", gateway.home.path / "routes.toml"
    text = settings.read_text("utf-8").replace('kind = "reference"', 'kind = "directory"\nfolder = "customs"')
    settings.write_text(text.partition("[backend.association]")[0], "utf-8")
    before, _route, _after = routes.read_text("utf-8").partition('[[route]]\nname = "agreements"')
    routes.write_text(f"{before}# end of routes.toml\n", "utf-8")
    for name in ("out", "in"):
        (gateway.home.path / "customs" / name).mkdir(parents=True)


def test_without_the_sandbox_its_commands_do_not_exist(product: Path) -> None:
    listed = run_gateway(product, "--help")
    assert listed.returncode == 0, listed.stderr
    named = {line.split()[1] for line in listed.stdout.splitlines() if line.startswith("│ ")}
    assert set(COMMANDS) - OF_THE_SANDBOX <= named
    assert not OF_THE_SANDBOX & named


@pytest.mark.parametrize("name", sorted(OF_THE_SANDBOX))
def test_a_command_of_it_says_that_it_is_not_installed(product: Path, name: str) -> None:
    answered = run_gateway(product, name, "list")
    assert answered.returncode == USAGE
    assert f"{name} is a command of the sandbox, which is not installed" in answered.stderr


def test_a_home_that_wants_it_is_not_served(product: Path, gateway: Gateway) -> None:
    home = str(gateway.home.path)
    served = run_gateway(product, "serve", "--home", home)
    assert served.returncode == USAGE
    assert "backend.customs.kind: reference is of the sandbox, which is not installed" in served.stderr
    looked_over = run_gateway(product, "doctor", "--home", home)
    assert looked_over.returncode == NO
    assert "reference is of the sandbox" in looked_over.stdout


def test_a_home_is_made_and_served_over_a_real_back_end(product: Path, gateway: Gateway) -> None:
    shutil.rmtree(gateway.home.path)
    made = run_gateway(product, "init", str(gateway.home.path), "--sftp-port", str(gateway.port))
    assert made.returncode == 0, made.stderr
    by_a_folder(gateway)

    gateway.start()
    gateway.send("broker-aa", "R1.xml", render(Declaration(reference="R1")))
    gateway.until(lambda: list((gateway.home.path / "customs" / "out").glob("*.zip")))
    gateway.until(lambda: [name for name in gateway.inbox("broker-aa") if name.startswith("Gateway_")])
    assert gateway.stop() == 0
