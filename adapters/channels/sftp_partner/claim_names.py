"""Names in a party's OutBox: which files are taken, and the names of files that the gateway has claimed.

A claim is a rename within OutBox to `.NAME.ID.MARK.taken`: nobody else takes the file from then on, and after
a crash the name shows to which message it belongs. MARK distinguishes the claims of different gateways.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.model.message import made_at
from gateway.model.unfinished_names import is_unfinished

MARK: Final = re.compile(r"[0-9a-f]{8}")
_CLAIM: Final = re.compile(
    r"\.(?P<name>.+)\.(?P<message>[0-7][0-9A-HJKMNP-TV-Z]{25})\.(?P<mark>[0-9a-f]{8})\.taken"
)
_LONGEST: Final = 200  # bytes: with the additions of a claim, it is still a valid file name anywhere
_LAST: Final = "76EZ91ZPZZ"  # the last milliseconds that `datetime` knows, those of the year 9999


@dataclass(frozen=True, slots=True)
class FileClaim:
    """`name` is the party's name of the file, `message` the id of the message that it becomes."""

    name: str
    message: str
    mark: str

    @property
    def file(self) -> str:
        return f".{self.name}.{self.message}.{self.mark}.taken"

    @property
    def at(self) -> datetime:
        """The time of the claim, from the id (48 bits of milliseconds)."""
        return made_at(self.message)


def claim_of(file: str) -> FileClaim | None:
    """The claim in a file name, None if it is not one."""
    match = _CLAIM.fullmatch(file)
    if match is None or not is_sound(match["name"]) or match["message"] > _LAST:
        return None
    return FileClaim(match["name"], match["message"], match["mark"])


def is_sound(name: str) -> bool:
    """Whether a finished file with this name is taken: the name can be shown, stored, and renamed to a
    claim."""
    return name.isprintable() and not is_unfinished(name) and len(name.encode()) <= _LONGEST


def beside(name: str, message: str) -> str:
    """Another name for a file whose own name is already used in its folder."""
    stem, dot, ending = name.rpartition(".")
    return f"{stem}_{message}{dot}{ending}" if stem else f"{name}_{message}"
