"""The examples of `docs/for-integrators.md`, run as they stand there against a gateway and a broker."""

import asyncio
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aio_pika
import pytest
from aiormq.exceptions import ChannelAccessRefused

from adapters.cli.init.init import free_port
from docs.generate import ROOT
from tests.support.amqp import AmqpHome
from tests.support.declarations import small
from tests.support.rabbitmq import Rabbit
from tests.support.rendering import files, package, render
from tests.support.served import Gateway

DOCUMENT: Final = (ROOT / "docs" / "for-integrators.md").read_text("utf-8")
PYTHON_LINES: Final = 30


def fences(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Platform:
    """What the document names, as it is here."""

    folder: Path
    amqp_port: int
    management_port: int

    def here(self, text: str) -> str:
        return text.replace("5672/", f"{self.amqp_port}/").replace("15672", str(self.management_port))

    def file(self, reference: str) -> Path:
        path = self.folder / f"{reference}.zip"
        declaration = small(reference)
        path.write_bytes(package(render(declaration), files(declaration), f"{reference}.xml"))
        return path

    def run(self, *command: str, home: Path | None = None) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "HOME": str(self.folder),
                "LANG": "C.UTF-8",
                "GATEWAY_HOME": str(home),
                **{name: value for name, value in os.environ.items() if name == "PYTHONPATH"},
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Everything under "Set-up" done as it is written there."""
    folder, management = tmp_path_factory.mktemp("platform"), free_port()
    broker = Rabbit()
    (broker.folder / "plugins").write_text("[rabbitmq_management].")
    with (broker.folder / "rabbit.conf").open("a") as conf:
        conf.write(f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {management}\n")
    set_up, configure, *_examples = fences("sh")
    (section,) = fences("toml")
    gateway = Gateway(folder)
    platform = Platform(folder, broker.port, management)
    with broker:
        for line in set_up.splitlines():
            program, *arguments = shlex.split(line)
            assert program == "rabbitmqctl"
            broker.ctl(*arguments)
        with (gateway.home.path / "gateway.toml").open("a") as settings:
            settings.write("\n" + section.replace("5672", str(broker.port)))
        platform.run("sh", "-ec", configure, home=gateway.home.path)
        with gateway:
            AmqpHome(gateway, broker, "customs").until_connected()
            yield platform


def test_the_python_example_sends_and_waits_for_the_final_receipt(platform: Platform) -> None:
    (example,) = fences("python")
    assert len(example.splitlines()) <= PYTHON_LINES
    (platform.folder / "example.py").write_text(platform.here(example))
    result = platform.run("python", "-W", "error", "example.py", str(platform.file("PYTHON-1")))
    assert result == "accepted\n"


def test_the_shell_example_sends_and_reads_the_receipt(platform: Platform) -> None:
    example = fences("sh")[-1]
    result = platform.run("sh", "-ec", platform.here(example), "sh", str(platform.file("SHELL-1")))
    receipt = (platform.folder / "receipt.xml").read_text("utf-8")
    assert "<Verdict>accepted</Verdict>" in result, receipt


def test_the_rights_of_an_account_do_not_reach_the_receipts_of_another(platform: Platform) -> None:
    async def bind() -> None:
        broker = f"amqp://broker-aa:broker-password@127.0.0.1:{platform.amqp_port}/customs"
        async with await aio_pika.connect(broker) as connection:
            mine = await (await connection.channel()).declare_queue("broker-aa.mine", durable=True)
            with pytest.raises(ChannelAccessRefused, match=r"gateway\.receipts"):
                await mine.bind("gateway.receipts", "broker-b")

    asyncio.run(bind())
