"""A node takes policy, routes, keys and certificates anew: all or nothing, each message by one of them."""

import asyncio
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.home.certificates import make_p256_pair
from adapters.home.clock import utc_now
from adapters.home.home import Home
from adapters.home.named_files import Renewal
from adapters.run.fork_server import ForkServer
from adapters.run.judge_pool import WorkerJudges
from adapters.run.reload import Reloader
from adapters.run.worker import Judging
from adapters.store.tables.messages import events
from adapters.store.write.in_force import NODE, NodeEvent, Noted, noted
from gateway.formats.signing import XadesSigner
from gateway.model.message import Received
from gateway.model.policy import Policy
from gateway.model.states import Event
from tests.support.declarations import Declaration, lines
from tests.support.harness import NOW, Harness
from tests.support.rendering import render

# A node that judges by the one of these may not route by the other's routes.
STRICT = ('version = "2026-11"', "lines = 50 "), ('version = "strict"', "lines = 1 ")


class RunningNode:
    """A node as far as it judges, over a harness; `policies` are those passed to whoever judges beside the
    workers."""

    def __init__(self, harness: Harness, judges: WorkerJudges, renewals: list[Renewal]) -> None:
        self.harness = harness
        self.judges = judges
        self.policies: list[Policy] = []
        self.reload = Reloader(
            *(harness.home, harness.home.in_force(), judges, harness.database, lambda: NOW),
            *(self.policies.append, renewals),
        )

    def noted(self) -> Noted:
        with self.harness.database.engine.connect() as reader:
            record = noted(reader)
        assert record is not None
        return record


@pytest.fixture
def renewals() -> list[Renewal]:
    return []


@pytest.fixture
def running(tmp_path: Path, renewals: list[Renewal]) -> Iterator[RunningNode]:
    with ForkServer() as forks, Harness.at(tmp_path / "home") as harness:
        judging = Judging.from_home(harness.home, harness.home.policy(), harness.home.routes())
        judges = WorkerJudges(forks, harness.home, judging, workers=2, seconds=60, memory=768)
        try:
            yield RunningNode(harness, judges, renewals)
        finally:
            judges.close()


def edited(home: Home, name: str, *changes: tuple[str, str]) -> None:
    path = home.path / name
    text = path.read_text("utf-8")
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    path.write_text(text, "utf-8")


def two_lines(running: RunningNode) -> Received:
    """A declaration that one policy accepts and the other refuses; never committed, so that it may be judged
    any number of times."""
    return running.harness.received(
        "broker-aa", "R1.xml", render(Declaration(reference="R1", lines=lines(2)))
    )


def test_each_message_is_judged_wholly_by_what_ran_before_or_by_what_runs_after(running: RunningNode) -> None:
    home, received = running.harness.home, two_lines(running)
    before = home.policy().digest

    async def judged_while_it_reloads() -> list[Any]:
        await running.reload.begin()
        edited(home, "policy.toml", *zip(*STRICT, strict=True))
        edited(home, "routes.toml", ('name = "tianjin"', 'name = "north"'))
        reloading = asyncio.create_task(running.reload())
        decisions = []
        while not reloading.done():
            decisions += await asyncio.gather(*(running.judges.judge(received, NOW) for _ in range(4)))
        return [*decisions, *await asyncio.gather(*(running.judges.judge(received, NOW) for _ in range(4)))]

    decisions = asyncio.run(judged_while_it_reloads())
    after = home.policy().digest
    shown = [
        (decision.trail["policy"], decision.event, decision.trail.get("route")) for decision in decisions
    ]
    accepted, refused = (before, Event.PASSED, "tianjin"), (after, Event.REFUSED, None)
    assert set(shown) == {accepted, refused}
    assert shown[-4:] == [refused] * 4
    assert [policy.digest for policy in running.policies] == [after]


def test_a_reload_is_an_event_with_the_digests_before_and_after(running: RunningNode) -> None:
    home = running.harness.home
    before = home.in_force().digests
    asyncio.run(running.reload.begin())
    edited(home, "routes.toml", ('name = "tianjin"', 'name = "north"'))
    edited(home, "policy.toml", ("# What the gateway judges by.", "# Only a comment."))
    edited(home, "gateway.toml", ("seconds = 60 ", "seconds = 61 "))
    asyncio.run(running.reload())
    record = running.noted()
    assert record.event is NodeEvent.RELOADED
    assert record.detail["changed"] == ["routes.toml"]
    assert record.detail["needs_restart"] == ["judging.seconds"]
    assert {name: record.detail["before"][name] for name in before} == before
    assert record.digests["routes.toml"] == home.in_force().digests["routes.toml"] != before["routes.toml"]
    # What takes a restart is not said to run.
    assert record.digests["gateway.toml"] == before["gateway.toml"]
    row = running.harness.rows(events, message=NODE)[-1]
    assert (row["event"], row["actor"]) == ("reloaded", "node")


def other_pair(home: Home) -> None:
    key, certificate = make_p256_pair("gateway", NOW)
    home.signing_key.write_bytes(key)
    home.certificate.write_bytes(certificate)


