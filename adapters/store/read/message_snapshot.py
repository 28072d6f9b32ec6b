"""A message as an operator sees it, for the two sides of a dry run."""

import json
from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, func, select

from adapters.store.tables.messages import deliveries, events, messages, receipts
from gateway.model.faults import Severity
from gateway.model.message import ReceiptKind
from gateway.model.states import DeliveryState, Event, State
from gateway.operate.dry_run import AskedAbout, GivenReceipt, Snapshot

_MESSAGE: Final = select(messages).where(messages.c.id == bindparam("message_id"))
_VERDICT: Final = (
    select(receipts.c.verdict)
    .where(
        receipts.c.message == bindparam("message_id"),
        receipts.c.kind == ReceiptKind.GATEWAY,
        ~receipts.c.superseded,
    )
    .order_by(receipts.c.id.desc())
    .limit(1)
)
_DECIDED: Final = (
    select(events.c.event, events.c.detail)
    .where(events.c.message == bindparam("message_id"), events.c.event.in_((Event.PASSED, Event.DISMISSED)))
    .order_by(events.c.sequence.desc())
    .limit(1)
)
_BACKENDS: Final = (
    select(deliveries.c.destination)
    .where(deliveries.c.message == bindparam("message_id"))
    .order_by(deliveries.c.id)
)
_ASKED_ABOUT: Final = (
    select(deliveries.c.destination, deliveries.c.key, deliveries.c.state)
    .where(
        deliveries.c.message == bindparam("message_id"),
        deliveries.c.state.not_in((DeliveryState.DELIVERED, DeliveryState.SENDING)),
    )
    .order_by(deliveries.c.id)
)
_LAST_RECEIPT: Final = select(func.coalesce(func.max(receipts.c.id), 0))
_NEW_RECEIPTS: Final = (
    select(receipts.c.account, receipts.c.kind, receipts.c.verdict, receipts.c.final)
    .where(receipts.c.message == bindparam("message_id"), receipts.c.id > bindparam("after_receipt"))
    .order_by(receipts.c.id)
)


def snapshot(reader: Connection, message: str) -> Snapshot:
    row = reader.execute(_MESSAGE, {"message_id": message}).one()
    decided = reader.execute(_DECIDED, {"message_id": message}).first()
    routed = decided is not None and decided.event == Event.PASSED
    return Snapshot(
        reference=row.reference,
        state=State(row.state),
        verdict=reader.execute(_VERDICT, {"message_id": message}).scalar() or None,
        faults=_errors((finding["severity"], finding["rule"] or finding["code"]) for finding in row.findings),
        route=json.loads(decided.detail).get("route") if decided is not None and routed else None,
        backends=list(reader.execute(_BACKENDS, {"message_id": message}).scalars()),
        waiting_for=row.waiting_for,
        until=row.until,
        reason=row.reason,
    )


def _errors(findings: Iterable[tuple[str, str]]) -> Sequence[str]:
    return sorted({name for severity, name in findings if severity == Severity.ERROR})


def asked_about(reader: Connection, message: str) -> Sequence[AskedAbout]:
    """Its deliveries about which the back-ends are asked when it is sent again."""
    return [AskedAbout(**row._asdict()) for row in reader.execute(_ASKED_ABOUT, {"message_id": message})]


def last_receipt(reader: Connection) -> int:
    """The number of the newest receipt; 0 if there is none."""
    return int(reader.execute(_LAST_RECEIPT).scalar_one())


def receipts_after(reader: Connection, message: str, receipt: int) -> Sequence[GivenReceipt]:
    """The receipts of a message that are newer than the one with this number."""
    rows = reader.execute(_NEW_RECEIPTS, {"message_id": message, "after_receipt": receipt})
    return [GivenReceipt(**{**row._asdict(), "verdict": row.verdict or None}) for row in rows]
