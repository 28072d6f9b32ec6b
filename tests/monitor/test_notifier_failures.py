"""Alarms and ways to tell them that are not as they should be: nobody is told too often, led astray, or kept
waiting."""

import asyncio
import json
import time
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Update, update
from structlog.testing import capture_logs

from adapters.cli.init.init import free_port
from adapters.monitor import alarm_notifiers
from adapters.monitor import alarm_watch as watch
from adapters.store.database import Transaction
from adapters.store.tables.messages import messages
from gateway.model.backoff import Backoff
from tests.monitor.test_notifiers import WatchedHome, break_, mend, watched, webhook
from tests.support.harness import NOW, Harness
from tests.support.mute import MuteServer
from tests.support.operating import accepted, gateway, refused
from tests.support.receivers import http_receiver, mail_server
from tests.support.tls import issued


def mail(port: int, *to: str, **more: Any) -> dict[str, Any]:
    addresses = list(to) or ["night@example.org"]
    return {"mail": {"host": "127.0.0.1", "port": port, "sender": "gw@example.org", "to": addresses, **more}}


async def first_notified(watch: WatchedHome, _harness: Harness) -> None:
    await watch.look_until(lambda: bool(watch.alarms()) and watch.alarms()[0]["told_at"] is not None)


def test_no_line_break_in_a_name_adds_a_header_to_a_mail(tmp_path: Path) -> None:
    server = issued(tmp_path / "tls", "mail")

    async def course(watch: WatchedHome, harness: Harness) -> None:
        break_(harness, "customs\r\nBcc: eve@example.org\r\n\r\nforged")
        await first_notified(watch, harness)

    with mail_server(server) as box:
        watched(tmp_path, mail(box.port, ca=str(server.ca)), course)
        (taken,) = box.mails
    assert (taken["Bcc"], taken["To"]) == (None, "night@example.org")
    assert taken["Subject"].startswith("[gateway] serious: back-end customs\\u{d}\\u{a}Bcc: eve")
    assert "\nforged" not in taken.get_content()


def test_an_address_that_is_refused_brings_the_others_no_second_mail(tmp_path: Path) -> None:
    server = issued(tmp_path / "tls", "mail")

    async def course(watch: WatchedHome, harness: Harness) -> None:
        break_(harness)
        await first_notified(watch, harness)

    with mail_server(server) as box, capture_logs() as logs:
        box.unknown.add("gone@example.org")
        watched(tmp_path, mail(box.port, "gone@example.org", "night@example.org", ca=str(server.ca)), course)
        assert len(box.mails) == 1
    (warning,) = [entry for entry in logs if entry["event"] == "addresses refused"]
    assert (warning["refused"], warning["of"]) == (1, 2)
    assert "example.org" not in json.dumps(warning)


def test_an_alarm_that_the_store_does_not_take_is_notified_once_from_memory(tmp_path: Path) -> None:
    async def course(watch: WatchedHome, harness: Harness) -> None:
        break_(harness)
        writable(harness, False)
        await watch.rounds_until(lambda: len(posts.taken) == 1)
        for _ in range(3):
            await watch.rounds_until(lambda: True)
        writable(harness, True)
        await watch.rounds_until(lambda: len(posts.taken) == 3)
        assert [alarm["key"] for alarm in watch.alarms()] == ["breaker:customs"]

    def writable(harness: Harness, yes: bool) -> None:
        full = "CREATE TRIGGER disk_is_full BEFORE INSERT ON alarms BEGIN SELECT RAISE(ABORT, 'full'); END"
        change = "DROP TRIGGER disk_is_full" if yes else full
        harness.database.submit(lambda to: to.connection.exec_driver_sql(change)).result()

    with http_receiver() as posts, capture_logs() as logs:
        watched(tmp_path, webhook(posts), course)
        notifications = [json.loads(post.body) for post in posts.taken]
    unstored = [
        notification["news"] for notification in notifications if notification["alarms"][0]["key"] == "store"
    ]
    assert unstored == ["open", "clear"]
    assert [entry["news"] for entry in logs if entry.get("keys") == ["critical store"]] == ["open", "clear"]


