"""Which dossiers are looked at again after release (REFORM R16), drawn so that all can draw them."""

import hashlib
import math
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation


def lot(seed: str, entry: str) -> str:
    """The lot that an entry draws: SHA-256 (hex) over the seed, a line break and the entry number."""
    return hashlib.sha256(f"{seed}\n{entry}".encode()).hexdigest()


def drawn(seed: str, entries: Iterable[str], count: int) -> list[str]:
    """The `count` entries with the lowest lots, lowest first. Order and repetition of `entries` make no
    difference."""
    return sorted(set(entries), key=lambda entry: lot(seed, entry))[:count]


def count_of(share: str, entries: int) -> int:
    """So many are a share of the entries, rounded up: who asks for a share of few gets one. Raises
    `ValueError` for what is no number above 0 and up to 1."""
    try:
        part = Decimal(share)
        if 0 < part <= 1:
            return math.ceil(part * entries)
    except InvalidOperation:
        pass
    raise ValueError(f"{share} is no number above 0 and up to 1")
