"""Modes of the files that the gateway makes: in a home only for its owner, whatever the umask; in folders
shared with others, as the administrator's umask allows."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_PRIVATE = 0o077
_given = os.umask(_PRIVATE)
os.umask(_given)


@contextmanager
def private() -> Iterator[None]:
    """Files made inside this context are for their owner alone. The umask belongs to the process: not for use
    in threads."""
    before = os.umask(_PRIVATE)
    try:
        yield
    finally:
        os.umask(before)


def shared(mode: int) -> int:
    """This mode after applying the administrator's umask."""
    return mode & ~_given
