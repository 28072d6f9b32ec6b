"""Temporary files of a running node: in its home, so that a killed node leaves nothing anywhere else, and the
next start deletes what is left."""

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path


def keep_temporary(folder: Path) -> None:
    """Empties the folder, and makes this whole process use it, with its workers and SQLite. Called by the
    holder of the home's lock, before workers are forked and the store is opened."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    # A socket's path may have 107 bytes, and the path of a home may be longer.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    # SQLite deletes a file as soon as it has opened it, and may be killed in between. It read its variable
    # when it was loaded: here the folder must be set explicitly, and the variable is for other processes.
    os.environ["SQLITE_TMPDIR"] = str(folder)
    with closing(sqlite3.connect(":memory:")) as connection:
        quoted = str(folder).replace("'", "''")
        connection.execute(f"PRAGMA temp_store_directory = '{quoted}'")
    tempfile.tempdir = f"/proc/{os.getpid()}/fd/{descriptor}"
