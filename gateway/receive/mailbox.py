"""An account's folders, as a view of the store; and the name of a file that was taken, for a while."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from gateway.model.folders import Folder
from gateway.model.message import ATTACHMENT
from gateway.model.ports import Entry
from gateway.model.states import Event, State
from gateway.model.transition import Columns, Note, Transition

# For so long a client may give the name that it meant to a file that was taken under another one.
RENAMED_WITHIN: Final = timedelta(minutes=10)


class NotRenamed(Exception):
    """The text is for the user of the client."""


def renamed(
    message: str, state: State, type_: str | None, account: str, name: str, to: str, now: datetime
) -> Transition | Note:
    """What another name changes of a message: a PDF that was sent on its own is judged again where it waits
    or was refused, since it is found by its name. Raises `NotRenamed` where it is part of a declaration."""
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
    """OutBox shows what is not yet judged, SentBox and FailBox what was accepted and refused, InBox the
    receipts. No account ever sees another's entries.
    """

    async def page(self, account: str, folder: Folder, after: str, limit: int) -> Sequence[Entry]:
        """The first `limit` entries behind the name `after`, by name, one for each (the newest): so that
        nobody holds a whole folder. Empty at its end."""
        ...

    async def entry(self, account: str, folder: Folder, name: str) -> Entry | None: ...

    async def whereabouts(self, account: str, messages: Sequence[str]) -> Mapping[str, Folder]:
        """The folders of these messages of the account, by their ids; without those that it has not."""
        ...

    async def body(self, account: str, receipt: int) -> bytes:
        """The bytes of a receipt; raises `KeyError` where the account has no such receipt."""
        ...

    async def collected(self, account: str, receipt: int, at: datetime, *, removed: bool) -> None:
        """Notes that a receipt was fetched; `removed` takes it out of the listing (the record stays)."""
        ...

    async def rename(self, account: str, name: str, to: str, now: datetime) -> Entry | None:
        """Gives another name to the newest file of this name that was taken over SFTP within
        `RENAMED_WITHIN`, wherever it is now: what is shown and written later bears it. None where there is no
        such file.

        A PDF that was sent on its own is judged again where it waits or was refused, since its name is what
        it is found by. Raises `NotRenamed` where OutBox has another file of the new name, or where such a PDF
        is part of a declaration already.
        """
        ...
