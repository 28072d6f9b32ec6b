"""The renaming of a file shortly after it was taken."""

from datetime import datetime, timedelta
from typing import Final

from gateway.model.message import ATTACHMENT
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
