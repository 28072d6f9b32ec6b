"""The pace of a destination: how fast it is sent to again after an outage, and when it is busy."""

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.deliver.rate_limit import RateLimit, RateLimits

NOW: Final = datetime(2026, 11, 2, tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)


def test_after_an_outage_one_goes_then_two_then_four_up_to_all() -> None:
    rate_limit, allowed = RateLimit.full(RateLimits(at_once=8), NOW).slow(), []
    while rate_limit.free(0, NOW) < 8:
        allowed.append(rate_limit.free(0, NOW))
        for _ in range(allowed[-1]):
            rate_limit = rate_limit.taken()
    assert allowed == [1, 2, 4]
    assert rate_limit.free(3, NOW) == 5


@given(rate=st.floats(0.5, 500), seconds=st.integers(1, 4), at_once=st.integers(1, 64))
def test_no_more_are_sent_in_a_second_than_the_rate_allows(rate: float, seconds: int, at_once: int) -> None:
    rate_limit, now, sent = RateLimit.full(RateLimits(at_once=at_once, rate=rate), NOW), NOW, 0
    for _ in range(seconds * 50):
        free = rate_limit.free(0, now)
        rate_limit = rate_limit.handed(free, now)
        sent += free
        now += timedelta(milliseconds=20)
    assert sent <= rate * seconds + max(2.0, rate / 10)
    assert sent >= min(rate, at_once * 50) * seconds * 0.9 - 1


def test_a_pace_says_how_long_the_rate_makes_it_wait() -> None:
    rate_limit = RateLimit.full(RateLimits(at_once=8, rate=2), NOW)
    assert rate_limit.wait(NOW) == 0
    rate_limit = rate_limit.handed(rate_limit.free(0, NOW), NOW)  # two may go at once
    assert rate_limit.free(0, NOW) == 0
    assert rate_limit.wait(NOW) == pytest.approx(0.5)
    assert rate_limit.free(0, NOW + timedelta(seconds=0.5)) == 1


def test_a_busy_back_end_gets_a_pause_and_half_as_many_at_once() -> None:
    rate_limit = (
        RateLimit.full(RateLimits(at_once=8), NOW).busy(NOW).busy(NOW)
    )  # two that were on their way together
    assert rate_limit.free(0, NOW) == 0
    assert rate_limit.free(0, NOW + SECOND) == 4
    again = rate_limit.busy(NOW + SECOND)
    assert again.free(0, NOW + SECOND * 2) == 0
    assert again.free(0, NOW + SECOND * 3) == 2
    for _ in range(6):
        again = again.taken()
    assert again.free(0, NOW + timedelta(minutes=1)) == 8