def test_a_webhook_that_redirects_has_not_taken_it_and_is_not_followed(tmp_path: Path) -> None:
    async def course(watch: WatchedHome, harness: Harness) -> None:
        break_(harness)
        await watch.look_until(lambda: len(posts.taken) == 1)
        await watch.look_until(lambda: len(posts.taken) == 2)
        assert watch.alarms()[0]["told_at"] is None

    with http_receiver() as posts:
        posts.failing, posts.failing_with = 9, 307
        watched(tmp_path, webhook(posts), course)
        assert {post.path for post in posts.taken} == {"/alarms"}


@pytest.mark.parametrize(
    "first", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1"]
)
def test_a_webhook_that_does_not_come_to_an_end_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bytes
) -> None:
    monkeypatch.setattr(alarm_notifiers, "_SECONDS", 0.3)
    whole = first.endswith(b"1")  # what it says after its status is of no interest

    async def course(watch: WatchedHome, harness: Harness) -> None:
        break_(harness)
        if whole:
            await first_notified(watch, harness)
        else:
            await watch.look_until(lambda: any(entry["event"] == "alarm not told" for entry in logs))

    with closing(MuteServer(first)) as server, capture_logs() as logs:
        hook = {"url": f"http://127.0.0.1:{server.port}/", "secret_file": "secret"}
        watched(tmp_path, {"webhook": hook}, course)


def test_a_mail_server_that_says_nothing_keeps_no_node_from_its_end(tmp_path: Path) -> None:
    async def course(watch: WatchedHome, harness: Harness) -> None:
        break_(harness)
        await watch.look_until(lambda: bool(watch.alarms()))
        assert await asyncio.to_thread(server.met.wait, 20)

    with closing(MuteServer()) as server:
        began = time.monotonic()
        watched(tmp_path, mail(server.port), course)
        assert time.monotonic() - began < 15


def test_a_notifier_that_fails_is_logged_without_address_or_secret(tmp_path: Path) -> None:
    async def course(watch: WatchedHome, harness: Harness) -> None:
        break_(harness)
        await watch.look_until(lambda: any(entry["event"] == "alarm not told" for entry in logs))

    with closing(MuteServer(b"500 known-to-them night@example.org\r\n")) as server, capture_logs() as logs:
        watched(tmp_path, mail(server.port), course)
    text = json.dumps(logs, default=str)
    assert "known-to-them" not in text
    assert "example.org" not in text


@pytest.mark.parametrize("content", [b"no certificate", None])
def test_a_certificate_that_cannot_be_read_is_an_alarm_and_hides_no_other(
    tmp_path: Path, content: bytes | None
) -> None:
    async def course(watch: WatchedHome, harness: Harness) -> None:
        if content is None:
            harness.home.certificate.unlink()
        else:
            harness.home.certificate.write_bytes(content)
        break_(harness)
        await watch.look_until(lambda: len(watch.alarms()) == 2)
        texts = {alarm["key"]: alarm["en"] for alarm in watch.alarms()}
        assert texts["certificate:signing:gateway"] == "the certificate (signing gateway) cannot be read"
        assert "breaker:customs" in texts

    watched(tmp_path, {}, course)


def test_an_alarm_that_ended_before_anybody_could_be_notified_is_not_notified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_BACKOFF", Backoff(first=0.05, longest=0.05))

    async def course(looking: WatchedHome, harness: Harness) -> None:
        break_(harness)
        await looking.look_until(lambda: len(posts.taken) > 1)
        mend(harness)
        await looking.look_until(
            lambda: any(entry["event"] == "alarm over before it was told" for entry in logs)
        )
        posts.failing = 0
        posts.taken.clear()
        break_(harness, "second")
        await looking.look_until(lambda: looking.alarms()[-1]["told_at"] is not None)
        assert looking.alarms()[0]["told_at"] is None

    with http_receiver() as posts, capture_logs() as logs:
        posts.failing = 9999
        watched(tmp_path, webhook(posts, quiet_minutes=0), course)
        notified_keys = [alarm["key"] for post in posts.taken for alarm in json.loads(post.body)["alarms"]]
        assert notified_keys == ["breaker:second"]