def test_the_pair_of_the_gateway_is_taken_with_the_rest(running: RunningNode) -> None:
    home = running.harness.home
    old = XadesSigner(home.signing_key.read_bytes(), home.certificate.read_text(), utc_now).fingerprint
    other_pair(home)
    asyncio.run(running.reload())
    (signed,) = asyncio.run(running.judges.signed([b'<a xmlns="urn:customs-edi-gateway:1"/>']))
    assert home.certificate.read_text().splitlines()[1].encode() in signed
    assert running.noted().detail["changed"] == ["keys/gateway.crt", "keys/gateway.key"]
    assert old not in running.noted().digests.values()
    assert "keys/gateway.key" not in running.noted().digests


def leads_to_one_of_the_next_start(home: Home) -> None:
    new = '[backend.new]\nkind = "reference"\n[backend.customs]'
    edited(home, "gateway.toml", ("[backend.customs]", new))
    edited(home, "routes.toml", ('backend = "customs"', 'backend = "new"'))


def of_another_key(home: Home) -> None:
    home.certificate.write_bytes(make_p256_pair("gateway", NOW)[1])


def editing(name: str, before: str, after: str) -> Callable[[Home], object]:
    return lambda home: edited(home, name, (before, after))


BROKEN: dict[str, Callable[[Home], object]] = {
    "policy.toml is no TOML": editing("policy.toml", "[package]", "[package"),
    "policy.toml has an unknown key": editing("policy.toml", "entries =", "entires ="),
    "policy.toml is empty": lambda home: (home.path / "policy.toml").write_text(""),
    "policy.toml has only comments left": lambda home: (home.path / "policy.toml").write_text("# cut off\n"),
    "policy.toml is gone": lambda home: (home.path / "policy.toml").unlink(),
    "routes.toml has an unknown key": editing("routes.toml", 'name = "t', 'nane = "t'),
    "routes.toml is empty": lambda home: (home.path / "routes.toml").write_text(""),
    "routes.toml is in another encoding": lambda home: (home.path / "routes.toml").write_bytes(b"\xff\xfe\0"),
    "a route leads nowhere": editing("routes.toml", 'backend = "customs"', 'backend = "x"'),
    "a route leads to a back-end of the next start": leads_to_one_of_the_next_start,
    "gateway.toml is no TOML": editing("gateway.toml", "[sftp]", "[sftp"),
    "gateway.toml names a file that is not there": editing(
        "gateway.toml", 'account = "association"', 'key = "gone"\naccount = "association"'
    ),
    "the key is none": lambda home: home.signing_key.write_text("no key"),
    "the certificate is no text": lambda home: home.certificate.write_bytes(b"\xff\xfe"),
    "the certificate is gone": lambda home: home.certificate.unlink(),
    "the certificate is none": editing("keys/gateway.crt", "BEGIN", "BEGUN"),
    "the certificate belongs to another key": of_another_key,
    "a host key is cut off": editing("keys/ssh_host_rsa", "OPENSSH PRIVATE KEY-----\n", "OPENSSH"),
}


def test_a_reload_of_wrong_files_changes_nothing_that_runs(running: RunningNode, tmp_path: Path) -> None:
    """Each file that is broken comes with others that are sound and changed: nothing of them is taken."""
    home, received = running.harness.home, two_lines(running)
    asyncio.run(running.reload.begin())
    started = running.noted()
    copied = shutil.copytree(home.path, tmp_path / "kept")
    for case, breaking in BROKEN.items():
        edited(home, "policy.toml", *zip(*STRICT, strict=True))
        breaking(home)
        asyncio.run(running.reload())
        record = running.noted()
        assert (record.event, record.digests) == (NodeEvent.KEPT, started.digests), case
        assert record.detail["why"], case
        assert re.search("[\u4e00-\u9fff]", record.detail["why_zh"]), case
        assert not re.search("https?:|deserialize|codec|PEM file", record.detail["why"]), case
        decision = asyncio.run(running.judges.judge(received, NOW))
        assert (decision.event, decision.trail["policy"]) == (Event.PASSED, started.digests["policy.toml"])
        for name in (
            "policy.toml",
            "routes.toml",
            "gateway.toml",
            "keys/gateway.crt",
            "keys/gateway.key",
            "keys/ssh_host_rsa",
        ):
            shutil.copyfile(copied / name, home.path / name)
    assert running.policies == []


def test_a_key_that_cannot_be_used_keeps_every_other_from_being_taken(
    running: RunningNode, renewals: list[Renewal]
) -> None:
    taken: list[str] = []

    def sound() -> Callable[[], None]:
        return lambda: taken.append("sound")

    def broken() -> Callable[[], None]:
        raise ValueError("no key")

    renewals += [sound, broken]
    asyncio.run(running.reload())
    assert (taken, running.noted().detail["why"]) == ([], "no key")
    del renewals[1]
    asyncio.run(running.reload())
    assert taken == ["sound"]
