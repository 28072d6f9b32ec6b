"""What one person does in pieces, each too small for a second person, is counted and told."""

import asyncio
from datetime import timedelta
from pathlib import Path

from adapters.home.actor import actor
from adapters.store.read.operator_acts import acts_since
from gateway.config.monitoring import AlarmSettings
from gateway.model.policy import OperationsPolicy
from gateway.monitor.alarm_conditions import many_acts
from tests.monitor.test_notifiers import WatchedHome
from tests.support.harness import Harness
from tests.support.operating import gateway, refused


def test_the_acts_of_one_person_are_counted_by_message_over_a_day_and_open_an_alarm(tmp_path: Path) -> None:
    with Harness.at(tmp_path / "home") as harness:
        for reference in ("R1", "R2", "R3"):
            refused(harness, reference)
        assert "acted on" not in gateway(harness, "undertakings", "list").err
        for reference in ("R1", "R2"):
            assert gateway(harness, "messages", "replay", reference, "--reason", "tests").code == 0
        assert f"in the last 24 hours: {actor()} 2" in gateway(harness, "undertakings", "list", "--json").err
        with harness.database.engine.connect() as reader:
            assert acts_since(reader, harness.now - timedelta(hours=24)) == {actor(): 2}
            assert acts_since(reader, harness.now + timedelta(minutes=1)) == {}

        async def looked(most: int) -> list[str]:
            watch = WatchedHome(harness, AlarmSettings.model_validate({"disk_percent": [0, 0]}))
            watch.now = harness.now
            watch.watch.operations = OperationsPolicy(four_eyes_from=most)
            await watch.watch.look()
            keys = [alarm["key"] for alarm in watch.alarms()]
            await watch.end()
            return keys

        assert f"acts:{actor()}" not in asyncio.run(looked(3))
        assert f"acts:{actor()}" in asyncio.run(looked(2))


def test_an_operator_below_the_limit_of_one_command_opens_no_alarm() -> None:
    opened = many_acts({"li": 100, "wang": 99}, 100)
    assert [(alarm.key, "100" in alarm.en, "100" in alarm.zh) for alarm in opened] == [
        ("acts:li", True, True)
    ]
