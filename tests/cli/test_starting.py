"""Commands start fast: each imports what it works with, and one that reads nothing to judge or sign with."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from adapters.cli.init.init import create_home

HEAVY: Final = {"signxml", "paramiko", "aio_pika", "pikepdf", "xmlschema", "alembic", "cryptography"}
# The most modules that a command may have loaded, those of typer and SQLAlchemy among them, and the most CPU
# time that it may take, as a multiple of what `import sqlalchemy` takes by itself.
MOST: Final[Mapping[str, tuple[int, float]]] = {
    "--help": (400, 1.6),
    "messages list": (650, 3.2),
    "messages show nothing": (650, 3.2),
    "receipts list": (650, 3.2),
    "deliveries list": (650, 3.2),
    "agreements list": (650, 3.2),
    "stats flow": (650, 3.2),
    "undertakings list": (650, 3.2),
}
# Of which one has to do: the first may compile modules, and what else the machine does makes it longer only.
TRIES: Final = 4

_MEASURED: Final = """
import contextlib, json, sys, time
with contextlib.suppress(SystemExit):
    exec(sys.argv.pop(1))
print(json.dumps([time.process_time(), sorted(sys.modules)]), file=sys.stderr)
"""
_COMMAND: Final = "sys.argv[0] = 'gateway'; import cli; cli.main()"


class Start(NamedTuple):
    seconds: float
    modules: set[str]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """With compiled modules, as those of an installation are; the first start of all writes them."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    made = {
        **environment,
        "PYTHONPYCACHEPREFIX": str(tmp_path_factory.mktemp("compiled")),
        "GATEWAY_HOME": str(
            create_home(tmp_path_factory.mktemp("starting") / "home", 0, datetime.now(UTC)).path
        ),
    }
    started(made, "import sqlalchemy")
    return made


def started(environment: Mapping[str, str], code: str, *arguments: str) -> Start:
    command = [sys.executable, "-c", _MEASURED, code, *arguments]
    printed = subprocess.run(
        command, env=environment, cwd=Path.cwd(), capture_output=True, text=True, check=True
    ).stderr
    seconds, modules = json.loads(printed.splitlines()[-1])
    return Start(seconds, set(modules))


@pytest.mark.parametrize("command", MOST)
def test_a_command_loads_little_and_is_there_at_once(command: str, environment: Mapping[str, str]) -> None:
    most, ratio = MOST[command]
    ratios: list[float] = []
    while not ratios or (min(ratios) > ratio and len(ratios) < TRIES):
        start = started(environment, _COMMAND, *command.split())
        assert not {name.partition(".")[0] for name in start.modules} & HEAVY
        assert len(start.modules) <= most
        ratios.append(start.seconds / started(environment, "import sqlalchemy").seconds)
    assert min(ratios) <= ratio
