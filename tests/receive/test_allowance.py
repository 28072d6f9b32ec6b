"""Nobody fills the disk for all: what an account may send in a day, and the reserve of the disk."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import paramiko
import pytest
from paramiko.sftp import CMD_CLOSE

from adapters.monitor.snapshot import SnapshotReader
from adapters.store.write.allowances import sent_on_the_day_of
from gateway.config.settings import Settings
from gateway.model.fault_catalogue import Fault
from gateway.model.faults import MessageRejected
from gateway.model.message import Arrival, new_id
from gateway.model.parties import Account, Role
from gateway.model.policy import Policy
from gateway.monitor.alarm_conditions import conditions
from gateway.monitor.alarms import AlarmSeverity
from gateway.operate.party_changes import AccountRecord, PartyRecord, changed
from gateway.receive.allowance import SMALL, Disk, SentToday, largest, room, share
from tests.support.harness import NOW, Harness
from tests.support.sftp_served import SftpHarness, serving

_EMPTY = Disk(free=100, reserve=5)
_BOUND = Account(name="a", keys=(), max_package=1000, daily_messages=3, daily_bytes=5000)


@pytest.mark.parametrize(
    ("sent", "disk", "most", "why"),
    [
        pytest.param(SentToday(), _EMPTY, 1000, Fault.PACKAGE_TOO_LARGE, id="nothing sent"),
        pytest.param(
            SentToday(messages=2, size=4000), _EMPTY, 1000, Fault.PACKAGE_TOO_LARGE, id="one is left"
        ),
        pytest.param(SentToday(messages=3), _EMPTY, 0, Fault.ALLOWANCE_USED, id="no message is left"),
        pytest.param(SentToday(size=4900), _EMPTY, 100, Fault.ALLOWANCE_USED, id="some bytes are left"),
        pytest.param(SentToday(size=9000), _EMPTY, 0, Fault.ALLOWANCE_USED, id="more than all is sent"),
        pytest.param(
            SentToday(), Disk(free=2, reserve=5), 0, Fault.DISK_RESERVE, id="half of the reserve is gone"
        ),
    ],
)
def test_the_room_of_an_account_is_the_narrowest_of_its_bounds(
    sent: SentToday, disk: Disk, most: int, why: Fault
) -> None:
    remaining = room(_BOUND, sent, disk)
    assert (remaining.most, remaining.why.code) == (most, why.code)
    assert remaining.refuses(most + 1)
    assert remaining.refuses(most) is (most == 0)


def test_small_files_are_taken_while_the_disk_is_below_its_reserve() -> None:
    account = Account(name="a", keys=())
    assert room(account, SentToday(messages=10**9, size=10**15), _EMPTY).most == account.max_package
    low = room(account, SentToday(), Disk(free=4, reserve=5))
    assert (low.most, low.why.code) == (SMALL, Fault.DISK_RESERVE.code)
    assert share(account, SentToday(messages=10**9)) == 0
    assert share(_BOUND, SentToday(messages=1, size=4000)) == 0.8


def test_a_new_account_has_an_allowance_and_one_of_before_none_until_it_is_given_one() -> None:
    record = PartyRecord(
        place="",
        code="1101110011",
        scc="911100000000000017",
        name="n",
        roles=(Role.TRADER,),
        account=AccountRecord(name="new"),
    )
    party = changed(None, record, NOW.date())
    assert party.account is not None
    assert (party.account.daily_messages, party.account.daily_bytes) == (100_000, 100 * 10**9)

    def bounded(before: Account, daily_messages: int | None = None) -> Account:
        account = AccountRecord(name="new", daily_messages=daily_messages)
        again = PartyRecord(place="", code=record.code, account=account)
        after = changed(replace(party, account=before), again, NOW.date()).account
        assert after is not None
        return after

    old = bounded(Account(name="new", keys=()))
    assert (old.daily_messages, old.daily_bytes) == (None, None)
    assert bounded(old, daily_messages=5).daily_messages == 5
    assert bounded(party.account, daily_messages=0).daily_messages is None


def test_a_received_message_counts_on_its_day_in_china(tmp_path: Path) -> None:
    with Harness.at(tmp_path / "home") as harness:
        for hours, account in ((0, "broker-aa"), (1, "broker-aa"), (2, "trader-a"), (12, "broker-aa")):
            asyncio.run(harness.messages.add(_arrival(hours, account)))
        with harness.database.engine.connect() as reader:
            today = sent_on_the_day_of(reader, NOW)
            tomorrow = sent_on_the_day_of(reader, NOW + timedelta(hours=12))
    assert today == {"broker-aa": SentToday(messages=2, size=14), "trader-a": SentToday(messages=1, size=7)}
    assert tomorrow == {"broker-aa": SentToday(messages=1, size=7)}


def _arrival(hours: float, account: str) -> Arrival:
    at = NOW + timedelta(hours=hours)
    return Arrival(
        id=new_id(at, bytes(10)),
        account=account,
        channel="sftp",
        name="a.xml",
        sha256="0" * 64,
        size=7,
        received_at=at,
    )


@pytest.fixture
def served(tmp_path: Path) -> Iterator[SftpHarness]:
    with serving(tmp_path) as running:
        yield running


def test_over_sftp_a_file_beyond_an_allowance_is_refused_with_a_reason_when_it_is_opened(
    served: SftpHarness,
) -> None:
    served.limit("broker", daily_messages=1)
    with served.broker.session() as client:
        with client.open("/OutBox/a.xml", "wb") as file:
            file.write(b"<a/>")
        with pytest.raises(OSError, match="allowance for today is used up"):
            client.open("/OutBox/b.xml", "wb")
    served.limit("broker", daily_messages=None, daily_bytes=10)
    with served.broker.session() as client:
        file = client.open("/OutBox/c.xml", "wb")
        with pytest.raises(OSError, match="allowance for today is used up"):
            file.write(b"<longer-than-six/>")
    with served.other.session() as client, client.open("/OutBox/a.xml", "wb") as file:
        file.write(b"<longer-than-six/>")
    assert [name for name, _, _ in served.arrived()] == ["a.xml"]


@pytest.mark.parametrize("bound", [{"daily_messages": 3}, {"daily_bytes": 3 * 7 + 6}])
def test_of_what_is_received_at_once_no_more_is_taken_than_the_allowance(
    tmp_path: Path, bound: dict[str, int]
) -> None:
    sender = replace(Account(name="broker-aa", keys=()), **bound)  # type: ignore[arg-type]  # fields by name

    async def all_at_once(harness: Harness) -> list[BaseException | None]:
        adding = [harness.messages.add(_arrival(number / 60, sender.name), sender) for number in range(8)]
        return await asyncio.gather(*adding, return_exceptions=True)

    with Harness.at(tmp_path / "home") as harness:
        outcomes = asyncio.run(all_at_once(harness))
        with harness.database.engine.connect() as reader:
            assert sent_on_the_day_of(reader, NOW) == {sender.name: SentToday(messages=3, size=21)}
    refused = [outcome for outcome in outcomes if outcome is not None]
    assert len(refused) == 5
    for error in refused:
        assert isinstance(error, MessageRejected)
        assert [finding.code for finding in error.findings] == [Fault.ALLOWANCE_USED.code]


def test_uploads_that_were_open_at_once_pass_no_allowance_and_leave_nothing(served: SftpHarness) -> None:
    served.limit("broker", daily_messages=2)
    kept_before = served.stored()
    with served.broker.session() as client:
        written = [client.open(f"/OutBox/{name}", "wb") for name in ("a.xml", "b.xml", "c.xml", "d.xml.part")]
        for number, file in enumerate(written):
            file.write(b"<a>%d</a>" % number)
        *finished, unfinished = written
        unfinished.close()
        for file in finished[:2]:
            _close(client, file)
        with pytest.raises(OSError, match=r"allowance for today is used up.* Nothing was kept"):
            _close(client, finished[2])
        with pytest.raises(OSError, match=r"allowance for today is used up.* Nothing was kept"):
            client.rename("/OutBox/d.xml.part", "/OutBox/d.xml")
        assert client.listdir("/OutBox") == ["a.xml", "b.xml"]
    assert [name for name, _, _ in served.arrived()] == ["a.xml", "b.xml"]
    assert served.spools() == []
    assert len(served.stored()) == len(kept_before) + 2


def test_uploads_that_are_closed_at_once_by_many_sessions_pass_no_allowance(served: SftpHarness) -> None:
    sessions, together = 6, threading.Barrier(6)
    served.limit("broker", daily_bytes=2 * 1000 + 999)

    def send(number: int) -> None:
        with served.broker.session() as client:
            file = client.open(f"/OutBox/{number}.xml", "wb")
            file.write(bytes([number]) * 1000)
            together.wait(60)
            _close(client, file)

    with ThreadPoolExecutor(sessions) as pool:
        sent = [pool.submit(send, number) for number in range(sessions)]
        refused = [str(error) for upload in sent if (error := upload.exception()) is not None]
    assert len(refused) == 4
    assert all("allowance for today is used up" in error for error in refused)
    assert (len(served.arrived()), served.spools()) == (2, [])


def _close(client: paramiko.SFTPClient, file: paramiko.SFTPFile) -> None:
    """paramiko's own overlooks that it failed."""
    cast(Any, client)._request(CMD_CLOSE, file.handle)


