"""The row of a message in one commit: as it was read, and what changes in it. `apply` alone uses it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

from sqlalchemy import Row, bindparam, select, update

from adapters.store.database import Transaction
from adapters.store.rows import ARRIVAL
from adapters.store.tables.messages import messages
from adapters.store.write.search_index import fact_columns
from gateway.model.folders import Folder, folder_of
from gateway.model.states import State
from gateway.model.transition import Columns, NotAsRead, Transition
from gateway.model.waits import Awaited

_MESSAGE: Final = select(
    *ARRIVAL,
    *(messages.c.seq, messages.c.state, messages.c.revision, messages.c.folder),
    *(messages.c.waiting_for, messages.c.link_sequence),
).where(messages.c.id == bindparam("message_id"))
_CHANGE: Final = update(messages).where(
    messages.c.seq == bindparam("message_seq"), messages.c.revision == bindparam("seen")
)


@dataclass(slots=True)
class MessageRow:
    """`state`, `revision` and `folder` are those after the last change; what has changed is in `_columns`
    until it is written. `row` stays as it was read."""

    row: Row[*tuple[Any, ...]]
    state: State
    revision: int
    folder: Folder | None
    _columns: dict[str, object] = field(default_factory=dict)
    _written: int = 0  # the revision that the row in the store has

    @classmethod
    def of(cls, row: Row[*tuple[Any, ...]]) -> Self:
        folder = None if row.folder is None else Folder(row.folder)
        return cls(row, State(row.state), row.revision, folder, _written=row.revision)

    @classmethod
    def read(cls, transaction: Transaction, message: str) -> Self:
        return cls.of(transaction.connection.execute(_MESSAGE, {"message_id": message}).one())

    def change(self, state: State, change: Transition, also: Mapping[str, object]) -> None:
        """Takes over the columns of a transition to `state`, and these."""
        self.state, self.revision, self.folder = state, self.revision + 1, folder_of(state, self.folder)
        self._columns |= {
            "state": state,
            "folder": self.folder,
            "moved_at": change.at,
            "revision": self.revision,
            **also,
            **_follows(state),
            **_stored(change.columns),
        }
        if change.facts is not None:
            self._columns |= fact_columns(change.facts)
        if change.findings is not None:
            self._columns["findings"] = [asdict(finding) for finding in change.findings]

    def write(self, transaction: Transaction) -> None:
        """Raises `NotAsRead` where the row has another revision than it was read with."""
        if not self._columns:
            return
        seen = {"message_seq": self.row.seq, "seen": self._written}
        if transaction.connection.execute(_CHANGE, {**seen, **self._columns}).rowcount == 0:
            raise NotAsRead(self.row.id)
        self._columns, self._written = {}, self.revision

    def turn(self, columns: Columns) -> str | None:
        """What the message was woken by, if only one message can have that."""
        before = self.row.waiting_for and Awaited.read(self.row.waiting_for)
        awaited = columns.get("waiting_for", before)
        return str(awaited) if awaited and awaited.is_for_one else None


def _follows(state: State) -> dict[str, object]:
    """The columns for wait and answer that follow from the new state. A message that is judged again
    keeps its place in line for what it waited for until it is decided."""
    match state:
        case State.RECEIVED | State.WAITING:
            return {}
        case State.CLOSED:
            return {"waiting_for": None, "until": None, "answer_due": None}
        case _:
            return {"waiting_for": None, "until": None}


def _stored(columns: Columns) -> dict[str, object]:
    changed: dict[str, object] = dict(columns)
    if "waiting_for" in columns:
        awaited = columns["waiting_for"]
        changed["waiting_for"] = None if awaited is None else str(awaited)
        changed["spelt"] = None if awaited is None else awaited.spelling
    if "hint" in columns:
        changed["hint"] = asdict(columns["hint"])
    return changed
