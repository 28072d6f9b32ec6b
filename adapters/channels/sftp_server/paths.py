"""Paths of the virtual tree. They are parsed only here and never become a path of the host."""

from typing import Final

from adapters.channels.sftp_server.wire import LONGEST_NAME, RequestRefused, no_such_file
from adapters.transport.sftp.codec import Status
from gateway.model.folders import Folder

_FOLDERS: Final = {folder.value: folder for folder in Folder}


def steps(path: str) -> list[str]:
    """The names from the root down, with `.` and `..` resolved; a relative path begins at the root."""
    names: list[str] = []
    for name in path.split("/"):
        if name == "..":
            del names[-1:]
        elif name not in ("", "."):
            names.append(_sound(name))
    return names


def folder(path: str) -> Folder | None:
    """The folder that the path names, None for the root; raises "no such file" for anything else."""
    names = steps(path)
    if not names:
        return None
    if len(names) == 1 and names[0] in _FOLDERS:
        return _FOLDERS[names[0]]
    raise no_such_file()


def names_folder(path: str) -> bool:
    names = steps(path)
    return not names or (len(names) == 1 and names[0] in _FOLDERS)


def file(path: str) -> tuple[Folder, str]:
    """Folder and name of a file, whether it exists or not; refuses names that cannot be a file of the
    tree."""
    names = steps(path)
    if len(names) == 2 and names[0] in _FOLDERS:
        return _FOLDERS[names[0]], names[1]
    if len(names) < 2:
        raise RequestRefused(
            Status.PERMISSION_DENIED, "Files stand in the folders OutBox, InBox, SentBox, FailBox"
        )
    raise no_such_file()


def _sound(name: str) -> str:
    if len(name.encode()) > LONGEST_NAME:
        raise RequestRefused(Status.FAILURE, f"A file name has {LONGEST_NAME} bytes at most")
    if not name.isprintable():
        raise RequestRefused(Status.FAILURE, "A file name must not hold control characters")
    return name
