"""A disk that is really full: what is refused is told, what was acknowledged stays, and it goes on after."""

import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import paramiko
import pytest
from sqlalchemy import select

from adapters.home.home import Home
from adapters.store.database import sqlite_engine
from adapters.store.tables.messages import messages
from gateway.model.states import State
from gateway.monitor.alarms import NoticeKind
from tests.support.declarations import Declaration
from tests.support.invariants import violations
from tests.support.rendering import render
from tests.support.served import Gateway
from tests.system.on_a_small_disk import seen_from_outside, way

BROKER: Final = "broker-aa"
SIZE: Final = "48m"
# What a client may be told, by where the disk was found full.
WORDS: Final = ("disk is nearly full", "disk is full; nothing was kept", "try again later")


class OnASmallDisk(Gateway):
    """Nobody else has its file system mounted; SQLite cannot be pointed into it from outside."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, ("-m", "tests.system.on_a_small_disk", SIZE, "serve"))
        with (self.home.path / "gateway.toml").open("a") as settings:
            settings.write("\n[alarms]\nseconds = 0.2\n")

    @property
    def _seen(self) -> Path:
        return seen_from_outside(self.pid, self.home.path)

    def fill(self) -> None:
        """To the last byte."""
        with (self._seen / "filler").open("ab") as filler:
            for size in (1 << 20, 1 << 16, 1 << 12):
                with suppress(OSError):
                    while True:
                        os.posix_fallocate(filler.fileno(), filler.seek(0, os.SEEK_END), size)

    def make_room(self) -> None:
        (self._seen / "filler").unlink()

    def logged_alarm(self, news: NoticeKind) -> bool:
        """Whether its log tells that of the alarm which is kept in memory alone."""
        lines = (line for line in self.log.read_text("utf-8").splitlines() if line.startswith("{"))
        alarms = [line for line in map(json.loads, lines) if line["event"] == "alarm"]
        return any(line["news"] == news and line["keys"] == ["critical store"] for line in alarms)

    def ended_and_copied(self, folder: Path) -> Home:
        """Its home as it is after the end of the node, which takes the file system with it."""
        inside = os.open(self._seen, os.O_RDONLY | os.O_DIRECTORY)
        try:
            assert self.stop() == 0
            return Home(shutil.copytree(f"/proc/self/fd/{inside}", folder))
        finally:
            os.close(inside)


class Sender(threading.Thread):
    """Sends one declaration after the other, whatever becomes of it, until it is told to stop."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__()
        self._gateway = gateway
        self._stop_now = threading.Event()
        self.acknowledged: list[str] = []
        self.refused: list[str] = []

    def run(self) -> None:
        number = 0
        while not self._stop_now.is_set():
            number += 1
            name = f"FULL{number:05}"
            try:
                self._gateway.send(BROKER, f"{name}.xml", render(Declaration(reference=name)))
            except OSError as error:
                self.refused.append(str(error))
            else:
                self.acknowledged.append(f"{name}.xml")

    def stop(self) -> None:
        self._stop_now.set()
        self.join()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[OnASmallDisk]:
    if way() is None:
        pytest.skip("nothing can be mounted here, in a namespace either")
    with OnASmallDisk(tmp_path) as gateway:
        yield gateway


def test_a_full_disk_refuses_with_a_reason_loses_nothing_and_recovers_when_there_is_room(
    gateway: OnASmallDisk, tmp_path: Path
) -> None:
    sender = Sender(gateway)
    sender.start()
    try:
        gateway.until(lambda: len(sender.acknowledged) >= 2)
        with gateway.login(BROKER).session() as client:
            upload = client.open("/OutBox/large.zip", "wb")
            upload.write(bytes(1 << 16))
            gateway.fill()
            with pytest.raises(OSError, match="disk is full; nothing was kept"):
                write_until_refused(upload)
            refused = len(sender.refused)
            gateway.until(lambda: len(sender.refused) >= refused + 3)
            with pytest.raises(OSError, match="disk is nearly full"):
                client.open("/OutBox/small.xml", "wb")

        def notified_while_full() -> bool:
            gateway.fill()  # again, as what was refused has left room
            return gateway.logged_alarm(NoticeKind.OPEN)

        gateway.until(notified_while_full)
        acknowledged = len(sender.acknowledged)
        gateway.make_room()
        gateway.until(lambda: len(sender.acknowledged) >= acknowledged + 2)
        gateway.until(lambda: gateway.logged_alarm(NoticeKind.CLEAR))
    finally:
        sender.stop()
    with gateway.login(BROKER).session() as client:
        gateway.until(lambda: client.listdir("/OutBox") == [])  # all is judged
    home = gateway.ended_and_copied(tmp_path / "after")
    assert violations(home) == []
    states_after = states(home)
    assert set(sender.acknowledged) <= states_after.keys()
    assert set(states_after.values()) <= {State.ACCEPTED, State.DELIVERED, State.CLOSED}
    assert [refusal for refusal in sender.refused if not any(words in refusal for words in WORDS)] == []


def states(home: Home) -> dict[str, str]:
    """Of what was sent, by name."""
    engine = sqlite_engine(home.database, read_only=True)
    with engine.connect() as store:
        own = messages.c.kind == "inbound"
        rows = store.execute(select(messages.c.name, messages.c.state).where(own))
        states = {row.name: row.state for row in rows}
    engine.dispose()
    return states


def write_until_refused(upload: paramiko.SFTPFile) -> None:
    for _ in range(100):
        upload.write(bytes(1 << 16))
