"""Agreements in the store: told, used, freed, each in the commit of the message that does it."""

from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import bindparam, func, insert, select, update

from adapters.store.database import Transaction
from adapters.store.tables.messages import agreement_acts, agreements, messages
from adapters.store.write.waits import claimed_before, wake, wake_one_of
from gateway.model.agreements import Act, Agreement, AgreementKind, Change, Registered, after
from gateway.model.message import Arrival
from gateway.model.ports import Superseded

ACTOR: Final = "gateway"
AGREEMENT: Final = TypeAdapter(Agreement)

_KNOWN: Final = select(agreements.c.revision).where(agreements.c.number == bindparam("wanted"))
_USED_BY: Final = (
    select(agreements)
    .join(messages, messages.c.agreement == agreements.c.number)
    .where(messages.c.id == bindparam("message"), agreements.c.used_by == messages.c.id)
)
_CHANGE: Final = update(agreements).where(
    agreements.c.number == bindparam("wanted"), agreements.c.revision == bindparam("seen")
)
_INSERT: Final = insert(agreements)
_ACT: Final = insert(agreement_acts)


_BETWEEN: Final = select(func.coalesce(func.sum(agreements.c.revision), 0)).where(
    agreements.c.trader == bindparam("trader"),
    agreements.c.broker == bindparam("broker"),
    agreements.c.kind == AgreementKind.LONG_TERM,
)


def revision_of(transaction: Transaction, number: str) -> int:
    """How often the agreement has changed; 0 where it was never told of."""
    return transaction.connection.execute(_KNOWN, {"wanted": number}).scalar_one_or_none() or 0


def revisions_between(transaction: Transaction, trader: str, broker: str) -> int:
    """How often all mandates between the two have changed."""
    pair = {"trader": trader, "broker": broker}
    return int(transaction.connection.execute(_BETWEEN, pair).scalar_one())


def tell(transaction: Transaction, change: Change, notice: Arrival, actor: str, now: datetime) -> None:
    """Writes what a notice of the association makes of an agreement, and wakes what waits for it.

    Raises `Superseded` where the agreement has changed since the notice was judged.
    """
    number = change.after.number
    kept = {"message": notice.id, "name": notice.name, "sha256": notice.sha256, "size": notice.size}
    if change.seen:
        _change(transaction, change.after, change.seen, now, **kept)
    elif revision_of(transaction, number):
        raise Superseded(number)
    else:
        transaction.connection.execute(
            _INSERT, {"number": number, **_columns(change.after), **kept, "revision": 1, "changed_at": now}
        )
    _log(transaction, change.after, str(change.act), actor, notice.id, change.reason, now)
    _wake(transaction, change.after, now)


def use(transaction: Transaction, used: Registered, message: str, now: datetime) -> None:
    """Writes that a declaration was accepted under an agreement: one for a single shipment is used up by it.

    Raises `Superseded` where the agreement, or the mandate that it stands under, has changed since the
    declaration was judged: of two that need the same one, the second is judged again and finds it used.
    """
    agreement = used.agreement
    if agreement.used_by == message:
        return  # judged again after a replay
    if revision_of(transaction, agreement.number) != used.revision:
        raise Superseded(message)
    if agreement.mandate and revision_of(transaction, agreement.mandate) != used.under:
        raise Superseded(message)
    if agreement.kind is AgreementKind.PER_SHIPMENT:
        if claimed_before(transaction, f"agreement {agreement.number}", message):
            raise Superseded(message)  # who was received first has it, if it fits
        agreement = replace(agreement, state=after(agreement.state, Act.USED), used_by=message)
        _change(transaction, agreement, used.revision, now)
    _log(transaction, agreement, Act.USED, ACTOR, message, "", now)


def free(
    transaction: Transaction, message: str, reason: str, now: datetime, actor: str = ACTOR
) -> str | None:
    """Gives back the agreement that a declaration used up: its number, None where it used none."""
    row = transaction.connection.execute(_USED_BY, {"message": message}).first()
    if row is None:
        return None
    present = AGREEMENT.validate_python(row.record)
    freed = replace(present, state=after(present.state, Act.FREED), used_by=None)
    _change(transaction, freed, row.revision, now)
    _log(transaction, freed, Act.FREED, actor, message, reason, now)
    _wake(transaction, freed, now)
    return freed.number


def _wake(transaction: Transaction, agreement: Agreement, now: datetime) -> None:
    """What waits for this agreement by its number, for one of several, or for any mandate between its
    parties."""
    wake(transaction, f"agreement {agreement.number}", now)
    wake_one_of(transaction, "agreements", agreement.number, now)
    if agreement.kind is AgreementKind.LONG_TERM:
        wake(transaction, f"mandate {agreement.trader} {agreement.broker}", now)


def _change(transaction: Transaction, agreement: Agreement, seen: int, now: datetime, **kept: object) -> None:
    changed = transaction.connection.execute(
        _CHANGE,
        {
            "wanted": agreement.number,
            "seen": seen,
            **_columns(agreement),
            **kept,
            "revision": seen + 1,
            "changed_at": now,
        },
    )
    if changed.rowcount == 0:
        raise Superseded(agreement.number)


def _columns(agreement: Agreement) -> dict[str, Any]:
    return {
        "kind": agreement.kind,
        "trader": agreement.trader,
        "broker": agreement.broker,
        "state": agreement.state,
        "used_by": agreement.used_by,
        "record": AGREEMENT.dump_python(agreement, mode="json"),
    }


def _log(
    transaction: Transaction,
    agreement: Agreement,
    act: str,
    actor: str,
    message: str,
    reason: str,
    now: datetime,
) -> None:
    transaction.connection.execute(
        _ACT,
        {
            "number": agreement.number,
            "at": now,
            "act": act,
            "actor": actor,
            "state": agreement.state,
            "message": message,
            "reason": reason,
        },
    )
