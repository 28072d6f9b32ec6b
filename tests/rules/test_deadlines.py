"""Deadlines of documents that follow a release, and when their parties are told."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from gateway.model.obligation import Deadline
from gateway.rules.deadlines import deadline, next_reminder

# Half past midnight of the 24th in China, still the 23rd in UTC.
RELEASED: Final = datetime(2026, 11, 23, 16, 30, tzinfo=UTC)


def utc(day: int, hour: int, minute: int = 0, second: int = 0, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, minute, second, tzinfo=UTC)


def instants(due: Deadline, reminders: Iterable[int]) -> Iterator[datetime]:
    at: datetime | None = due.remind_at
    while at is not None:
        yield at
        at = next_reminder(due.due_at, reminders, at)


def test_documents_are_due_at_the_end_of_a_day_in_china() -> None:
    assert deadline(RELEASED, 10, ()).due_at == utc(4, 15, 59, 59, month=12)


def test_parties_are_reminded_from_the_beginning_of_a_day_and_once_more_when_it_is_overdue() -> None:
    due = deadline(RELEASED, 10, (0, 3))
    assert list(instants(due, (0, 3))) == [utc(30, 16), utc(3, 16, month=12), utc(4, 16, month=12)]


def test_a_reminder_before_the_release_is_left_out() -> None:
    assert deadline(RELEASED, 1, (3, 1, 0)).remind_at == utc(24, 16)


def test_without_configured_reminders_only_overdue_documents_are_reminded_of() -> None:
    due = deadline(RELEASED, 2, ())
    assert due.remind_at == due.due_at + timedelta(seconds=1)


@given(
    minutes=st.integers(0, 60 * 24 * 400),
    days=st.integers(1, 400),
    reminders=st.lists(st.integers(0, 500), max_size=5),
)
def test_reminders_go_forward_and_end_with_the_first_after_the_deadline(
    minutes: int, days: int, reminders: list[int]
) -> None:
    released = RELEASED + timedelta(minutes=minutes)
    due = deadline(released, days, reminders)
    assert timedelta(days=days - 1) < due.due_at - released < timedelta(days=days + 1)
    passed = [released, *instants(due, reminders)]
    assert passed == sorted(set(passed))
    assert passed[-1] == due.due_at + timedelta(seconds=1)
