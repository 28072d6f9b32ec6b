"""Folders of this machine in which another party works as well."""

import errno
import os
import stat
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import IO, Final

from adapters.home.file_modes import shared
from adapters.transport.files.folders import FIRST, MOST, FolderEntry, anything, checked
from gateway.run.crash_points import crash_point

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_CHUNK: Final = 1024 * 1024
# Errors of file systems without hard links, and for a file of another user (proc_sys_fs(5),
# protected_hardlinks): there only a rename is possible.
_NO_LINK: Final = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)


class LocalFiles:
    """Implements `folders.Files`. Every step below the root is opened without following links, and all work
    is relative to the opened folder, so that the other party cannot lead it out of the folders."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def listing(self, folder: str, wanted: Callable[[FolderEntry], bool] = anything) -> list[FolderEntry]:
        matching: list[FolderEntry] = []
        with self._opened(folder) as opened, os.scandir(opened) as entries:
            for entry in islice(entries, FIRST):
                if len(matching) == MOST:
                    break
                try:
                    each = _entry(entry.name, entry.stat(follow_symlinks=False))
                except FileNotFoundError:
                    continue  # it was removed meanwhile
                if wanted(each):
                    matching.append(each)
        return matching

    def look(self, folder: str, name: str) -> FolderEntry | None:
        try:
            with self._opened(folder) as opened:
                return _entry(name, os.lstat(checked(name), dir_fd=opened))
        except FileNotFoundError:
            return None

    def read(self, folder: str, name: str) -> Generator[bytes, None, None]:
        # Non-blocking: opening a pipe in the file's place would wait for ever.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with self._opened(folder) as opened, open(os.open(checked(name), flags, dir_fd=opened), "rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    @crash_point("write-a-local-file")
    def write(self, folder: str, name: str, fill: Callable[[IO[bytes]], object]) -> None:
        # An existing file is replaced, never written to: it may be a link to another file of ours, or a pipe.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with self._opened(folder) as opened:
            with suppress(FileNotFoundError):
                os.unlink(checked(name), dir_fd=opened)
            with open(os.open(checked(name), flags, 0o666, dir_fd=opened), "wb") as file:
                os.fchmod(file.fileno(), shared(0o666))
                fill(file)
                file.flush()
                os.fsync(file.fileno())
            os.fsync(opened)

    @crash_point("move-a-local-file")
    def move(self, folder: str, name: str, to_folder: str, to_name: str) -> None:
        with self._opened(folder) as source, self._opened(to_folder) as target:
            os.replace(checked(name), checked(to_name), src_dir_fd=source, dst_dir_fd=target)
            os.fsync(target)
            os.fsync(source)

    def rename(self, folder: str, name: str, to_name: str) -> None:
        with self._opened(folder) as opened:
            # By a link: both names exist for a moment, but a rename would silently replace an existing file.
            try:
                os.link(
                    *(checked(name), checked(to_name)),
                    src_dir_fd=opened,
                    dst_dir_fd=opened,
                    follow_symlinks=False,
                )
            except OSError as error:
                if error.errno not in _NO_LINK:
                    raise
                os.rename(name, to_name, src_dir_fd=opened, dst_dir_fd=opened)
            else:
                os.unlink(name, dir_fd=opened)
            os.fsync(opened)

    def remove(self, folder: str, name: str) -> None:
        with self._opened(folder) as opened:
            os.unlink(checked(name), dir_fd=opened)

    def make(self, folder: str) -> None:
        above, _, name = folder.rpartition("/")
        with self._opened(above) as opened:
            try:
                os.mkdir(name, dir_fd=opened)
            except FileExistsError:
                return
            with self._opened(folder) as made:
                mode = (
                    stat.S_IMODE(os.fstat(made).st_mode) & ~0o777
                )  # a group's folder makes those of a group
                os.fchmod(made, mode | shared(0o777))
            os.fsync(opened)

    def close(self) -> None:
        """Does nothing: no file stays open between two uses."""

    @contextmanager
    def _opened(self, folder: str) -> Iterator[int]:
        descriptor = os.open(self._root, _FOLDER)
        try:
            for step in filter(None, folder.split("/")):
                below = os.open(step, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)


def _entry(name: str, state: os.stat_result) -> FolderEntry:
    mark = f"{state.st_ino}-{state.st_size}-{state.st_mtime_ns}"
    return FolderEntry(name, state.st_size, state.st_mtime_ns, mark, stat.S_ISREG(state.st_mode))
