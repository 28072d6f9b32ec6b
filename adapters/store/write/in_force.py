"""The files by which a node runs, recorded in the log at its start and at each reload."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select

from adapters.store.database import Transaction
from adapters.store.tables.messages import events

NODE: Final = "node"  # its events are logged under this name


class NodeEvent(StrEnum):
    STARTED = "started"
    ASKED = "reload-asked"  # by an operator's command
    RELOADED = "reloaded"
    KEPT = "reload-refused"  # the previous configuration stays in force
    RESTORED = "restored"  # its home was restored from a backup
    GIVEN_BACK = "put-aside-given-back"  # an operator returned a message put aside at the AMQP broker
    DROPPED = "put-aside-dropped"


class NodeState(StrEnum):
    SERVING = "serving"


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """`digests` are those of the files in force since then, by file name."""

    sequence: int
    event: NodeEvent
    at: datetime
    digests: Mapping[str, str]
    detail: Mapping[str, Any]


_RESTORED: Final = (
    select(events.c.sequence)
    .where(
        events.c.message == NODE,
        events.c.sequence > bindparam("after"),
        events.c.event == NodeEvent.RESTORED,
    )
    .limit(1)
)


def note(transaction: Transaction, event: NodeEvent, actor: str, now: datetime, **detail: object) -> None:
    transaction.log(NODE, now, event, actor, NodeState.SERVING, **detail)


def restored_since(reader: Connection, sequence: int) -> bool:
    """Whether the home was restored from a backup after that event of the log."""
    return reader.execute(_RESTORED, {"after": sequence}).first() is not None


def noted(reader: Connection, after: int = 0) -> Noted | None:
    """A node's last record of its files after the sequence `after`; None if there is none."""
    own = (NodeEvent.STARTED, NodeEvent.RELOADED, NodeEvent.KEPT)
    query = select(events).where(events.c.message == NODE, events.c.event.in_(own), events.c.sequence > after)
    row = reader.execute(query.order_by(events.c.sequence.desc()).limit(1)).first()
    if row is None:
        return None
    detail = json.loads(row.detail)
    return Noted(
        sequence=row.sequence,
        event=NodeEvent(row.event),
        at=row.at,
        digests=detail.get("digests", {}),
        detail=detail,
    )
