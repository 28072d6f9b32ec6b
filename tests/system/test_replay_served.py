"""Replay by filter in processes of their own: beside a node, two at once, and killed in between."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, insert, select

from adapters.store.database import sqlite_engine
from adapters.store.tables.messages import events, messages
from adapters.store.tables.operations import undertaking_items
from gateway.model.message import new_id
from gateway.model.states import Event, State
from tests.support.declarations import Declaration, lines
from tests.support.harness import Harness
from tests.support.invariants import violations
from tests.support.operating import refused
from tests.support.rendering import render
from tests.support.served import ROOT, Gateway

BROKER = "broker-aa"
COUNT = 800
WITHIN = 300.0


def command(home: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "cli", *arguments, "--home", str(home)]


def policy(gateway: Gateway, before: str, after: str) -> None:
    path = gateway.home.path / "policy.toml"
    path.write_text(path.read_text("utf-8").replace(before, after), "utf-8")


def states(gateway: Gateway) -> Counter[str]:
    with gateway.reading() as store:
        return Counter(store.execute(select(messages.c.state).where(messages.c.kind == "inbound")).scalars())


def test_a_storm_of_replays_takes_each_message_once_and_the_node_finds_them_by_itself(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    policy(gateway, "lines = 50 ", "lines = 1 ")
    with gateway:
        for number in range(4):
            body = render(Declaration(reference=f"R{number}", lines=lines(2)))
            gateway.send(BROKER, f"R{number}.xml", body)
        gateway.until(lambda: states(gateway)[State.REJECTED] == 4)
        assert gateway.stop() == 0
        policy(gateway, "lines = 1 ", "lines = 50 ")
        gateway.start()
        act = ("messages", "replay", "--state", "rejected", "--reason", "limit raised")
        key = ("--request-key", "storm", "--json")
        storm = [
            subprocess.Popen(
                command(gateway.home.path, *act, *key), cwd=ROOT, stdout=subprocess.PIPE, text=True
            )
            for _ in range(2)
        ]
        outputs = [process.communicate(timeout=WITHIN)[0] for process in storm]
        assert [process.returncode for process in storm] == [0, 0]
        assert len({json.loads(output)["id"] for output in outputs}) == 1
        gateway.until(lambda: states(gateway)[State.CLOSED] == 4)
        with gateway.reading() as store:
            replayed = select(events.c.message).where(events.c.event == Event.REPLAYED)
            assert set(Counter(store.execute(replayed).scalars()).values()) == {1}
        assert gateway.stop() == 0
        assert violations(gateway.home) == []


@contextmanager
def many_refused(folder: Path) -> Iterator[tuple[Path, Engine]]:
    """A home with hundreds of refused messages; nobody serves it."""
    with Harness.until_now(folder / "home") as harness:
        refused(harness)
        (row,) = harness.rows(messages, state=State.REJECTED)
        ids = [new_id(harness.start, number.to_bytes(10, "big")) for number in range(1, COUNT)]
        copies = [{**row, "seq": None, "id": id_} for id_ in ids]
        with harness.database.engine.begin() as writer:
            writer.execute(insert(messages), copies)
        path = harness.home.path
    raised = (
        (path / "policy.toml").read_text("utf-8").replace("four_eyes_from = 100 ", "four_eyes_from = 9999 ")
    )
    (path / "policy.toml").write_text(raised, "utf-8")
    engine = sqlite_engine(path / "gateway.db", read_only=True)
    try:
        yield path, engine
    finally:
        engine.dispose()


def outcomes(engine: Engine) -> Counter[str]:
    with engine.connect() as reader:
        return Counter(reader.execute(select(undertaking_items.c.outcome)).scalars())


def test_a_replay_that_was_killed_is_resumed_and_does_no_message_twice(tmp_path: Path) -> None:
    with many_refused(tmp_path) as (home, engine):
        act = ("messages", "replay", "--state", "rejected", "--limit", "0", "--reason", "limit raised")
        process = subprocess.Popen(command(home, *act), cwd=ROOT, stderr=subprocess.DEVNULL)
        try:
            while not outcomes(engine)["done"] and process.poll() is None:
                time.sleep(0.01)
        finally:
            process.kill()
            process.wait()
        left = outcomes(engine)
        assert left["done"] > 0
        assert left["open"] > 0
        assert sum(left.values()) == COUNT
        listed: Any = gateway(home, "undertakings", "list", "--state", "open", "--json")
        assert (listed[0]["done"], listed[0]["open"]) == (left["done"], left["open"])
        shown = gateway(home, "undertakings", "resume", listed[0]["id"], "--json")
        assert (shown["state"], shown["done"]) == ("done", COUNT)
        with engine.connect() as reader:
            replayed = select(events.c.message).where(events.c.event == Event.REPLAYED)
            times = Counter(reader.execute(replayed).scalars())
            assert (len(times), set(times.values())) == (COUNT, {1})
            present = select(messages.c.state).where(messages.c.kind == "inbound")
            assert set(reader.execute(present).scalars()) == {State.RECEIVED}


def gateway(home: Path, *arguments: str) -> Any:
    done = subprocess.run(
        command(home, *arguments),
        cwd=ROOT,
        env={**os.environ},
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=True,
    )
    return json.loads(done.stdout)
