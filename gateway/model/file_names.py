"""Which file of a package a listed name (EdocID) means.

Some clients list a file without its suffix, some write its name in another case, and a Mac spells an accent
as a character of its own. An exact match takes precedence over names that are spelt alike.
"""

import unicodedata
from collections.abc import Iterable
from typing import Final

SUFFIX: Final = ".pdf"


def spelling(name: str) -> str:
    """A key that is the same for names that differ only in case or normal form (Unicode 3.13, canonical
    caseless match)."""
    folded = unicodedata.normalize("NFD", name).casefold()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", folded))


def listed_as(name: str) -> tuple[str, ...]:
    """The names under which a document may list this file: with its suffix and without."""
    plain = name[: -len(SUFFIX)]
    return (name, plain) if spelling(name) == spelling(plain) + SUFFIX else (name,)


class FileNames:
    """The names of the existing files."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._spelt: dict[str, list[str]] = {}
        for name in sorted(self._names):
            self._spelt.setdefault(spelling(name), []).append(name)

    def named(self, listed: str) -> tuple[str, ...]:
        """The files that a listed name means: none, one, or several if the name is ambiguous."""
        for exactly in (listed, listed + SUFFIX):
            if exactly in self._names:
                return (exactly,)
        spelt = spelling(listed)
        return (*self._spelt.get(spelt, ()), *self._spelt.get(spelt + SUFFIX, ()))

    def exactly(self, listed: str) -> bool:
        """Whether a file has this name, with the suffix or without, letter for letter."""
        return listed in self._names or listed + SUFFIX in self._names
