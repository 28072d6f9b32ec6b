"""Whose turn it is, without a store."""

from collections import Counter
from collections.abc import Callable, Mapping

from hypothesis import given
from hypothesis import strategies as st

from gateway.run.fairness import in_turn

QUEUES = st.dictionaries(st.sampled_from("abcde"), st.sets(st.integers(1, 60), min_size=1), max_size=5)


def oldest(queues: Mapping[str, set[int]]) -> dict[str, int]:
    return {account: min(numbers) for account, numbers in queues.items()}


def following(queues: Mapping[str, set[int]]) -> Callable[[str], int | None]:
    lines = {account: iter(sorted(numbers)[1:]) for account, numbers in queues.items()}
    return lambda account: next(lines[account], None)


def test_an_account_with_one_message_waits_for_one_of_anothers_thousands() -> None:
    queues = {"large": set(range(1, 1001)), "small": {5000}}
    chosen = in_turn(3, oldest(queues), Counter(), following(queues))
    assert chosen == [("large", 1), ("small", 5000), ("large", 2)]


def test_work_in_progress_of_an_account_counts() -> None:
    queues = {"large": {1, 2, 3}, "small": {9, 10}}
    assert in_turn(2, oldest(queues), Counter(large=2), following(queues)) == [("small", 9), ("small", 10)]


def test_of_accounts_with_as_much_at_work_it_is_the_turn_of_the_one_that_waited_longest() -> None:
    queues = {"a": {1}, "b": {2}, "c": {3}}
    chosen = in_turn(1, oldest(queues), Counter(), following(queues), {"a": 7, "b": 6})
    assert chosen == [("c", 3)]


@given(QUEUES, st.integers(1, 40))
def test_each_account_gives_its_oldest_first_and_none_is_passed_over_for_long(
    queues: dict[str, set[int]], limit: int
) -> None:
    chosen = in_turn(limit, oldest(queues), Counter(), following(queues))
    assert len(chosen) == min(limit, sum(map(len, queues.values())))
    counts = Counter(account for account, _number in chosen)
    for account, numbers in queues.items():
        chosen_numbers = [number for name, number in chosen if name == account]
        assert chosen_numbers == sorted(numbers)[: len(chosen_numbers)]
        if counts[account] < len(numbers):  # it has more: nobody is more than one ahead of it
            assert max(counts.values(), default=0) <= counts[account] + 1
