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

_MESSAGE: Final = select(messages).where(messages.c.id == bindparam("of"))
_VERDICT: Final = (
    select(receipts.c.verdict)
    .where(
        receipts.c.message == bindparam("of"),
        receipts.c.kind == ReceiptKind.GATEWAY,
        ~receipts.c.superseded,
    )
    .order_by(receipts.c.id.desc())
    .limit(1)
)
_DECIDED: Final = (
    select(events.c.event, events.c.detail)
    .where(events.c.message == bindparam("of"), events.c.event.in_((Event.PASSED, Event.DISMISSED)))
    .order_by(events.c.sequence.desc())
    .limit(1)
)
_BACKENDS: Final = (
    select(deliveries.c.destination).where(deliveries.c.message == bindparam("of")).order_by(deliveries.c.id)
)
_ASKED_ABOUT: Final = (
    select(deliveries.c.destination, deliveries.c.key, deliveries.c.state)
    .where(
        deliveries.c.message == bindparam("of"),
        deliveries.c.state.not_in((DeliveryState.DELIVERED, DeliveryState.SENDING)),
    )
    .order_by(deliveries.c.id)
)
_LAST_RECEIPT: Final = select(func.coalesce(func.max(receipts.c.id), 0))
_GIVEN: Final = (
    select(receipts.c.account, receipts.c.kind, receipts.c.verdict, receipts.c.final)
    .where(receipts.c.message == bindparam("of"), receipts.c.id > bindparam("after"))
    .order_by(receipts.c.id)
)


def snapshot(reader: Connection, message: str) -> Snapshot:
    row = reader.execute(_MESSAGE, {"of": message}).one()
    decided = reader.execute(_DECIDED, {"of": message}).first()
    routed = decided is not None and decided.event == Event.PASSED
    return Snapshot(
        reference=row.reference,
        state=State(row.state),
        verdict=reader.execute(_VERDICT, {"of": message}).scalar() or None,
        faults=_errors((each["severity"], each["rule"] or each["code"]) for each in row.findings),
        route=json.loads(decided.detail).get("route") if decided is not None and routed else None,
        backends=list(reader.execute(_BACKENDS, {"of": message}).scalars()),
        waiting_for=row.waiting_for,
        until=row.until,
        reason=row.reason,
    )


def _errors(findings: Iterable[tuple[str, str]]) -> Sequence[str]:
    return sorted({name for severity, name in findings if severity == Severity.ERROR})


def asked_about(reader: Connection, message: str) -> Sequence[AskedAbout]:
    """Its deliveries about which the back-ends are asked when it is sent again."""
    return [AskedAbout(**row._asdict()) for row in reader.execute(_ASKED_ABOUT, {"of": message})]


def last_receipt(reader: Connection) -> int:
    """The number of the newest receipt; 0 if there is none."""
    return int(reader.execute(_LAST_RECEIPT).scalar_one())


def given_after(reader: Connection, message: str, receipt: int) -> Sequence[GivenReceipt]:
    """The receipts of a message that are newer than the one with this number."""
    rows = reader.execute(_GIVEN, {"of": message, "after": receipt})
    return [GivenReceipt(**{**row._asdict(), "verdict": row.verdict or None}) for row in rows]
