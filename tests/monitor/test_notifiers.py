"""Alarms reach people: by mail and webhook, once each, and again where that failed."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import ValidationError
from sqlalchemy import insert, update

from adapters.monitor.alarm_notifiers import notifiers
from adapters.monitor.alarm_watch import AlarmWatch
from adapters.monitor.gauges import Gauges
from adapters.monitor.metrics import Metrics
from adapters.monitor.snapshot import SnapshotReader
from adapters.store.tables.operations import destinations
from adapters.store.write.alarms import list_alarms
from gateway.config.monitoring import AlarmSettings, MailSettings, WebhookSettings
from gateway.model.band_policy import MonitoringPolicy
from gateway.monitor.alarm_conditions import conditions
from gateway.monitor.snapshot import AmqpLinkStatus
from tests.support.harness import NOW, Harness
from tests.support.receivers import Posts, http_receiver, mail_server
from tests.support.tls import issued

KEY: Final = "known to the tests alone"


class WatchedHome:
    """A home with a watch that looks when it is told to."""

    def __init__(self, harness: Harness, settings: AlarmSettings) -> None:
        self._harness = harness
        self.now = NOW
        self._reader = SnapshotReader(
            harness.home, harness.home.settings(), lambda: self.now, (), (), {}, lambda _: "", dict
        )
        self.watch = AlarmWatch(
            *(harness.database, self._reader, Gauges(Metrics()), settings, MonitoringPolicy()),
            *(harness.rules.families, notifiers(settings, harness.home.path), lambda: self.now),
        )

    async def look_until(self, condition: Callable[[], bool]) -> None:
        """Looks again and again, a second later each time, with a deadline."""
        async with asyncio.timeout(60):
            while not condition():
                self.now += timedelta(seconds=1)
                await self.watch.look()
                await asyncio.sleep(0.02)

    async def rounds_until(self, condition: Callable[[], bool]) -> None:
        """The same with what the watch does where a look fails."""
        async with asyncio.timeout(60):
            while not condition():
                self.now += timedelta(seconds=1)
                await self.watch.round()
                await asyncio.sleep(0.02)

    def alarms(self) -> list[dict[str, Any]]:
        with self._harness.database.engine.connect() as reader:
            return list_alarms(reader, all_=True, limit=0)

    async def end(self) -> None:
        await self.watch.end()
        self._reader.close()


def watched(
    tmp_path: Path, settings: dict[str, Any], course: Callable[[WatchedHome, Harness], Awaitable[None]]
) -> None:
    async def run(harness: Harness) -> None:
        # Only what the test does is wrong here, not the disk that it runs on.
        watch = WatchedHome(harness, AlarmSettings.model_validate({"disk_percent": [0, 0]} | settings))
        try:
            await course(watch, harness)
        finally:
            await watch.end()

    with Harness.at(tmp_path / "home") as harness:
        (harness.home.path / "secret").write_text(f"{KEY}\n")
        asyncio.run(run(harness))


def break_(harness: Harness, name: str = "customs") -> None:
    values = {"name": name, "breaker": "open", "failures": 9, "since": NOW - timedelta(hours=1), "note": ""}
    harness.database.submit(lambda to: to.connection.execute(insert(destinations), values)).result()


def mend(harness: Harness) -> None:
    mended = update(destinations).values(breaker="closed")
    harness.database.submit(lambda to: to.connection.execute(mended)).result()


def webhook(posts: Posts, **more: Any) -> dict[str, Any]:
    return {"webhook": {"url": f"{posts.url}/alarms", "secret_file": "secret"}, **more}


def news(posts: Posts) -> list[str]:
    return [json.loads(post.body)["news"] for post in posts.taken]


def test_an_alarm_is_posted_signed_when_it_opens_and_when_it_clears(tmp_path: Path) -> None:
    async def course(watch: WatchedHome, harness: Harness) -> None:
        break_(harness)
        await watch.look_until(lambda: bool(watch.alarms()) and watch.alarms()[0]["told_at"] is not None)
        (post,) = posts.taken
        signature = hmac.new(KEY.encode(), post.body, hashlib.sha256).hexdigest()
        assert post.headers["Gateway-Signature"] == f"sha256={signature}"
        (alarm,) = json.loads(post.body)["alarms"]
        assert (alarm["key"], alarm["severity"], alarm["cleared_at"]) == ("breaker:customs", "serious", None)
        mend(harness)
        await watch.look_until(lambda: watch.alarms()[0]["clear_told_at"] is not None)
        assert news(posts) == ["open", "clear"]

    with http_receiver() as posts:
        watched(tmp_path, webhook(posts, quiet_minutes=0), course)


def test_a_post_that_fails_is_tried_again_and_noted_only_then(tmp_path: Path) -> None:
    async def course(watch: WatchedHome, harness: Harness) -> None:
        break_(harness)
        await watch.look_until(lambda: len(posts.taken) == 1)
        assert watch.alarms()[0]["told_at"] is None
        await watch.look_until(lambda: watch.alarms()[0]["told_at"] is not None)
        assert news(posts) == ["open", "open"]

    with http_receiver() as posts:
        posts.failing = 1
        watched(tmp_path, webhook(posts), course)


def test_alarms_over_the_limit_are_one_notification(tmp_path: Path) -> None:
    async def course(watch: WatchedHome, harness: Harness) -> None:
        for number in range(9):
            break_(harness, f"customs-{number}")
        await watch.look_until(
            lambda: len(watch.alarms()) == 9 and all(alarm["told_at"] for alarm in watch.alarms())
        )
        assert sorted(news(posts)) == ["more", "open", "open"]
        (more,) = [
            notification for post in posts.taken if (notification := json.loads(post.body))["news"] == "more"
        ]
        assert more["count"] == 7

    with http_receiver() as posts:
        watched(tmp_path, webhook(posts, hourly=2), course)


@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "implicit"])
def test_an_alarm_is_mailed_over_tls_in_both_languages(tmp_path: Path, implicit: bool) -> None:
    server = issued(tmp_path / "tls", "mail")

    async def course(watch: WatchedHome, harness: Harness) -> None:
        break_(harness)
        await watch.look_until(lambda: bool(watch.alarms()) and watch.alarms()[0]["told_at"] is not None)

    with mail_server(server, implicit) as box:
        box.busy = 1
        mail = {
            "host": "127.0.0.1",
            "port": box.port,
            **({"tls": True} if implicit else {}),
            "ca": str(server.ca),
            "user": "gateway",
            "password_file": "secret",
            "sender": "gateway@example.org",
            "to": ["night@example.org"],
        }
        watched(tmp_path, {"mail": mail}, course)
        (only_mail,) = box.mails
        assert box.encrypted == [True]
        assert ("gateway", KEY) in box.logins
    assert only_mail["To"] == "night@example.org"
    assert only_mail["Subject"] == "[gateway] serious: back-end customs does not work; deliveries wait"
    text = only_mail.get_content()
    assert "海关接口 customs 中断" in text
    assert "back-end customs does not work" in text


def test_a_mail_server_that_nobody_vouches_for_gets_no_password(tmp_path: Path) -> None:
    server, other = issued(tmp_path / "tls", "mail"), issued(tmp_path / "tls", "else", "other")

    async def course(watch: WatchedHome, harness: Harness) -> None:
        break_(harness)
        await watch.look_until(lambda: bool(watch.alarms()))
        for _look in range(5):
            await watch.look_until(lambda: True)
        assert watch.alarms()[0]["told_at"] is None

    with mail_server(server) as box:
        mail = {
            "host": "127.0.0.1",
            "port": box.port,
            "ca": str(other.ca),
            "user": "gateway",
            "password_file": "secret",
            "sender": "gateway@example.org",
            "to": ["night@example.org"],
        }
        watched(tmp_path, {"mail": mail}, course)
        assert (box.logins, box.mails) == ([], [])


@pytest.mark.parametrize(
    "url", ["http://example.org/x", "ftp://127.0.0.1/", "https://user:word@example.org/"]
)
def test_a_webhook_on_another_machine_is_https_and_holds_no_password(url: str) -> None:
    with pytest.raises(ValidationError):
        WebhookSettings.model_validate({"url": url, "secret_file": "secret"})


def test_mail_is_over_tls_from_the_first_byte_on_port_465_and_where_the_settings_say_so() -> None:
    own = {"host": "mail.example.org", "sender": "a@example.org", "to": ("b@example.org",)}
    for more, implicit in (
        ({}, False),
        ({"port": 465}, True),
        ({"port": 465, "tls": False}, False),
        ({"tls": True, "starttls": False}, True),
    ):
        assert MailSettings.model_validate({**own, **more}).implicit_tls is implicit


def test_mail_to_another_machine_is_encrypted() -> None:
    with pytest.raises(ValidationError):
        MailSettings(host="mail.example.org", starttls=False, sender="a@example.org", to=("b@example.org",))


@dataclass
class BrokerStatus:
    """A connection to a broker that says of itself how it stands."""

    connected: bool
    blocked: bool = False
    put_aside: int = 0


def test_the_broker_out_of_reach_is_an_alarm_and_what_is_not_ready(tmp_path: Path) -> None:
    async def course(harness: Harness) -> None:
        times = iter(NOW + timedelta(seconds=40 * number) for number in range(9))
        incoming, outgoing = BrokerStatus(True), BrokerStatus(True)
        both, settings = (incoming, outgoing), harness.home.settings()
        reader = SnapshotReader(harness.home, settings, lambda: next(times), both, (), {}, lambda _: "", dict)
        limits = AlarmSettings(disk_percent=(0, 0))
        assert conditions(await reader.snapshot(), limits) == []
        outgoing.connected = False
        assert conditions(await reader.snapshot(), limits) == []
        assert conditions(await reader.snapshot(), limits) == []
        assert [condition.key for condition in conditions(await reader.snapshot(), limits)] == ["amqp"]
        outgoing.connected = True
        snapshot = await reader.snapshot()
        assert (snapshot.link, conditions(snapshot, limits)) == (
            AmqpLinkStatus(connected=True, blocked=False, since=snapshot.at),
            [],
        )
        reader.close()

    with Harness.at(tmp_path / "home") as harness:
        asyncio.run(course(harness))
