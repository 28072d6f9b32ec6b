"""Serves a home on a file system of its own, as large as is said, that nobody but this process has mounted.

`python -m tests.system.on_a_small_disk 48m serve --home HOME`: the process becomes that of the node. Its home
is a copy of HOME, seen from outside below /proc.
"""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final

# As root, and as anybody where the kernel lets everyone be root of a namespace.
_WAYS: Final = (("--mount",), ("--user", "--map-root-user", "--mount"))
_SCRIPT: Final = """
size=$1 home=$2; shift 2
mount -t tmpfs -o size="$size",mode=700 tmpfs "$home.disk" &&
cp -a "$home/." "$home.disk" &&
mount --bind "$home.disk" "$home" &&
exec "$@"
"""


@cache
def way() -> tuple[str, ...] | None:
    """How a file system can be mounted here; None where it cannot."""
    for options in _WAYS:
        command = ["unshare", *options, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return options
    return None


def seen_from_outside(pid: int, path: Path) -> Path:
    return Path(f"/proc/{pid}/root{path}")


def main() -> None:
    size, *arguments = sys.argv[1:]
    home = arguments[-1]
    Path(f"{home}.disk").mkdir(exist_ok=True)
    served = [sys.executable, "-m", "cli", *arguments]
    command = ["unshare", *(way() or ()), "sh", "-c", _SCRIPT, "sh", size, home, *served]
    os.execvp(command[0], command)  # noqa: S606  a shell comes after it


if __name__ == "__main__":
    main()
