"""A backup of everything that a home needs, made while its node runs.

Databases are copied first, each at one moment; then everything else. What a database refers to is on the disk
before it does and is never changed, so the backup has it. The list of contents is written last: a backup
without one is incomplete. Nobody but the owner can read any of it.
"""

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

from sqlalchemy import create_engine, select

from adapters.home.folder_sync import sync_folder
from adapters.home.home import Home
from adapters.home.named_files import named_paths
from adapters.store.read.event_log import end_of_log
from adapters.store.read.packages import holds_packages, package_body, referred_packages
from adapters.store.tables.messages import events

CONTENTS: Final = "backup.json"
FORM: Final = 1
_DATABASE: Final = b"SQLite format 3\0"
_BESIDE: Final = ("-wal", "-shm", "-journal")  # next to a database; their content is in its copy
_NOT_KEPT: Final = ("lock", "blobs/spool", "unfinished")
_CHUNK: Final = 1024 * 1024


class BadBackup(Exception):
    """The backup cannot be made or used; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The moment of a backup: its last event of the log, and when that was. `outside` are the files that
    gateway.toml names outside the home: the backup does not have them. `missing` are the packages that the
    database refers to and that do not exist. `unasked` are the back-ends of a restored home that cannot be
    asked what they have: submissions are sent to them again, under the same key."""

    home: str
    sequence: int
    at: datetime | None
    outside: tuple[str, ...]
    missing: tuple[str, ...]
    unasked: tuple[str, ...] = ()


def back_up(home: Home, to: Path, now: datetime) -> Moment:
    """Backs up the home into a folder that is new or empty. Raises `BadBackup`, and `BadSettings`."""
    with filled(to):
        left_out = {to, *(home.path / name for name in _NOT_KEPT), *_exchanged(home)}
        names = list(walked(home.path, {each.resolve() for each in left_out}))
        databases = [name for name in names if _is_database(home.path / name)]
        # The gateway's own database first: other systems are asked later about what they took since then.
        databases.sort(key=lambda name: home.path / name != home.database)
        beside = {f"{name}{end}" for name in databases for end in _BESIDE}
        contents = {name: _copied_database(home.path / name, to / name) for name in databases}
        for name in names:
            if name in contents or name in beside:
                continue
            try:
                sha256 = copied(home.path / name, to / name)
            except FileNotFoundError:
                continue  # it was moved after it was listed
            if not is_package(name):
                contents[name] = sha256
        own = home.path.resolve()
        outside = [path for path in named_paths(home) if not path.resolve().is_relative_to(own)]
        moment = stands_at(to, str(own), [str(path) for path in outside])
        contents_file = {
            "form": FORM,
            "made_at": now.isoformat(),
            "home": moment.home,
            "outside": moment.outside,
            "files": contents,
        }
        _written(to / CONTENTS, json.dumps(contents_file, ensure_ascii=False, indent=1).encode())
        return moment


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Creates a new or empty folder that nobody else can read, to be filled in the context; it is emptied
    again if that fails."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadBackup(f"{folder} is not a new or empty folder")
    before = os.umask(0o077)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        yield
        _synced(folder)
    except BaseException:
        for each in folder.iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        raise
    finally:
        os.umask(before)


def walked(root: Path, left_out: Collection[Path] = ()) -> Iterator[str]:
    """The names of all files below a folder. A link counts as its target, and no folder is visited twice."""
    visited: set[Path] = set()
    for folder, below, files in os.walk(root, followlinks=True):
        here = Path(folder).resolve()
        if here in visited or here in left_out:
            below.clear()
            continue
        visited.add(here)
        below.sort()
        for name in sorted(files):
            path = Path(folder, name)
            if path.is_file() and path.resolve() not in left_out:
                yield path.relative_to(root).as_posix()


def copied(source: Path, to: Path) -> str:
    """Copies a file and returns its SHA-256 (hex); the copy is synced when this returns."""
    to.parent.mkdir(parents=True, exist_ok=True)
    sha256 = hashlib.sha256()
    with source.open("rb") as read, to.open("xb") as written:
        while chunk := read.read(_CHUNK):
            sha256.update(chunk)
            written.write(chunk)
        written.flush()
        os.fsync(written.fileno())
    return sha256.hexdigest()


def is_package(name: str) -> bool:
    """Whether the name of a file below a home is the digest of its content."""
    return name.startswith("blobs/")


def stands_at(home: Path, source: str, outside: list[str]) -> Moment:
    """The moment of a backup's database; `of` is the home that was backed up."""
    # Reading must not change anything, not even the header.
    address = f"file:{quote(str(home / 'gateway.db'))}?mode=ro&immutable=1"
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(address, uri=True))
    with engine.connect() as reader:
        sequence = end_of_log(reader)
        at = reader.execute(select(events.c.at).where(events.c.sequence == sequence)).scalar()
        missing = [
            sha256
            for sha256 in referred_packages(reader)
            if not (home / "blobs" / sha256[:2] / sha256).is_file()
        ]
        if holds_packages(reader):
            missing = [sha256 for sha256 in missing if package_body(reader, sha256) is None]
    engine.dispose()
    return Moment(home=source, sequence=sequence, at=at, outside=tuple(outside), missing=tuple(missing))


def _exchanged(home: Home) -> Iterator[Path]:
    """Folders used for exchange with others: their contents are temporary and are not backed up."""
    settings = home.settings()
    for each in (*settings.backend.values(), *settings.partner.values()):
        if each.kind == "directory":
            yield home.path / each.folder


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_DATABASE)) == _DATABASE


def _copied_database(source: Path, to: Path) -> str:
    """Copies a database as it is at one moment, even while it is written to, and returns its digest."""
    to.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(source)) as read, closing(sqlite3.connect(to)) as written:
        read.execute("PRAGMA busy_timeout=30000")
        read.backup(written)
        # One file with everything: no other files may appear next to it when it is copied again.
        written.execute("PRAGMA journal_mode=DELETE")
    with to.open("rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


def _written(path: Path, body: bytes) -> None:
    with path.open("xb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())


def _synced(root: Path) -> None:
    for folder, _below, _files in os.walk(root):
        sync_folder(Path(folder))
