"""The memory and CPU time that a worker may use for one piece of work, enforced by the kernel.

A library that gets no memory reports it in its own way: libxml2 calls the document not well-formed, qpdf
finds no pages. So the libraries are not asked. The kernel refuses only memory well beyond the limit, and a
process that went beyond the limit is recognised by its peak size.
"""

import math
import resource
from pathlib import Path
from time import process_time
from typing import Final

# The kernel's limit lies this far above ours. Single allocations are smaller (a document of 32 MB is held
# several times, each separately), so a process at the kernel's limit has exceeded ours.
_ROOM: Final = 256 * 1024 * 1024
_STATUS: Final = Path("/proc/self/status")


class Spending:
    """Limits the memory and CPU time of this process. A process that has `exceeded` its memory must be ended,
    since its peak size never falls."""

    def __init__(self, memory: int) -> None:
        """`memory` in bytes, in addition to what the process uses already."""
        self._most = _size("VmSize") + memory
        _limit(resource.RLIMIT_AS, self._most + _ROOM)
        _limit(resource.RLIMIT_CORE, 0)  # no core files with messages and keys that nobody looks after

    def begin(self, seconds: float) -> None:
        """From now on, the kernel ends the process by SIGXCPU after more than this much CPU time."""
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
