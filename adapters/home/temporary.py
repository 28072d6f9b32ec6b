"""Where a node keeps what it needs while it runs: in its home, so that one that is killed leaves nothing
anywhere else, and what it leaves is gone at the next start."""

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path


def keep_temporary(folder: Path) -> None:
    """Empties the folder, and has all of this process use it, the sockets of its workers among it, and SQLite
    here and there. Called before there are any, and before the store is opened, by whoever holds the home's
    lock."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    # A socket's path may have 107 bytes, and a home's is as long as its administrator likes.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    # SQLite deletes a file as soon as it has opened it, and may be killed in between. It reads its variable
    # when it is loaded, as it will be by the workers; of this process it wants to be told.
    os.environ["SQLITE_TMPDIR"] = str(folder)
    with closing(sqlite3.connect(":memory:")) as connection:
        quoted = str(folder).replace("'", "''")
        connection.execute(f"PRAGMA temp_store_directory = '{quoted}'")
    tempfile.tempdir = f"/proc/{os.getpid()}/fd/{descriptor}"