def test_a_webhook_that_is_dead_silences_no_mail(tmp_path: Path) -> None:
    server = issued(tmp_path / "tls", "mail")

    async def course(watch: WatchedHome, harness: Harness) -> None:
        break_(harness)
        await first_notified(watch, harness)
        mend(harness)
        await watch.look_until(lambda: watch.alarms()[0]["clear_told_at"] is not None)
        break_(harness, "another")
        await watch.look_until(lambda: len(watch.alarms()) == 2 and watch.alarms()[1]["told_at"] is not None)
        assert [alarm["told_by"] for alarm in watch.alarms()] == [["log", "mail"]] * 2

    with mail_server(server) as box, closing(MuteServer()) as dead:
        url = f"http://127.0.0.1:{dead.port}/"
        ways = mail(box.port, ca=str(server.ca)) | {"webhook": {"url": url, "secret_file": "secret"}}
        watched(tmp_path, ways | {"quiet_minutes": 0}, course)
        subjects = [mail["Subject"].partition(":")[2].split()[0] for mail in box.mails]
        assert subjects == ["back-end", "cleared:", "back-end"]


def test_an_operator_tries_each_notifier_and_sees_which_took_it(tmp_path: Path) -> None:
    with Harness.at(tmp_path / "home") as harness, http_receiver() as posts:
        (harness.home.path / "secret").write_text("secret")
        settings = harness.home.path / "gateway.toml"
        before = settings.read_text("utf-8")
        section = f'\n[alarms.webhook]\nurl = "{posts.url}/"\nsecret_file = "secret"\n'
        settings.write_text(before + section, "utf-8")
        good = gateway(harness, "alarms", "test", "--json")
        assert (good.code, [notifier["way"] for notifier in good.json if notifier["taken"]]) == (
            0,
            ["webhook"],
        )
        assert json.loads(posts.taken[0].body)["alarms"][0]["key"] == "test"
        nobody = f'[alarms.mail]\nhost = "127.0.0.1"\nport = {free_port()}\nstarttls = false\n'
        addresses = 'sender = "a@example.org"\nto = ["b@example.org"]\n'
        settings.write_text(before + section + nobody + addresses, "utf-8")
        bad = gateway(harness, "alarms", "test", "--json")
        assert (bad.code, [notifier["taken"] for notifier in bad.json]) == (1, [False, True])
        assert bad.json[0]["why"] == "ConnectionRefusedError"
        assert gateway(harness, "alarms", "list", "--all", "--json").json == []


def executed(statement: Update, transaction: Transaction) -> None:
    transaction.connection.execute(statement)


def test_answers_that_customs_owes_are_listed_and_are_an_alarm(tmp_path: Path) -> None:
    async def course(watch: WatchedHome, harness: Harness) -> None:
        late = await asyncio.to_thread(accepted, harness, "R1")
        early = await asyncio.to_thread(refused, harness, "R2")
        for message, due in ((late, NOW), (early, NOW + timedelta(days=2))):
            taken = update(messages).where(messages.c.id == message).values(answer_due=due)
            harness.database.submit(partial(executed, taken)).result()
        listed = gateway(harness, "messages", "list", "--overdue", "--json").json
        assert [row["id"] for row in listed] == [late]
        assert gateway(harness, "messages", "list", "--overdue", "--text", "R2", "--json").json == []
        await watch.look_until(lambda: "answers-overdue" in [alarm["key"] for alarm in watch.alarms()])
        (alarm,) = [alarm for alarm in watch.alarms() if alarm["key"] == "answers-overdue"]
        assert ": 1 (" in alarm["en"]

    watched(tmp_path, {}, course)
