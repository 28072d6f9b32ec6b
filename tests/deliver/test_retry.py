"""Retries as decisions: bounded, spread, and never blind after an unknown outcome."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.deliver.retry import PATIENCE, delay, next_step
from gateway.model.delivery import Outcome
from gateway.model.states import DeliveryState

NOW: Final = datetime(2026, 11, 2, tzinfo=UTC)
UNTIL: Final = NOW + timedelta(hours=72)
OUTAGE: Final = PATIENCE[Outcome.LATER]
MOST: Final = OUTAGE.attempts or 0


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Outcome.TAKEN, DeliveryState.DELIVERED),
        (Outcome.NEVER, DeliveryState.REFUSED),
        (Outcome.LATER, DeliveryState.PENDING),
        (Outcome.BUSY, DeliveryState.PENDING),
        (Outcome.DENIED, DeliveryState.PENDING),
        (Outcome.UNKNOWN, DeliveryState.UNKNOWN),
    ],
)
def test_each_outcome_has_its_next_state(outcome: Outcome, state: DeliveryState) -> None:
    assert next_step(outcome, 1, NOW, 0.5, until=UNTIL).state is state


def test_every_outcome_that_is_not_the_end_has_its_patience() -> None:
    assert set(PATIENCE) == set(Outcome) - {Outcome.TAKEN, Outcome.NEVER}


@pytest.mark.parametrize("outcome", [Outcome.LATER, Outcome.UNKNOWN])
def test_a_delivery_is_given_up_after_its_last_attempt_and_the_note_says_so(outcome: Outcome) -> None:
    assert next_step(outcome, MOST - 1, NOW, 0.5, until=UNTIL).state is not DeliveryState.HELD
    last = next_step(outcome, MOST, NOW, 0.5, until=UNTIL)
    assert (last.state, last.note) == (DeliveryState.HELD, f"given up after {MOST} attempts")


@pytest.mark.parametrize("outcome", sorted(PATIENCE))
def test_a_delivery_is_given_up_when_its_time_is_over_whatever_hinders_it(outcome: Outcome) -> None:
    assert (
        next_step(outcome, 1, UNTIL - timedelta(seconds=1), 0.5, until=UNTIL).state is not DeliveryState.HELD
    )
    over = next_step(outcome, 1, UNTIL, 0.5, until=UNTIL)
    assert (over.state, over.note) == (DeliveryState.HELD, "its time is over")


@given(attempts=st.integers(1, 100_000), jitter=st.floats(0, 1, exclude_max=True))
def test_a_busy_back_end_or_a_refused_log_in_uses_up_no_attempt(attempts: int, jitter: float) -> None:
    for outcome in (Outcome.BUSY, Outcome.DENIED):
        step = next_step(outcome, attempts, NOW, jitter, until=UNTIL)
        assert (step.state, step.counted) == (DeliveryState.PENDING, False)


@given(attempts=st.integers(1, 100_000), jitter=st.floats(0, 1, exclude_max=True))
def test_a_probe_uses_up_no_attempt(attempts: int, jitter: float) -> None:
    step = next_step(Outcome.LATER, attempts, NOW, jitter, until=UNTIL, probe=True)
    assert (step.state, step.counted) == (DeliveryState.PENDING, False)


def test_after_a_refused_log_in_attempts_follow_every_five_minutes() -> None:
    for attempts in (1, 2, 50):
        step = next_step(Outcome.DENIED, attempts, NOW, 0.999, until=UNTIL)
        assert timedelta(minutes=4) < step.next_at - NOW <= timedelta(minutes=5)


@pytest.mark.parametrize("outcome", [Outcome.TAKEN, Outcome.NEVER])
def test_a_delivery_that_ends_at_the_last_attempt_ends_the_same_way_after_its_time(outcome: Outcome) -> None:
    step = next_step(outcome, MOST, UNTIL + timedelta(days=1), 0.5, until=UNTIL)
    assert step.state in (DeliveryState.DELIVERED, DeliveryState.REFUSED)


@given(attempts=st.integers(1, MOST - 1), jitter=st.floats(0, 1, exclude_max=True))
def test_a_retry_waits_at_least_half_a_second_and_at_most_the_longest_delay(
    attempts: int, jitter: float
) -> None:
    waited = next_step(Outcome.LATER, attempts, NOW, jitter, until=UNTIL).next_at - NOW
    assert OUTAGE.first / 2 <= waited <= OUTAGE.longest


def test_delays_double_until_the_longest() -> None:
    delays = [delay(OUTAGE, attempts, 0.0) for attempts in range(1, 20)]
    assert all(later in (earlier * 2, OUTAGE.longest / 2) for earlier, later in pairwise(delays))
    assert delays[-1] == OUTAGE.longest / 2


def test_an_authority_that_is_down_for_half_a_day_is_still_tried() -> None:
    waited = sum((delay(OUTAGE, attempts, 0.0) for attempts in range(1, MOST)), timedelta())
    assert waited > timedelta(hours=8)
