"""Who is let in while many connect: dropped at random; wrong keys take nobody's place."""

import threading
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from socket import create_connection

import pytest

from adapters.channels.sftp_server.connection_limits import ConnectionLimits, drop_chance
from tests.support.sftp_served import serving


def test_the_chance_to_be_dropped_grows_as_that_of_openssh() -> None:
    assert [drop_chance(present, 10, 20) for present in (0, 9)] == [0, 0]
    assert drop_chance(10, 10, 20) == pytest.approx(0.3)
    assert drop_chance(15, 10, 20) == pytest.approx(0.65)
    assert [drop_chance(present, 10, 20) for present in (20, 99)] == [1, 1]


def test_some_connections_are_dropped_before_all_are() -> None:
    limits = ConnectionLimits()
    for _ in range(16):
        assert limits.admit("192.0.2.1")
    let_in = [limits.admit("192.0.2.1") for _ in range(1000)]
    assert let_in.count(True) == 16  # until there are 32
    last = max(number for number, let in enumerate(let_in) if let)
    assert False in let_in[:last]
    assert limits.admit("192.0.2.2")


def test_an_address_with_wrong_keys_takes_nobodys_place_and_waits_longer_each_time() -> None:
    limits = ConnectionLimits()
    waits = []
    for _ in range(32):
        assert limits.admit("192.0.2.1")
        waits.append(limits.failed("192.0.2.1", first=True))
    assert waits[:3] == pytest.approx([0.1, 0.2, 0.3])
    assert waits[-1] == 2.0
    assert limits.admit("192.0.2.1")
    assert limits.failed("192.0.2.1", first=True) is None  # too many wait
    assert limits.failed("192.0.2.1", first=False) == 2.0


def test_connections_that_have_ended_leave_room_for_as_many_new_ones() -> None:
    limits = ConnectionLimits()
    for _ in range(3):
        for number in range(16):
            assert limits.admit("192.0.2.1")
            slowed = number % 3 == 0
            if slowed:
                limits.failed("192.0.2.1", first=True)
            if number % 2:
                limits.logged_in("192.0.2.1", slowed=slowed)
        for number in range(16):
            limits.release("192.0.2.1", logged_in=bool(number % 2), slowed=number % 3 == 0)


def test_silent_connections_of_an_address_keep_no_log_in_out_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.channels.sftp_server.server.BANNER_SECONDS", 0.5)
    with serving(tmp_path) as served, ExitStack() as silent:
        for _ in range(40):
            silent.enter_context(closing(create_connection((served.host, served.port), timeout=30)))
        # Their time is short: then there is room for whoever says what it is.
        for _ in range(60):
            if served.broker.sftp("pwd").returncode == 0:
                break
            with suppress(TimeoutError):
                threading.Event().wait(0.5)
        else:
            pytest.fail("no log-in came through")
