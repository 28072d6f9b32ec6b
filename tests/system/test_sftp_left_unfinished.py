"""A file that its sender believes to be sent, and that still has an unfinished name."""

import io
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.config.monitoring import AlarmSettings
from gateway.monitor.alarm_conditions import conditions
from tests.monitor.test_alarms import WELL
from tests.support.sftp_served import SftpHarness, serving

LATER = timedelta(minutes=61)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[SftpHarness]:
    with serving(tmp_path) as running:
        yield running


def test_an_upload_unfinished_for_an_hour_is_reported_in_the_in_box_until_it_is_finished(
    served: SftpHarness,
) -> None:
    served.fill_inbox("broker", 1)
    with served.broker.session() as client, served.other.session() as other:
        client.putfo(io.BytesIO(b"<a/>"), "/OutBox/报关单.xml.writing")
        assert client.listdir("/InBox") == ["Receipt_000000.xml"]
        assert served.server.left_unfinished() == {}
        served.clock.ahead += LATER
        assert served.server.left_unfinished() == {"broker": 1}
        _receipt, name = client.listdir("/InBox")
        assert name.startswith("Unfinished_报关单.xml.writing_")
        text = client.open(f"/InBox/{name}").read().decode()
        assert "报关单.xml.writing" in text
        assert "改为正式文件名" in text
        assert client.stat(f"/InBox/{name}").st_size == len(text.encode())
        assert other.listdir("/InBox") == []
        client.rename("/OutBox/报关单.xml.writing", "/OutBox/报关单.xml")
        assert client.listdir("/InBox") == ["Receipt_000000.xml"]
        assert served.server.left_unfinished() == {}
    assert [name for name, _, _ in served.arrived()] == ["报关单.xml"]


def test_an_account_that_removes_the_report_gets_it_again_only_after_another_hour(
    served: SftpHarness,
) -> None:
    with served.broker.session() as client:
        client.putfo(io.BytesIO(b"<a/>"), "/OutBox/a.xml.tmp")
        served.clock.ahead += LATER
        (name,) = client.listdir("/InBox")
        client.remove(f"/InBox/{name}")
        assert client.listdir("/InBox") == []
        assert served.server.left_unfinished() == {"broker": 1}
        with client.open("/OutBox/a.xml.tmp", "ab") as file:
            file.write(b"more")
        served.clock.ahead += LATER
        (again,) = client.listdir("/InBox")
        assert again != name


def test_an_upload_that_a_restart_removed_is_reported_until_its_sender_has_read_it(tmp_path: Path) -> None:
    with serving(tmp_path) as served, served.broker.session() as client:
        for name in ("报关单.xml.writing", "removed.xml.tmp", "finished.xml.tmp", "moved.xml.tmp"):
            client.putfo(io.BytesIO(b"<a/>"), f"/OutBox/{name}")
        client.remove("/OutBox/removed.xml.tmp")
        client.rename("/OutBox/finished.xml.tmp", "/OutBox/finished.xml")
        client.rename("/OutBox/moved.xml.tmp", "/OutBox/moved.xml.part")
        (tmp_path / "unfinished" / "cut-off").write_bytes(b'{"account": "bro')
    stopped(tmp_path)
    with serving(tmp_path) as served, served.broker.session() as client, served.other.session() as other:
        moved, left = sorted(client.listdir("/InBox"))
        assert moved.startswith("Unfinished_moved.xml.part_")
        assert left.startswith("Unfinished_报关单.xml.writing_")
        text = client.open(f"/InBox/{left}").read().decode()
        assert "重启时已删除" in text
        assert "Send it again" in text
        assert (other.listdir("/InBox"), client.listdir("/OutBox")) == ([], ["finished.xml"])
        client.remove(f"/InBox/{moved}")
        assert client.listdir("/InBox") == [left]
    stopped(tmp_path)
    with serving(tmp_path) as served, served.broker.session() as client:
        assert client.listdir("/InBox") == [left]  # still not read
        client.putfo(io.BytesIO(b"<a/>"), "/OutBox/报关单.xml")
        assert client.listdir("/InBox") == []  # it was sent again


def stopped(root: Path) -> None:
    """What a home has only while it is served."""
    shutil.rmtree(root / "clients")
    (root / "ssh_host_ed25519").unlink()


def test_an_upload_that_is_being_written_is_not_reported_as_unfinished(served: SftpHarness) -> None:
    with served.broker.session() as client:
        file = client.open("/OutBox/a.xml.tmp", "wb")
        served.clock.ahead += LATER
        assert served.server.left_unfinished() == {}
        file.close()


def test_an_unfinished_upload_opens_an_alarm_for_its_account() -> None:
    (condition,) = conditions(replace(WELL, unfinished={"broker-aa": 2}), AlarmSettings())
    assert condition.key == "unfinished:broker-aa"
    assert "2" in condition.en
