"""The customs sandbox in a process of its own, behind the broker, so that its CPU time can be told apart."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from adapters.home.home import Home
from bench.traffic import ACCOUNT
from tests.support.rabbitmq import Rabbit, section


def over_amqp(base: Home, rabbit: Rabbit) -> str:
    """Makes the customs of the home a back-end behind the broker; returns the virtual host."""
    vhost = rabbit.vhost(ACCOUNT)
    file = base.path / "gateway.toml"
    lines = section(rabbit.settings(base.path, vhost), "backend.customs").splitlines()
    customs = [line for line in lines if not line.startswith(("prefetch", "delivery_limit"))]
    at_home, found = re.subn(
        r'^\[backend\.customs\]\nkind = "reference".*$',
        lambda _: "\n".join([*customs, 'kind = "amqp"']),
        file.read_text("utf-8"),
        flags=re.MULTILINE,
    )
    assert found == 1
    file.write_text(at_home, "utf-8")
    return vhost


@contextmanager
def serving_customs(base: Home) -> Iterator[int]:
    """The process id of a `gateway customs serve` that is ready."""
    command = [sys.executable, "-m", "cli", "customs", "serve", "--amqp", "--home", str(base.path)]
    with (base.path / "customs.log").open("wb") as log:
        customs = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
    try:
        assert customs.stdout is not None
        assert customs.stdout.readline(), (base.path / "customs.log").read_text()[-2000:]
        yield customs.pid
    finally:
        customs.terminate()
        customs.communicate()


def broker_pid(rabbit: Rabbit) -> int:
    return int((rabbit.folder / "pid").read_text())
