"""Who gets what only one can have, and which version of a message counts: by the order of receipt alone."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.message import Version
from gateway.rules.order_of_receipt import (
    comes_first,
    is_decided_by_another,
    repeated_from,
    replaced_by,
)


@given(st.sets(st.integers(1, 50), min_size=1))
def test_of_several_messages_that_waited_the_first_received_is_served(places: set[int]) -> None:
    assert [place for place in sorted(places) if comes_first(place, places)] == [min(places)]


@pytest.mark.parametrize(("place", "takes"), [(3, False), (1, True)])
def test_a_message_that_has_not_waited_is_served_only_if_it_was_received_before(
    place: int, takes: bool
) -> None:
    assert comes_first(place, [2, 4]) is takes


def test_without_waiting_messages_anyone_is_served() -> None:
    assert comes_first(7, [])


def others(contents: Sequence[str], own: int) -> list[Version]:
    return [
        Version(id=str(place), content=content, later=place > own)
        for place, content in enumerate(contents)
        if place != own
    ]


@pytest.mark.parametrize(
    ("contents", "decided_by"),
    [
        ("A", [None]),
        ("AA", [None, "0"]),
        ("AB", ["1", None]),
        ("AAB", ["2", "2", None]),
        ("ABB", ["1", None, "1"]),
        ("ABA", ["1", "2", None]),
        ("AABA", ["2", "2", "3", None]),
        ("ABAA", ["1", "2", None, "2"]),
    ],
)
def test_a_later_version_replaces_an_earlier_one_and_the_same_content_repeats_it(
    contents: str, decided_by: list[str | None]
) -> None:
    for own, expected in enumerate(decided_by):
        versions, content = others(contents, own), contents[own]
        other = replaced_by(versions, content) or repeated_from(versions, content)
        assert (None if other is None else other.id) == expected
        assert is_decided_by_another(versions, content) is (expected is not None)
