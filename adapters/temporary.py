"""Where a node keeps what it needs while it runs: in its home, so that one that is killed leaves nothing
anywhere else, and what it leaves is gone at the next start."""

import os
import shutil
import tempfile
from pathlib import Path


def keep_temporary(folder: Path) -> None:
    """Empties the folder, and has all of this process use it, the sockets of its workers among it. Called
    before there are any, by whoever holds the home's lock."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    # A socket's path may have 107 bytes, and a home's is as long as its administrator likes.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    tempfile.tempdir = f"/proc/{os.getpid()}/fd/{descriptor}"
