"""Uploads over SFTP and AMQP while node, customs and broker are killed at random moments.

What was acknowledged has one final receipt and one effect. `make kills` does it with 200 kills beside a
customs over AMQP and 60 beside one behind a folder (`KILLS`), and prints what was counted; `KILLS_SEED`
repeats a course.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import random
import re
import select
import sqlite3
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import aio_pika
import paramiko
import pytest
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage

from gateway.formats.xml import trusted
from tests.support.amqp import XML, Platform, connected, run
from tests.support.amqp_backend import backend_settings
from tests.support.declarations import Declaration, enterprise
from tests.support.invariants import unfinished, violations
from tests.support.launching import Launched, launch
from tests.support.rabbitmq import Rabbit, section
from tests.support.receipts import NS
from tests.support.rendering import packed, render
from tests.support.served import DONE_WITHIN, READY_WITHIN, Gateway

KILLS: Final = json.loads(os.environ.get("KILLS", '{"amqp": 4, "folder": 1}'))
SEED: Final = int(os.environ.get("KILLS_SEED", time.time_ns() % 1_000_000))
EACH_TIME: Final = 6  # messages that are let loose for each kill: half before it, half after it
UPLOADERS: Final = ("paramiko", "paramiko", "openssh")
PUBLISHERS: Final = 2
UPLOADING, PUBLISHING = "broker-b", "broker-aa"  # whose receipts lie in the InBox, and go out over AMQP
LATEST: Final = 0.8  # seconds after they were let loose within which something is killed
FOLDER: Final = 'kind = "directory"\nfolder = "exchange"\n'
REFUSALS: Final = (OSError, EOFError, paramiko.SSHException, subprocess.SubprocessError)


class Mortal(Protocol):
    def kill(self) -> None: ...

    def start(self) -> None: ...


class Customs:
    """`gateway customs serve` of a home."""

    def __init__(self, home: Path, arguments: Sequence[str]) -> None:
        self._home = home
        self._arguments = arguments
        self._process: Launched | None = None

    def start(self) -> None:
        """Returns when it has said that it is ready."""
        log = self._home / "customs.log"
        command = ("customs", "serve", *self._arguments, "--home", str(self._home))
        with log.open("ab") as out:
            self._process = launch("cli", *command, stderr=out)
        assert self._process.stdout is not None
        with self._process.stdout as stdout:
            assert select.select([stdout], [], [], READY_WITHIN)[0]
            assert stdout.readline(), log.read_text("utf-8")[-3000:]

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(DONE_WITHIN)
            self._process = None


class Broker:
    """RabbitMQ, which knows its queues by now."""

    def __init__(self, rabbit: Rabbit) -> None:
        self._rabbit = rabbit

    def kill(self) -> None:
        self._rabbit.kill_at_once()

    def start(self) -> None:
        self._rabbit.start()


@dataclass
class Course:
    """Senders that send each message until it is acknowledged, and one who hears the receipts of AMQP."""

    gateway: Gateway
    url: str
    folder: Path
    allowed: int = 0  # messages that may be sent by now
    begun: int = 0
    acknowledged: list[str] = field(default_factory=list)
    again: int = 0  # tries that came to nothing
    replayed: int = 0  # messages that were held because their node was killed three times over them
    heard: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    over: bool = False

    async def __call__(self, victims: Iterable[Mortal], chance: random.Random) -> None:
        async with asyncio.TaskGroup() as work:
            hearing = work.create_task(self._hear())
            for number, client in enumerate(UPLOADERS):
                work.create_task(self._upload(client, f"UP{number}"))
            for number in range(PUBLISHERS):
                work.create_task(self._publish(f"PUB{number}"))
            for victim in victims:
                self.allowed += EACH_TIME // 2
                await asyncio.sleep(chance.random() * LATEST)
                await asyncio.to_thread(victim.kill)
                self.allowed += EACH_TIME // 2
                await asyncio.to_thread(victim.start)
                while len(self.acknowledged) < self.allowed - EACH_TIME // 2:
                    await asyncio.sleep(0.02)
            while len(self.acknowledged) < self.allowed:
                await asyncio.sleep(0.02)
            self.over = True
            while unfinished(self.gateway.home) or not self._all_heard():
                await asyncio.to_thread(self._replay_held)
                await asyncio.sleep(0.5)
            hearing.cancel()

    def _replay_held(self) -> None:
        """As an operator does with what three nodes in a row died over: here the kills were to blame."""
        held = json.loads(self.gateway.cli("messages", "list", "--state", "held", "--json").stdout)
        for message in held:
            self.gateway.cli("messages", "replay", message["id"], "--reason", "the node was killed")
        self.replayed += len(held)

    def _all_heard(self) -> bool:
        return {name for name in self.acknowledged if name.startswith("PUB")} <= self.heard.keys()

    async def _next(self, prefix: str) -> str | None:
        """The next reference, once it may be sent; None when nothing more is to be sent."""
        while self.begun >= self.allowed:
            if self.over:
                return None
            await asyncio.sleep(0.02)
        self.begun += 1
        return f"{prefix}-{self.begun:05}"

    async def _upload(self, client: str, prefix: str) -> None:
        upload = self._with_openssh if client == "openssh" else self._with_paramiko
        while reference := await self._next(prefix):
            declaration = declared(reference, UPLOADING)
            zipped = self.begun % 3 == 0
            name = f"{reference}.zip" if zipped else f"{reference}.xml"
            body = packed(declaration) if zipped else render(declaration)
            while not await asyncio.to_thread(upload, name, body):
                self.again += 1
                await asyncio.sleep(0.2)
            self.acknowledged.append(reference)

    def _with_paramiko(self, name: str, body: bytes) -> bool:
        try:
            self.gateway.send(UPLOADING, name, body)
        except REFUSALS:
            return False
        return True

    def _with_openssh(self, name: str, body: bytes) -> bool:
        local = self.folder / name
        local.write_bytes(body)
        try:
            done = self.gateway.login(UPLOADING).sftp(f"put {local} /OutBox/")
        except REFUSALS:
            return False
        return done.returncode == 0

    async def _publish(self, prefix: str) -> None:
        while reference := await self._next(prefix):
            message = aio_pika.Message(
                render(declared(reference, PUBLISHING)),
                content_type=XML,
                delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                user_id=PUBLISHING,
                message_id=reference,
            )
            while not await self._confirmed(message):
                self.again += 1
            self.acknowledged.append(reference)

    async def _confirmed(self, message: aio_pika.Message) -> bool:
        async with await self._connected() as connection:
            with contextlib.suppress(Exception):  # whatever the broker's death does to its clients
                channel = await connection.channel(on_return_raises=True)
                exchange = await channel.get_exchange("gateway.in", ensure=False)
                await exchange.publish(message, "kills", timeout=10)
                return True
        return False

    async def _hear(self) -> None:
        while True:
            async with await self._connected() as connection:
                with contextlib.suppress(Exception):
                    channel = await connection.channel()
                    closed = asyncio.get_running_loop().create_future()
                    channel.close_callbacks.add(
                        lambda *_, closed=closed: closed.cancelled() or closed.set_result(None)
                    )
                    queue = await channel.get_queue(f"{PUBLISHING}.receipts", ensure=False)
                    await queue.consume(self._note)
                    await closed
            await asyncio.sleep(0.05)

    async def _note(self, message: AbstractIncomingMessage) -> None:
        if message.headers.get("final"):
            self.heard[message.correlation_id or ""].add(hashlib.sha256(message.body).hexdigest())
        with contextlib.suppress(Exception):
            await message.ack()

    async def _connected(self) -> AbstractConnection:
        while True:
            with contextlib.suppress(Exception):
                return await aio_pika.connect(self.url, timeout=5)
            await asyncio.sleep(0.2)

    def finals(self) -> dict[str, set[str]]:
        """The different final receipts that the senders have, by the reference of what they are for."""
        digests = defaultdict(set, self.heard)
        with self.gateway.login(UPLOADING).session() as client:
            for name in client.listdir("/InBox"):
                if name.startswith("Gateway_"):
                    with client.open(f"/InBox/{name}") as file:
                        file.prefetch()
                        body = file.read()
                    if trusted(body).findtext("g:Final", namespaces=NS) == "true":
                        digests[name.split("_")[1]].add(hashlib.sha256(body).hexdigest())
        return dict(digests)


def declared(reference: str, account: str) -> Declaration:
    return Declaration(reference=reference, agent=enterprise(account), trader=enterprise("trader-aa"))


def served(folder: Path, rabbit: Rabbit, customs: str) -> tuple[Gateway, str, Customs]:
    """A home, not served yet, whose customs is a process of its own; its virtual host; its customs."""
    gateway, vhost = Gateway(folder), rabbit.vhost(PUBLISHING)
    home = gateway.home.path
    connected(gateway, rabbit.settings(home, vhost), (PUBLISHING,))
    over = (
        FOLDER
        if customs == "folder"
        else section(backend_settings(rabbit, home, vhost), "").split("\n", 1)[1]
    )
    gateway.configure("workers", "1")
    settings = home / "gateway.toml"
    text, replaced = re.subn(
        r'^kind = "reference".*$', lambda _: over, settings.read_text("utf-8"), flags=re.M
    )
    assert replaced == 1
    settings.write_text(text, "utf-8")
    return gateway, vhost, Customs(home, ["--amqp"] if customs == "amqp" else [])


def filed(gateway: Gateway) -> Counter[str]:
    """How often customs was sent a declaration under each reference."""
    with closing(sqlite3.connect(gateway.home.path / "backends" / "customs" / "customs.db")) as database:
        return Counter(reference for (reference,) in database.execute("SELECT reference FROM submissions"))


# The library leaves a coroutine behind where a broker dies while it is connected to.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
@pytest.mark.parametrize("customs", ["amqp", "folder"])
def test_a_message_acknowledged_while_processes_are_killed_is_receipted_and_filed_once(
    mortal_rabbit: Rabbit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, customs: str
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    kills, chance = KILLS[customs], random.Random(SEED)  # noqa: S311  # moments, not secrets
    gateway, vhost, sandbox = served(tmp_path, mortal_rabbit, customs)
    half, quarter = kills - 2 * (kills // 4), kills // 4
    victims: list[Mortal] = [*[gateway] * half, *[sandbox] * quarter, *[Broker(mortal_rabbit)] * quarter]
    chance.shuffle(victims)
    course = Course(gateway, mortal_rabbit.url(vhost, PUBLISHING), tmp_path)

    async def test() -> None:
        async with await Platform.connect(mortal_rabbit, vhost, PUBLISHING):
            pass  # its queue stands now
        await asyncio.to_thread(mortal_rabbit.note_queues)
        await course(victims, chance)

    began = time.monotonic()
    try:
        with gateway:
            sandbox.start()
            gateway.until(lambda: '"broker connected"' in gateway.log.read_text("utf-8"))
            run(test, 120 + 60 * kills)
            finals, submissions = course.finals(), filed(gateway)
            lost = [name for name in course.acknowledged if name not in finals or not submissions[name]]
            doubled = [
                name for name in course.acknowledged if len(finals.get(name, ())) > 1 or submissions[name] > 1
            ]
            print(
                f"\nkills ({customs}, seed {SEED}): {Counter(type(victim).__name__ for victim in victims)}; "
                f"{len(course.acknowledged)} acknowledged, {course.again} tries failed, "
                f"{course.replayed} replayed, {len(lost)} lost, {len(doubled)} doubled, "
                f"{time.monotonic() - began:.0f} s"
            )
            assert (lost, doubled) == ([], [])
            assert len(course.acknowledged) == kills * EACH_TIME
            assert sorted(finals) == sorted(course.acknowledged) == sorted(submissions)
            assert violations(gateway.home, repeats=customs == "amqp") == []
            assert list((gateway.home.blobs / "spool").iterdir()) == []
            audit = gateway.cli("audit", "verify")
            assert audit.returncode == 0, audit.stdout
            assert gateway.stop() == 0
    except BaseException:
        said = {
            log: log.read_text("utf-8")[-4000:] for log in (gateway.log, gateway.home.path / "customs.log")
        }
        print(
            f"kills ({customs}, seed {SEED}): {len(course.acknowledged)} of {course.allowed}", *said.items()
        )
        raise
    finally:
        sandbox.kill()
    assert list(temporary.iterdir()) == []
    assert not gateway.home.temporary.exists() or list(gateway.home.temporary.iterdir()) == []
