"""The ports of receiving: where channels hand over, and what an account sees of its files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.model.folders import Folder
from gateway.model.message import Arrival
from gateway.model.parties import Account


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to be added; as the arguments of `Intake.add`."""

    arrival: Arrival
    sender: Account | None = None
    body: bytes | None = None


class Intake(Protocol):
    """Where channels hand over."""

    async def add(
        self, arrival: Arrival, sender: Account | None = None, *, body: bytes | None = None
    ) -> None:
        """Durable when it returns (one commit, synced); only then may the channel acknowledge. `body` is that
        of a small package, which is written in the same commit; None where it is kept as a blob.

        Raises and writes nothing when it cannot guarantee that, and raises `MessageRejected` where the
        arrival exceeds what the `sender` may send on this day, even if several come at once.
        """
        ...


class GroupIntake(Intake, Protocol):
    """Where a channel hands over whose messages come together."""

    async def add_all(self, messages: Sequence[NewMessage]) -> Sequence[BaseException | None]:
        """Adds messages that came together, each as `add` does; for each what that would raise, or None."""
        ...


class AmqpDuplicates(Protocol):
    async def seen(self, account: str, message_id: str, sha256: str) -> bool:
        """Whether a message of the account with this AMQP message id and this package is stored already."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxEntry:
    """A file as an account sees it. Its bytes are the blob `sha256`, or else the receipt `receipt`."""

    folder: Folder
    name: str
    size: int
    at: datetime
    sha256: str | None = None
    receipt: int | None = None


class Mailbox(Protocol):
    """OutBox shows what is not yet judged, SentBox what was accepted, FailBox what was refused, InBox the
    receipts. No account ever sees another's entries.
    """

    async def page(self, account: str, folder: Folder, after: str, limit: int) -> Sequence[MailboxEntry]:
        """The first `limit` entries after the name `after`, ordered by name, the newest of each name; empty
        at the end of the folder. Paged, so that no whole folder is held in memory."""
        ...

    async def entry(self, account: str, folder: Folder, name: str) -> MailboxEntry | None: ...

    async def whereabouts(self, account: str, messages: Sequence[str]) -> Mapping[str, Folder]:
        """The folder of each of these messages, by message id; messages of other accounts are left out."""
        ...

    async def body(self, account: str, receipt: int) -> bytes:
        """The bytes of a receipt; raises `KeyError` where the account has no such receipt."""
        ...

    async def collected(self, account: str, receipt: int, at: datetime, *, removed: bool) -> None:
        """Notes that a receipt was fetched; `removed` takes it out of the listing (the record stays)."""
        ...

    async def rename(self, account: str, name: str, to: str, now: datetime) -> MailboxEntry | None:
        """Renames the newest file of this name that was taken over SFTP within `RENAMED_WITHIN`, whatever
        folder it is in now; listings and later receipts use the new name. None where there is no such file.

        A separate PDF that waits or was refused is judged again, since it is found by its name. Raises
        `NotRenamed` where OutBox has another file of the new name, or where such a PDF is part of a
        declaration already.
        """
        ...
