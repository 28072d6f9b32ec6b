"""The status of back-ends: the circuit breaker of each, and operators' pauses."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from adapters.store.database import Database, Transaction
from adapters.store.tables.messages import ON_THE_WAY, WAITS, deliveries
from adapters.store.tables.operations import destinations
from adapters.store.tables.queues import to_send
from gateway.model.circuit_breaker import BreakerState, CircuitBreaker, Pause
from gateway.operate.ports import BackendDecision, BackendStatus

_LONGEST: Final = 26  # the room in the log's column for the id of a message


DestinationStatus = Mapping[str, BackendStatus]
Waiting = Mapping[str, tuple[int, datetime]]  # by state of delivery: how many, and the time of the oldest


class SqlDestinations:
    """gateway.deliver.ports.Destinations over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def statuses(self) -> DestinationStatus:
        return await self._database.read(destination_statuses)

    async def turned(self, name: str, breaker: CircuitBreaker) -> None:
        await self._database.write(lambda transaction: _put(transaction, name, _columns(breaker)))


class SqlBackendActs:
    """gateway.operate.ports.BackendStore over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def change(self, name: str, decide: BackendDecision, actor: str, reason: str, now: datetime) -> bool:
        return self._database.submit(lambda to: _change(to, name, decide, actor, reason, now)).result()


_DESTINATIONS: Final = select(destinations)
_CHANGE: Final = update(destinations).where(destinations.c.name == bindparam("backend"))
_NOT_YET: Final = update(to_send).where(
    to_send.c.destination == bindparam("backend"),
    to_send.c.lease_until.is_(None),
    to_send.c.due_at > bindparam("now"),
)
_WAITING: Final = (
    select(
        deliveries.c.destination,
        deliveries.c.state,
        func.count().label("number"),
        func.min(deliveries.c.created_at).label("oldest"),
    )
    .where(ON_THE_WAY, WAITS)
    .group_by(deliveries.c.destination, deliveries.c.state)
)


def destination_statuses(reader: Connection) -> DestinationStatus:
    return {row.name: (_breaker(row), _pause(row)) for row in reader.execute(_DESTINATIONS)}


def waiting(reader: Connection) -> Mapping[str, Waiting]:
    """The waiting deliveries, for each destination that has any."""
    by_destination: dict[str, dict[str, tuple[int, datetime]]] = {}
    for row in reader.execute(_WAITING):
        by_destination.setdefault(row.destination, {})[row.state] = (row.number, row.oldest)
    return by_destination


def _change(
    transaction: Transaction, name: str, decide: BackendDecision, actor: str, reason: str, now: datetime
) -> bool:
    change = decide(destination_statuses(transaction.connection).get(name))
    if change is None:
        return False
    if change.after is not None:
        breaker, pause = change.after
        _put(transaction, name, _columns(breaker) | _pause_columns(pause))
    if change.retry:
        transaction.connection.execute(_NOT_YET, {"backend": name, "now": now, "due_at": now})
    transaction.log(name[:_LONGEST], now, change.event, actor, change.state, backend=name, reason=reason)
    return True


def _put(transaction: Transaction, name: str, columns: dict[str, object]) -> None:
    changed = transaction.connection.execute(_CHANGE, {"backend": name, **columns})
    if changed.rowcount == 0:
        transaction.connection.execute(insert(destinations), {"name": name, **columns})


def _columns(breaker: CircuitBreaker) -> dict[str, object]:
    return {
        "breaker": breaker.state,
        "failures": breaker.failures,
        "since": breaker.since,
        "probe_at": breaker.probe_at,
        "note": breaker.note,
    }


def _pause_columns(pause: Pause | None) -> dict[str, object]:
    if pause is None:
        return {"paused_by": None, "paused_at": None, "pause_reason": None}
    return {"paused_by": pause.actor, "paused_at": pause.at, "pause_reason": pause.reason}


def _breaker(row: Row[*tuple[Any, ...]]) -> CircuitBreaker:
    return CircuitBreaker(
        state=BreakerState(row.breaker),
        failures=row.failures,
        since=row.since,
        probe_at=row.probe_at,
        note=row.note,
    )


def _pause(row: Row[*tuple[Any, ...]]) -> Pause | None:
    if row.paused_by is None:
        return None
    return Pause(actor=row.paused_by, at=row.paused_at, reason=row.pause_reason)
