"""A message that an operator rejects: with it comes free whatever it had taken, in the same commit."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, select, update

from adapters.store.database import Transaction
from adapters.store.rows import facts_of, received_of
from adapters.store.tables.messages import agreements, messages
from adapters.store.write.hold import NOTHING
from adapters.store.write.operations import standing, withdraw
from adapters.store.write.receipts import named, put_receipts
from adapters.store.write.release_claims import give_back
from adapters.store.write.search_index import note_faults
from gateway.model.agreements import AgreementKind, Used
from gateway.model.ports import Folder, Superseded
from gateway.model.states import State, advance
from gateway.operate.dismissal import Dismissal, Stopped
from gateway.operate.message_actions import Act, event_of

_USED: Final = select(agreements.c.number, agreements.c.kind).where(
    agreements.c.number == bindparam("number"), agreements.c.used_by == bindparam("by")
)
_CHANGE: Final = update(messages).where(messages.c.seq == bindparam("wanted"))


def stopped(reader: Connection, message: str) -> Stopped:
    """What the final receipt is written by. Raises `Impossible`, and `KeyError` where there is no such
    message."""
    row, present = standing(reader, message)
    event_of(Act.REJECT, present)
    used = reader.execute(_USED, {"number": row.agreement, "by": message}).first()
    return Stopped(
        received=received_of(row),
        facts=facts_of(row),
        linked=row.linked,
        uses=None if used is None else Used(number=used.number, kind=AgreementKind(used.kind)),
        revision=row.revision,
    )


def reject(
    transaction: Transaction,
    dismissal: Dismissal,
    actor: str,
    reason: str,
    now: datetime,
    told: Mapping[str, str] = NOTHING,
) -> State:
    """The state after it; `told` stands in its event. Raises `Impossible`, and `Superseded` where the message
    has changed since it was read: then nothing is written."""
    message = dismissal.message
    row, present = standing(transaction.connection, message)
    event = event_of(Act.REJECT, present)
    if row.revision != dismissal.revision:
        raise Superseded(message)
    state = advance(present.state, event)
    given = put_receipts(transaction, message, dismissal.receipts, now)
    freed = give_back(transaction, message, reason, now, actor)
    # Nothing of it is on its way any more, and a replay may need their keys.
    withdrawn = withdraw(transaction, message)
    transaction.connection.execute(
        _CHANGE,
        {
            "wanted": row.seq,
            "state": state,
            "folder": Folder.FAILBOX,
            "moved_at": now,
            "revision": row.revision + 1,
            "findings": [asdict(found) for found in dismissal.findings],
            "reason": "",
            "waiting_for": None,
            "until": None,
        },
    )
    note_faults(transaction, row.seq, dismissal.findings, row.revision)
    faults = [found.code for found in dismissal.findings]
    transaction.log(
        message,
        now,
        event,
        actor,
        state,
        reason=reason,
        faults=faults,
        freed=freed,
        withdrawn=withdrawn,
        **named(dismissal.trail, given),
        **told,
    )
    return state
