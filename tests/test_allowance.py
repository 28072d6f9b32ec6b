"""Nobody fills the disk for all: what an account may send in a day, and the reserve of the disk."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from adapters.observing.looking import Looking
from adapters.stores.allowances import sent_on_the_day_of
from gateway.alarm_conditions import conditions
from gateway.alarms import Severity
from gateway.allowance import SMALL, Disk, Sent, largest, room, share
from gateway.fault_catalogue import Fault
from gateway.message import Arrival, new_id
from gateway.parties import Account, Role
from gateway.party_changes import Stated, StatedAccount, changed
from gateway.policy import Policy
from gateway.settings import Settings
from tests.desk import NOW, Desk
from tests.sftp_served import Served, serving

_EMPTY = Disk(free=100, reserve=5)
_BOUND = Account(name="a", keys=(), max_package=1000, daily_messages=3, daily_bytes=5000)


@pytest.mark.parametrize(
    ("sent", "disk", "most", "why"),
    [
        pytest.param(Sent(), _EMPTY, 1000, Fault.PACKAGE_TOO_LARGE, id="nothing sent"),
        pytest.param(Sent(messages=2, size=4000), _EMPTY, 1000, Fault.PACKAGE_TOO_LARGE, id="one is left"),
        pytest.param(Sent(messages=3), _EMPTY, 0, Fault.ALLOWANCE_USED, id="no message is left"),
        pytest.param(Sent(size=4900), _EMPTY, 100, Fault.ALLOWANCE_USED, id="some bytes are left"),
        pytest.param(Sent(size=9000), _EMPTY, 0, Fault.ALLOWANCE_USED, id="more than all is sent"),
        pytest.param(
            Sent(), Disk(free=2, reserve=5), 0, Fault.DISK_RESERVE, id="half of the reserve is gone"
        ),
    ],
)
def test_the_room_of_an_account_is_the_narrowest_of_its_bounds(
    sent: Sent, disk: Disk, most: int, why: Fault
) -> None:
    found = room(_BOUND, sent, disk)
    assert (found.most, found.why.code) == (most, why.code)
    assert found.refuses(most + 1)
    assert found.refuses(most) is (most == 0)


def test_below_the_reserve_what_is_small_is_still_taken() -> None:
    account = Account(name="a", keys=())
    assert room(account, Sent(messages=10**9, size=10**15), _EMPTY).most == account.max_package
    low = room(account, Sent(), Disk(free=4, reserve=5))
    assert (low.most, low.why.code) == (SMALL, Fault.DISK_RESERVE.code)
    assert share(account, Sent(messages=10**9)) == 0
    assert share(_BOUND, Sent(messages=1, size=4000)) == 0.8


def test_a_new_account_has_an_allowance_and_one_of_before_none_until_it_is_given_one() -> None:
    said = Stated(
        place="",
        code="1101110011",
        scc="911100000000000017",
        name="n",
        roles=(Role.TRADER,),
        account=StatedAccount(name="new"),
    )
    party = changed(None, said, NOW.date())
    assert party.account is not None
    assert (party.account.daily_messages, party.account.daily_bytes) == (100_000, 100 * 10**9)

    def bounded(before: Account, daily_messages: int | None = None) -> Account:
        account = StatedAccount(name="new", daily_messages=daily_messages)
        again = Stated(place="", code=said.code, account=account)
        after = changed(replace(party, account=before), again, NOW.date()).account
        assert after is not None
        return after

    old = bounded(Account(name="new", keys=()))
    assert (old.daily_messages, old.daily_bytes) == (None, None)
    assert bounded(old, daily_messages=5).daily_messages == 5
    assert bounded(party.account, daily_messages=0).daily_messages is None


def test_what_is_received_counts_on_its_day_in_china(tmp_path: Path) -> None:
    with Desk.at(tmp_path / "home") as desk:
        for hours, account in ((0, "broker-aa"), (1, "broker-aa"), (2, "trader-a"), (12, "broker-aa")):
            asyncio.run(desk.messages.add(_arrival(hours, account)))
        with desk.database.engine.connect() as reader:
            today = sent_on_the_day_of(reader, NOW)
            tomorrow = sent_on_the_day_of(reader, NOW + timedelta(hours=12))
    assert today == {"broker-aa": Sent(messages=2, size=14), "trader-a": Sent(messages=1, size=7)}
    assert tomorrow == {"broker-aa": Sent(messages=1, size=7)}


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
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as running:
        yield running


def test_over_sftp_what_is_beyond_an_allowance_is_refused_in_words_when_it_is_opened(served: Served) -> None:
    served.limit("broker", daily_messages=1)
    with served.broker.session() as client:
        with client.open("/OutBox/a.xml", "wb") as file:
            file.write(b"<a/>")
        with pytest.raises(OSError, match="may send in a day is used up"):
            client.open("/OutBox/b.xml", "wb")
    served.limit("broker", daily_messages=None, daily_bytes=10)
    with served.broker.session() as client:
        file = client.open("/OutBox/c.xml", "wb")
        with pytest.raises(OSError, match="may send in a day is used up"):
            file.write(b"<longer-than-six/>")
    with served.other.session() as client, client.open("/OutBox/a.xml", "wb") as file:
        file.write(b"<longer-than-six/>")
    assert [name for name, _, _ in served.arrived()] == ["a.xml"]


def test_over_sftp_what_is_beyond_any_sound_package_is_told_at_the_write_that_passes_it(
    served: Served,
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
    with Desk.at(tmp_path / "home") as desk:
        desk.change_account("broker-aa", daily_messages=5, daily_bytes=None)
        settings, now = desk.home.settings(), NOW + timedelta(hours=1)
        for number in range(4):
            assert not _nearly_used(desk, settings, now)
            asyncio.run(desk.messages.add(_arrival(number / 60, "broker-aa")))
        assert _nearly_used(desk, settings, now) == {"allowance:broker-aa": Severity.WARNING}
        asyncio.run(desk.messages.add(_arrival(4 / 60, "broker-aa")))
        assert _nearly_used(desk, settings, now) == {"allowance:broker-aa": Severity.SERIOUS}
        assert not _nearly_used(desk, settings, now + timedelta(days=1))


def _nearly_used(desk: Desk, settings: Settings, now: datetime) -> dict[str, Severity]:
    with closing(Looking(desk.home, settings, lambda: now, (), (), {}, lambda _now: "", dict)) as looking:
        found = conditions(asyncio.run(looking.sight()), settings.alarms)
    return {each.key: each.severity for each in found if each.key.startswith("allowance:")}


def test_over_sftp_nothing_is_opened_where_the_disk_is_full(served: Served) -> None:
    served.reserve_percent = 100_000
    with served.broker.session() as client, pytest.raises(OSError, match="disk is nearly full"):
        client.open("/OutBox/a.xml", "wb")
    assert served.arrived() == []
