"""Names that clients write under until a file is whole: one list for all channels (docs/for-brokers.md, "When
the gateway has taken a package"). Their ways: lftp and rsync (a dot in front), rclone (`.partial` behind a
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

# After this time without a change the sender is notified: it may believe that the file was sent.
LEFT_AFTER: Final = timedelta(hours=1)


def is_unfinished(name: str, also: Collection[str] = ()) -> bool:
    """`also` are further suffixes, in small letters: those of one account."""
    lower = name.lower()
    return lower.startswith(_IN_FRONT) or lower.endswith((*SUFFIXES, *also, _BEHIND))


def whole_name(name: str, also: Collection[str] = ()) -> str:
    """The name without the mark of an unfinished file, which is removed once."""
    lower = name.lower()
    for suffix in (*SUFFIXES, *also, _BEHIND):
        if lower.endswith(suffix):
            return name[: -len(suffix)]
    return name[1:] if lower.startswith(_IN_FRONT) else name
