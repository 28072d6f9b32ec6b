"""Names that clients write under until a file is whole: one list for every door (CONTRACT.md, "When the
gateway has acknowledged"). What they do it with: lftp and rsync (a dot in front), rclone (`.partial` behind a
random part), WinSCP (`.filepart`), NiFi (a dot), Spring Integration (`.writing`), editors (`~`, `.swp`)."""

from collections.abc import Collection
from datetime import timedelta
from typing import Final

SUFFIXES: Final = (
    *(".tmp", ".temp", ".part", ".partial", ".filepart", ".writing"),
    *(".uploading", ".upload", ".inprogress", ".crdownload", ".swp", ".lock"),
)
_IN_FRONT: Final = (".", "~")
_BEHIND: Final = "~"

# One that nobody has touched for so long is told: its sender may believe that it was sent.
LEFT_AFTER: Final = timedelta(hours=1)


def is_unfinished(name: str, also: Collection[str] = ()) -> bool:
    """`also` are further suffixes, in small letters: those of one account."""
    lower = name.lower()
    return lower.startswith(_IN_FRONT) or lower.endswith((*SUFFIXES, *also, _BEHIND))


def whole_name(name: str, also: Collection[str] = ()) -> str:
    """The name with that taken away, once, which makes it an unfinished one."""
    lower = name.lower()
    for suffix in (*SUFFIXES, *also, _BEHIND):
        if lower.endswith(suffix):
            return name[: -len(suffix)]
    return name[1:] if lower.startswith(_IN_FRONT) else name
