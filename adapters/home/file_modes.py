"""Who may read what the gateway makes: in a home its owner alone, whatever the umask; in folders that others
work in as well, whom the administrator's umask lets."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_PRIVATE = 0o077
_given = os.umask(_PRIVATE)
os.umask(_given)


@contextmanager
def private() -> Iterator[None]:
    """What is made inside is for its owner alone. The umask is the process's: not for use in threads."""
    before = os.umask(_PRIVATE)
    try:
        yield
    finally:
        os.umask(before)


def shared(mode: int) -> int:
    """The mode that the administrator's umask makes of this one."""
    return mode & ~_given
