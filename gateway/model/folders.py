"""The folders of an account, and the folder of a message."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from gateway.model.states import State


class Folder(StrEnum):
    """The folders of an account that the store fills; names of the Single Window import client."""

    OUTBOX = "OutBox"
    INBOX = "InBox"
    SENTBOX = "SentBox"
    FAILBOX = "FailBox"


_FOLDER_OF: Final[Mapping[State, Folder]] = {
    State.RECEIVED: Folder.OUTBOX,
    State.ACCEPTED: Folder.SENTBOX,
    State.DELIVERED: Folder.SENTBOX,
    State.CLOSED: Folder.SENTBOX,
    State.REJECTED: Folder.FAILBOX,
}


def folder_of(state: State, present: Folder | None) -> Folder | None:
    """The folder of a message in `state`: a message that waits or is held stays where its sender last saw
    it."""
    return _FOLDER_OF.get(state, present)
