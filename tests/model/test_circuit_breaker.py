"""Breakers as values: when a destination is spared, and when it is tried again."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.circuit_breaker import FAILURES, FIRST_PAUSE, LONGEST_PAUSE, BreakerState, CircuitBreaker

NOW: Final = datetime(2026, 11, 2, tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)


def opened(now: datetime = NOW) -> CircuitBreaker:
    breaker = CircuitBreaker.new(now)
    for _ in range(FAILURES):
        breaker = breaker.failed("refused connection", now, probe=False)
    return breaker


def test_a_breaker_opens_after_five_failures_in_a_row() -> None:
    breaker = CircuitBreaker.new(NOW)
    for _ in range(FAILURES - 1):
        breaker = breaker.failed("no", NOW, probe=False)
        assert breaker.closed
    assert breaker.worked(NOW).failures == 0
    breaker = breaker.failed("no", NOW + SECOND, probe=False)
    assert (breaker.state, breaker.since, breaker.note) == (BreakerState.OPEN, NOW + SECOND, "no")


def test_a_breaker_that_is_open_lets_one_probe_through_when_its_pause_is_over() -> None:
    breaker = opened()
    assert not breaker.may_probe(NOW)
    assert breaker.may_probe(NOW + FIRST_PAUSE)
    probing = breaker.probing()
    assert not probing.may_probe(NOW + timedelta(hours=1))
    assert probing.since == NOW


def test_pauses_between_probes_double_up_to_a_minute() -> None:
    breaker, now, pauses = opened(), NOW, []
    for _ in range(12):
        assert breaker.probe_at is not None
        pauses.append(breaker.probe_at - now)
        now = breaker.probe_at
        breaker = breaker.probing().failed("no", now, probe=True)
    assert pauses[0] == FIRST_PAUSE
    assert pauses[-1] == LONGEST_PAUSE
    assert all(later in (earlier * 2, LONGEST_PAUSE) for earlier, later in pairwise(pauses))


def test_failures_of_attempts_begun_before_the_breaker_opened_do_not_lengthen_the_pause() -> None:
    assert opened().failed("late", NOW + SECOND, probe=False) == opened()


@pytest.mark.parametrize("state", [opened(), opened().probing()])
def test_any_success_closes_a_breaker(state: CircuitBreaker) -> None:
    closed = state.worked(NOW + SECOND)
    assert (closed.state, closed.failures, closed.since) == (BreakerState.CLOSED, 0, NOW + SECOND)


@pytest.mark.parametrize("state", [opened(), opened().probing()])
def test_a_node_probes_at_once_what_it_finds_to_be_down(state: CircuitBreaker) -> None:
    breaker = state.taken_over(NOW)
    assert breaker.may_probe(NOW)
    assert (breaker.failures, breaker.since) == (state.failures, state.since)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 90))))
def test_a_breaker_is_always_closed_or_says_when_it_is_tried(
    happened: list[tuple[bool, bool, int]],
) -> None:
    breaker, now = CircuitBreaker.new(NOW), NOW
    for works, waits, seconds in happened:
        now += timedelta(seconds=seconds)
        probe = breaker.may_probe(now)
        if probe:
            breaker = breaker.probing()
            if waits:
                continue
        breaker = breaker.worked(now) if works else breaker.failed("no", now, probe=probe)
        assert breaker.closed == (breaker.probe_at is None) or breaker.state is BreakerState.PROBING
        assert breaker.failures < FAILURES or not breaker.closed
        assert breaker.since <= now
        if breaker.probe_at is not None:
            assert breaker.probe_at - now <= LONGEST_PAUSE
