"""Whose turn it is: one account's thousands keep another's only one waiting for one of them."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence


def in_turn(
    limit: int,
    oldest: Mapping[str, int],
    at_work: Counter[str],
    following: Callable[[str, Sequence[int]], int | None],
    last_turn: Mapping[str, int] | None = None,
) -> list[tuple[str, int]]:
    """At most `limit` things to do, each with its account: the next one is always the oldest of the account
    that has the fewest at work; of several, of the one whose turn was longest ago.

    `oldest` has the number of the oldest thing of each account that has one due; `following(account, chosen)`
    is the next one of an account after those that are chosen already, None where there is none.
    """
    oldest, at_work, turns = dict(oldest), at_work.copy(), dict(last_turn or {})
    newest = max(turns.values(), default=0)
    chosen: list[tuple[str, int]] = []
    while oldest and len(chosen) < limit:
        account = min(oldest, key=lambda each: (at_work[each], turns.get(each, 0), oldest[each]))
        chosen.append((account, oldest.pop(account)))
        at_work[account] += 1
        if last_turn is not None:
            turns[account] = newest = newest + 1
        after = following(account, [number for of, number in chosen if of == account])
        if after is not None:
            oldest[account] = after
    return chosen
