"""Retries as decisions: bounded, spread, and never blind after an unknown outcome."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.outbox import ATTEMPTS, FIRST_DELAY, LONGEST_DELAY, delay, next_step
from gateway.ports import Outcome
from gateway.states import DeliveryState

NOW: Final = datetime(2026, 11, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Outcome.TAKEN, DeliveryState.DELIVERED),
        (Outcome.NEVER, DeliveryState.REFUSED),
        (Outcome.LATER, DeliveryState.PENDING),
        (Outcome.UNKNOWN, DeliveryState.UNKNOWN),
    ],
)
def test_each_outcome_has_its_next_state(outcome: Outcome, state: DeliveryState) -> None:
    assert next_step(outcome, 1, NOW, 0.5).state is state


@pytest.mark.parametrize("outcome", [Outcome.LATER, Outcome.UNKNOWN])
def test_a_delivery_is_given_up_after_its_last_attempt(outcome: Outcome) -> None:
    assert next_step(outcome, ATTEMPTS - 1, NOW, 0.5).state is not DeliveryState.HELD
    assert next_step(outcome, ATTEMPTS, NOW, 0.5).state is DeliveryState.HELD


def test_what_is_taken_at_the_last_attempt_is_delivered() -> None:
    assert next_step(Outcome.TAKEN, ATTEMPTS, NOW, 0.5).state is DeliveryState.DELIVERED


@given(attempts=st.integers(1, ATTEMPTS), jitter=st.floats(0, 1, exclude_max=True))
def test_a_retry_waits_at_least_half_a_second_and_at_most_the_longest_delay(
    attempts: int, jitter: float
) -> None:
    waited = next_step(Outcome.LATER, attempts, NOW, jitter).next_at - NOW
    if attempts < ATTEMPTS:
        assert FIRST_DELAY / 2 <= waited <= LONGEST_DELAY


def test_delays_double_until_the_longest() -> None:
    delays = [delay(attempts, 0.0) for attempts in range(1, 20)]
    assert all(later in (earlier * 2, LONGEST_DELAY / 2) for earlier, later in pairwise(delays))
    assert delays[-1] == LONGEST_DELAY / 2


def test_an_authority_that_is_down_for_half_a_day_is_still_tried() -> None:
    waited = sum((delay(attempts, 0.0) for attempts in range(1, ATTEMPTS)), timedelta())
    assert waited > timedelta(hours=8)