def test_over_sftp_a_file_larger_than_any_package_is_refused_at_the_write_that_exceeds_the_limit(
    served: SftpHarness,
) -> None:
    most = largest(Policy())
    served.limit("broker", max_package=most * 2)
    with served.broker.session() as client, client.open("/OutBox/a.zip", "wb") as file:
        file.seek(most - 1)
        file.write(b"x")
        with pytest.raises(OSError, match="larger than allowed"):
            file.write(b"x")
    assert (served.arrived(), served.spools()) == ([], [])


def test_an_account_that_has_used_four_fifths_of_its_day_opens_an_alarm(tmp_path: Path) -> None:
    with Harness.at(tmp_path / "home") as harness:
        harness.change_account("broker-aa", daily_messages=5, daily_bytes=None)
        settings, now = harness.home.settings(), NOW + timedelta(hours=1)
        for number in range(4):
            assert not _nearly_used(harness, settings, now)
            asyncio.run(harness.messages.add(_arrival(number / 60, "broker-aa")))
        assert _nearly_used(harness, settings, now) == {"allowance:broker-aa": AlarmSeverity.WARNING}
        asyncio.run(harness.messages.add(_arrival(4 / 60, "broker-aa")))
        assert _nearly_used(harness, settings, now) == {"allowance:broker-aa": AlarmSeverity.SERIOUS}
        assert not _nearly_used(harness, settings, now + timedelta(days=1))


def _nearly_used(harness: Harness, settings: Settings, now: datetime) -> dict[str, AlarmSeverity]:
    with closing(
        SnapshotReader(harness.home, settings, lambda: now, (), (), {}, lambda _now: "", dict)
    ) as reader:
        result = conditions(asyncio.run(reader.snapshot()), settings.alarms)
    return {
        condition.key: condition.severity for condition in result if condition.key.startswith("allowance:")
    }


def test_over_sftp_nothing_is_opened_where_the_disk_is_full(served: SftpHarness) -> None:
    served.reserve_percent = 100_000
    with served.broker.session() as client, pytest.raises(OSError, match="disk is nearly full"):
        client.open("/OutBox/a.xml", "wb")
    assert served.arrived() == []
