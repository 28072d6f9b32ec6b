"""What a worker may spend on one piece of work: memory and CPU time, to which the kernel holds it.

A library that is refused memory says so in words of its own: libxml2 calls the document not well-formed, qpdf
finds no pages. So nothing is asked of them. The kernel refuses only what lies well beyond the bound, and
whoever went beyond it is known by the highest size that the process had.
"""

import math
import resource
from pathlib import Path
from time import process_time
from typing import Final

# What is asked for at once is less: a document of 32 MB is held several times, each by itself.
_ROOM: Final = 256 * 1024 * 1024
_STATUS: Final = Path("/proc/self/status")


class Spending:
    """Of this process, from now on. One that has `exceeded` is to be ended: its highest size stays."""

    def __init__(self, memory: int) -> None:
        """`memory` in bytes, beside what the process takes already."""
        self._most = _size("VmSize") + memory
        _limit(resource.RLIMIT_AS, self._most + _ROOM)
        _limit(resource.RLIMIT_CORE, 0)  # no messages and keys in files that nobody looks after

    def begin(self, seconds: float) -> None:
        """The kernel ends the process by SIGXCPU when it has worked for longer than this from now on."""
        _limit(resource.RLIMIT_CPU, math.ceil(process_time() + seconds))

    @property
    def exceeded(self) -> bool:
        return _size("VmPeak") > self._most


def _limit(what: int, soft: int) -> None:
    hard = resource.getrlimit(what)[1]
    resource.setrlimit(what, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _size(name: str) -> int:
    (line,) = (line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
