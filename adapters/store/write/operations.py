"""Operators' acts on messages, each one commit with its event. How one is rejected stands in `reject`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, select, update

from adapters.store.database import Transaction
from adapters.store.tables.messages import deliveries, messages
from adapters.store.write.hold import NOTHING, stop
from adapters.store.write.receipts import overtake
from gateway.model.ports import Folder
from gateway.model.states import DeliveryState, Event, State, advance
from gateway.operate.message_actions import Act, Impossible, Sent, Stage, Standing, event_of

_MESSAGE: Final = select(messages).where(messages.c.id == bindparam("wanted"))
_SENT: Final = select(deliveries.c.state, deliveries.c.unsure).where(deliveries.c.message == bindparam("of"))
_CHANGE: Final = update(messages).where(messages.c.seq == bindparam("wanted"))
# Refused or given up: what became of it at the back-end is asked before it is sent again.
_SEND_AGAIN: Final = update(deliveries).where(
    deliveries.c.message == bindparam("wanted"),
    deliveries.c.state.not_in((DeliveryState.DELIVERED, DeliveryState.SENDING)),
)


def standing(reader: Connection, message: str) -> tuple[Row[*tuple[Any, ...]], Standing]:
    """What a party sent, and how it stands. Raises `KeyError` where there is no such message, `Impossible`
    for an answer of customs."""
    row = reader.execute(_MESSAGE, {"wanted": message}).first()
    if row is None:
        raise KeyError(message)
    if row.kind != "inbound":
        raise Impossible("it is an answer; only what a party sent can be held, released, rejected, replayed")
    return row, standing_of(reader, row)


def standing_of(reader: Connection, row: Row[*tuple[Any, ...]]) -> Standing:
    sent = reader.execute(_SENT, {"of": row.id})
    return Standing(
        state=State(row.state),
        deliveries=tuple(Sent(DeliveryState(each.state), each.unsure) for each in sent),
    )


def hold(
    transaction: Transaction,
    message: str,
    actor: str,
    reason: str,
    now: datetime,
    told: Mapping[str, str] = NOTHING,
) -> State:
    """The state after it; `told` stands in its event. Raises `Impossible`, and `KeyError` where there is no
    such message."""
    row, present = standing(transaction.connection, message)
    event_of(Act.HOLD, present)
    return stop(transaction, row, actor, reason, now, told)


def release(
    transaction: Transaction,
    message: str,
    actor: str,
    reason: str,
    now: datetime,
    told: Mapping[str, str] = NOTHING,
) -> State:
    """The state after it. Raises `Impossible`, and `KeyError` where there is no such message."""
    return _go_on(Act.RELEASE, None, transaction, message, actor, reason, now, told)


def replay(
    transaction: Transaction,
    message: str,
    actor: str,
    reason: str,
    now: datetime,
    told: Mapping[str, str] = NOTHING,
    stage: Stage | None = None,
) -> State:
    """The state after it, from `stage` or where it fits (`stage_of`). One that was accepted and is judged
    again keeps key and agreement for its judgement; its deliveries are withdrawn.

    Raises `Impossible`, and `KeyError` where there is no such message.
    """
    return _go_on(Act.REPLAY, stage, transaction, message, actor, reason, now, told)


def _go_on(
    act: Act,
    stage: Stage | None,
    transaction: Transaction,
    message: str,
    actor: str,
    reason: str,
    now: datetime,
    told: Mapping[str, str],
) -> State:
    row, present = standing(transaction.connection, message)
    event = event_of(act, present, stage)
    state = advance(present.state, event)
    changed: dict[str, object] = {
        "wanted": row.seq,
        "state": state,
        "revision": row.revision + 1,
        "moved_at": now,
        "reason": "",
    }
    withdrawn = []
    if event is Event.REPLAYED:
        withdrawn = withdraw(transaction, message)
        changed |= {"attempts": 0, "lease_until": None, "not_before": None, "folder": Folder.OUTBOX}
    else:
        again = {
            "state": DeliveryState.UNKNOWN,
            "attempts": 0,
            "next_at": now,
            "since": now,
            "changed_at": now,
        }
        transaction.connection.execute(_SEND_AGAIN, {"wanted": message, **again})
    transaction.connection.execute(_CHANGE, changed)
    overtake(transaction, message)
    transaction.log(message, now, event, actor, state, reason=reason, withdrawn=withdrawn, **told)
    return state


def withdraw(transaction: Transaction, message: str) -> list[str]:
    """Takes back all deliveries of a message that customs does not have, and returns where they were to go:
    what is judged again may need their keys."""
    gone = delete(deliveries).where(deliveries.c.message == message).returning(deliveries.c.destination)
    return list(transaction.connection.execute(gone).scalars())
