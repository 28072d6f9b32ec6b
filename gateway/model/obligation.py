"""The documents that a declaration owes (REFORM 3)."""

from collections.abc import Collection
from dataclasses import dataclass

from gateway.model.reform import Due


@dataclass(frozen=True, slots=True, kw_only=True)
class Obligation:
    """The documents that a declaration owes: which classes, when, and by which announcement."""

    due: Due
    documents: tuple[str, ...]
    sources: tuple[str, ...]
    sources_zh: tuple[str, ...] = ()

    def missing(self, brought: Collection[str]) -> tuple[str, ...]:
        """The demanded classes that are not in `brought`."""
        return tuple(code for code in self.documents if code not in brought)
