"""Agency mandates and agreements as operators see them. Read-only, works beside a running node."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select

from adapters.store.tables.messages import agreement_acts, agreements, messages, parties
from gateway.model.agreements import AgreementState

_OPEN: Final = (AgreementState.PROPOSED, AgreementState.IN_FORCE)
_TERMS: Final = (
    *("valid_from", "valid_until", "direction", "goods", "offices", "value", "currency"),
    *("services", "mandate"),
)


def list_agreements(reader: Connection, filters: Mapping[str, str], limit: int) -> list[dict[str, Any]]:
    """The newest `limit` agreements (0: all), in the order in which they were first recorded. `filters`
    are by columns: state, kind, trader, broker."""
    first = select(func.min(agreement_acts.c.id)).where(agreement_acts.c.number == agreements.c.number)
    query = select(agreements).filter_by(**filters).order_by(first.scalar_subquery().desc())
    rows = reader.execute(query.limit(limit) if limit else query).all()
    return [_listed(row) for row in reversed(rows)]


def one_side_unknown(reader: Connection, limit: int) -> list[tuple[str, str]]:
    """Agreements that are proposed or in force and have an unregistered side: the number of each, and the
    code of that side."""
    unknown: list[tuple[str, str]] = []
    for side in (agreements.c.trader, agreements.c.broker):
        registered = select(parties.c.code).where(parties.c.code == side).exists()
        query = select(agreements.c.number, side).where(agreements.c.state.in_(_OPEN), ~registered)
        unknown += [(number, code) for number, code in reader.execute(query.limit(limit - len(unknown)))]
    return unknown


def show_agreement(reader: Connection, number: str) -> dict[str, Any] | None:
    """The terms, the association's last notice, and the messages that were accepted under it, oldest first;
    None if no such agreement is known."""
    row = reader.execute(select(agreements).where(agreements.c.number == number)).first()
    if row is None:
        return None
    under = select(messages).where(messages.c.agreement == number).order_by(messages.c.seq)
    columns = ("id", "reference", "state", "customs_status", "received_at")
    return {
        **_listed(row),
        "notice": {
            "message": row.message or None,
            **{name: getattr(row, name) for name in ("name", "sha256", "size")},
        },
        "messages": [
            {name: _plain(getattr(message, name)) for name in columns} for message in reader.execute(under)
        ],
    }


def trace_agreement(reader: Connection, number: str) -> list[dict[str, Any]]:
    """Every act on the agreement, oldest first: who did it by which message, and the state after it."""
    query = select(agreement_acts).where(agreement_acts.c.number == number).order_by(agreement_acts.c.id)
    columns = ("act", "actor", "state", "message", "reason")
    return [
        {"at": row.at.isoformat(), **{name: getattr(row, name) or None for name in columns}}
        for row in reader.execute(query)
    ]


def _listed(row: Row[*tuple[Any, ...]]) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in ("number", "kind", "trader", "broker", "state")},
        **{name: row.record.get(name) for name in _TERMS},
        "used_by": row.used_by,
        "revision": row.revision,
        "changed_at": row.changed_at.isoformat(),
    }


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
