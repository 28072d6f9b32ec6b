"""Fair order between accounts: a single message waits for at most one of another account's thousands."""

from collections import Counter
from collections.abc import Callable, Mapping


def in_turn(
    limit: int,
    oldest: Mapping[str, int],
    at_work: Counter[str],
    following: Callable[[str], int | None],
    last_turn: Mapping[str, int] | None = None,
) -> list[tuple[str, int]]:
    """At most `limit` items to work on, each with its account. The next item is always the oldest of the
    account with the fewest in work; of several such accounts, the one whose turn was longest ago comes first.

    `oldest` has the number of the oldest due item of each account; each call of `following` returns the
    account's next item after that, None where there is none.
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
        if len(chosen) < limit and (after := following(account)) is not None:
            oldest[account] = after
    return chosen
