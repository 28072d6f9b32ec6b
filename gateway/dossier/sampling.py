"""Draws the dossiers that are reviewed after release (docs/reform.md, R16), so that anybody can repeat the
draw."""

import hashlib
import math
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation


def lot(seed: str, entry: str) -> str:
    """The lot of an entry: SHA-256 (hex) over the seed, a line break and the entry number."""
    return hashlib.sha256(f"{seed}\n{entry}".encode()).hexdigest()


def drawn(seed: str, entries: Iterable[str], count: int) -> list[str]:
    """The `count` entries with the lowest lots, lowest first. The order of `entries` and repeated entries
    make no difference."""
    return sorted(set(entries), key=lambda entry: lot(seed, entry))[:count]


def count_of(share: str, entries: int) -> int:
    """The number of entries that make up a share of `entries`, rounded up, so at least one where there are
    any. Raises `ValueError` where `share` is not a number above 0 and up to 1."""
    try:
        part = Decimal(share)
        if 0 < part <= 1:
            return math.ceil(part * entries)
    except InvalidOperation:
        pass
    raise ValueError(f"{share} is no number above 0 and up to 1")
