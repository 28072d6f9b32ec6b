"""An account's folders, as a view of the store, and the renaming of a file shortly after it was taken."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from gateway.model.folders import Folder
from gateway.model.message import ATTACHMENT
from gateway.model.ports import Entry
from gateway.model.states import Event, State
from gateway.model.transition import Columns, Note, Transition

# How long a client may still rename a file after it was taken.
RENAMED_WITHIN: Final = timedelta(minutes=10)


class NotRenamed(Exception):
    """The text is for the user of the client."""


def renamed(
    message: str, state: State, type_: str | None, account: str, name: str, to: str, now: datetime
) -> Transition | Note:
    """What a new name changes in a message: a separate PDF that waits or was refused is judged again, since
    it is found by its name. Raises `NotRenamed` where the PDF is part of a declaration."""
    detail = {"name": name, "to": to}
    if type_ == ATTACHMENT and state in (State.ACCEPTED, State.DELIVERED, State.CLOSED):
        raise NotRenamed("The document is part of a declaration already and keeps its name")
    if type_ != ATTACHMENT or state not in (State.WAITING, State.REJECTED):
        return Note(message=message, word=Event.RENAMED, actor=account, at=now, detail=detail)
    return Transition(
        message=message,
        event=Event.RENAMED,
        actor=account,
        at=now,
        detail={**detail, "anew": True},
        columns=Columns(name=to, waiting_for=None, until=None),
    )


class Mailbox(Protocol):
    """OutBox shows what is not yet judged, SentBox what was accepted, FailBox what was refused, InBox the
    receipts. No account ever sees another's entries.
    """

    async def page(self, account: str, folder: Folder, after: str, limit: int) -> Sequence[Entry]:
        """The first `limit` entries after the name `after`, ordered by name, the newest of each name; empty
        at the end of the folder. Paged, so that no whole folder is held in memory."""
        ...

    async def entry(self, account: str, folder: Folder, name: str) -> Entry | None: ...

    async def whereabouts(self, account: str, messages: Sequence[str]) -> Mapping[str, Folder]:
        """The folder of each of these messages, by message id; messages of other accounts are left out."""
        ...

    async def body(self, account: str, receipt: int) -> bytes:
        """The bytes of a receipt; raises `KeyError` where the account has no such receipt."""
        ...

    async def collected(self, account: str, receipt: int, at: datetime, *, removed: bool) -> None:
        """Notes that a receipt was fetched; `removed` takes it out of the listing (the record stays)."""
        ...

    async def rename(self, account: str, name: str, to: str, now: datetime) -> Entry | None:
        """Renames the newest file of this name that was taken over SFTP within `RENAMED_WITHIN`, whatever
        folder it is in now; listings and later receipts use the new name. None where there is no such file.

        A separate PDF that waits or was refused is judged again, since it is found by its name. Raises
        `NotRenamed` where OutBox has another file of the new name, or where such a PDF is part of a
        declaration already.
        """
        ...
