"""The port of those who read dossiers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from gateway.model.dossier import Dossier, DossierReading, Recorded


class DossierStore(Protocol):
    """The electronic dossiers (docs/reform.md, R12), read-only; every access is logged first."""

    async def admits(self, account: str) -> bool:
        """Whether the account reads dossiers: that of a party whose role is customs."""
        ...

    async def entries(self, limit: int) -> Sequence[tuple[str, datetime]]:
        """The numbers of the newest entries that have one, newest first, each with the time of its last
        change."""
        ...

    async def dossier(self, entry: str) -> Dossier | None: ...

    async def body(self, recorded: Recorded) -> bytes:
        """Raises `KeyError` where there is no such row."""
        ...

    async def note(self, reading: DossierReading) -> None:
        """Durable when it returns; nothing is shown before that."""
        ...
