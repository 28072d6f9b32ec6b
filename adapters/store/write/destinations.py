"""The status of back-ends: the circuit breaker of each, and operators' pauses."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from adapters.store.database import Database, Transaction
from adapters.store.tables.messages import TO_SEND, deliveries
from adapters.store.tables.operations import destinations
from gateway.deliver.circuit_breaker import BreakerState, CircuitBreaker
from gateway.deliver.ports import Pause

PAUSED: Final = "backend-paused"
RESUMED: Final = "backend-resumed"
TRIED: Final = "backend-tried"
_LONGEST: Final = 26  # the room in the log's column for the id of a message


DestinationStatus = Mapping[str, tuple[CircuitBreaker, Pause | None]]
Waiting = Mapping[str, tuple[int, datetime]]  # by state of delivery: how many, and the time of the oldest


class SqlDestinations:
    """gateway.deliver.ports.Destinations over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def known(self) -> DestinationStatus:
        return await self._database.read(known)

    async def turned(self, name: str, breaker: CircuitBreaker) -> None:
        await self._database.write(lambda transaction: _put(transaction, name, _columns(breaker)))


_KNOWN: Final = select(destinations)
_CHANGE: Final = update(destinations).where(destinations.c.name == bindparam("wanted"))
NOT_YET: Final = update(deliveries).where(
    TO_SEND, deliveries.c.destination == bindparam("to"), deliveries.c.next_at > bindparam("now")
)
_WAITING: Final = (
    select(
        deliveries.c.destination,
        deliveries.c.state,
        func.count().label("number"),
        func.min(deliveries.c.created_at).label("oldest"),
    )
    .where(TO_SEND)
    .group_by(deliveries.c.destination, deliveries.c.state)
)


def known(reader: Connection) -> DestinationStatus:
    return {row.name: (_breaker(row), _pause(row)) for row in reader.execute(_KNOWN)}


def waiting(reader: Connection) -> Mapping[str, Waiting]:
    """The waiting deliveries, for each destination that has any."""
    found: dict[str, dict[str, tuple[int, datetime]]] = {}
    for row in reader.execute(_WAITING):
        found.setdefault(row.destination, {})[row.state] = (row.number, row.oldest)
    return found


def pause(transaction: Transaction, name: str, actor: str, reason: str, now: datetime) -> bool:
    """Pauses a back-end: nothing is sent to it from then on; a running node notices within a second. Returns
    whether it was active before; otherwise who paused it first, and why, is kept."""
    present = known(transaction.connection).get(name)
    if present is not None and present[1] is not None:
        return False
    columns = {"paused_by": actor, "paused_at": now, "pause_reason": reason}
    _put(transaction, name, columns, CircuitBreaker.new(now))
    transaction.log(name[:_LONGEST], now, PAUSED, actor, BreakerState.OPEN, backend=name, reason=reason)
    return True


def resume(transaction: Transaction, name: str, actor: str, reason: str, now: datetime) -> bool:
    """Returns whether it was paused."""
    present = known(transaction.connection).get(name)
    if present is None or present[1] is None:
        return False
    _put(transaction, name, {"paused_by": None, "paused_at": None, "pause_reason": None})
    if not present[0].closed:
        _put(transaction, name, _columns(present[0].tried(now)))
    transaction.connection.execute(NOT_YET, {"to": name, "now": now, "next_at": now})
    transaction.log(name[:_LONGEST], now, RESUMED, actor, present[0].state, backend=name, reason=reason)
    return True


def try_now(transaction: Transaction, name: str, actor: str, reason: str, now: datetime) -> None:
    """Lets waiting deliveries be tried now, whatever they wait for: the breaker lets one through, and the
    others follow once that was taken. A running node notices within a second."""
    present = known(transaction.connection).get(name)
    if present is not None and not present[0].closed:
        _put(transaction, name, _columns(present[0].tried(now)))
    transaction.connection.execute(NOT_YET, {"to": name, "now": now, "next_at": now})
    state = BreakerState.CLOSED if present is None else present[0].state
    transaction.log(name[:_LONGEST], now, TRIED, actor, state, backend=name, reason=reason)


def _put(
    transaction: Transaction, name: str, columns: dict[str, object], otherwise: CircuitBreaker | None = None
) -> None:
    changed = transaction.connection.execute(_CHANGE, {"wanted": name, **columns})
    if changed.rowcount == 0:
        first = {} if otherwise is None else _columns(otherwise)
        transaction.connection.execute(insert(destinations), {"name": name, **first, **columns})


def _columns(breaker: CircuitBreaker) -> dict[str, object]:
    return {
        "breaker": breaker.state,
        "failures": breaker.failures,
        "since": breaker.since,
        "probe_at": breaker.probe_at,
        "note": breaker.note,
    }


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
