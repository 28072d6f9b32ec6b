"""The folder through which the gateway and a back-end exchange files, and how a file is put there.

`docs/for-operators.md`, "Customs in a process of its own", says which side does what. All of it is on one
file system, because files are handed over by renaming.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from adapters.home.folder_sync import sync_folder
from gateway.model.message import SUBMISSION_KEY
from gateway.model.unfinished_names import is_unfinished
from gateway.run.crash_points import crash_point

# No other part of a submission is used as a file name.
KEY: Final = SUBMISSION_KEY


@dataclass(frozen=True, slots=True)
class Exchange:
    """`out` holds submissions for the other side, `into` its answers for the gateway."""

    folder: Path

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def taken(self) -> Path:
        """Submissions that the other side took, as long as it keeps them."""
        return self.folder / "taken"

    @property
    def refused(self) -> Path:
        """Submissions that the other side refused, each with a file that gives the reason."""
        return self.folder / "refused"

    @property
    def into(self) -> Path:
        return self.folder / "in"

    @property
    def done(self) -> Path:
        """Answers that the gateway has made durable."""
        return self.into / "done"

    @property
    def sent(self) -> Path:
        """For the gateway alone: files to be handed over, and the keys of all that were handed over."""
        return self.folder / "sent"

    def make(self) -> None:
        for each in (self.out, self.into):
            each.mkdir(parents=True, exist_ok=True)

    def look(self) -> None:
        """Raises `OSError` if `out` or `in` does not exist, for example because a share is not mounted."""
        for each in (self.out, self.into):
            os.stat(each)


def finished(folder: Path) -> Iterator[os.DirEntry[str]]:
    """The plain files of a folder, in no order, without hidden ones and those still being written."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if not is_unfinished(entry.name) and entry.is_file(follow_symlinks=False):
                yield entry


@crash_point("put-a-file-of-an-exchange")
def put(target: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Writes a file that is visible whole or not at all, and durable when this returns; replaces a file with
    that name. An incomplete one stays under an unfinished name and is replaced by the next attempt."""
    unfinished = target.with_name(f"{target.name}.tmp")
    prepare(unfinished, write)
    move(unfinished, target)


def prepare(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Writes a file; its bytes are durable when this returns, but not its name."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o666), "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())


def reading(path: str) -> IO[bytes]:
    """Opens a file from the other side, if it is a plain file and not a link."""
    return open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")


@crash_point("move-a-file-of-an-exchange")
def move(source: Path, target: Path) -> None:
    """Durable when it returns. Replaces an existing file."""
    os.replace(source, target)
    sync_folder(target.parent)
    if source.parent != target.parent:
        sync_folder(source.parent)
