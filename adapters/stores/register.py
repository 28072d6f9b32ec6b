"""What judgement looks up: parties, and earlier messages. Read-only and synchronous, for worker processes."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any, Final, Self

from pydantic import TypeAdapter
from sqlalchemy import Connection, Engine, Row, Text, bindparam, cast, select

from adapters.stores.tables import holders, messages, parties
from gateway.message import Earlier, Key, Operation
from gateway.parties import Party
from gateway.states import CustomsStatus, State

_PARTY: Final = TypeAdapter(Party)

_RECORD: Final = cast(parties.c.record, Text)  # as text, so that it is parsed only where it has changed

_PARTY_OF: Final = select(_RECORD).where(parties.c.account == bindparam("wanted"))
_ALL_PARTIES: Final = select(_RECORD).order_by(parties.c.code)
# What the names of a party are told apart by: their length.
_PARTY_CALLED: Final = {
    length: select(_RECORD).where(column == bindparam("wanted"))
    for length, column in ((10, parties.c.code), (18, parties.c.scc), (9, parties.c.organisation))
}
_EARLIER: Final = (
    messages.c.id,
    messages.c.state,
    messages.c.reference,
    messages.c.content,
    messages.c.operation,
    messages.c.customs_status,
)
_BY_KEY: Final = (
    (messages.c.party == bindparam("party"))
    & (messages.c.family == bindparam("family"))
    & (messages.c.type == bindparam("type"))
)
# The holder of the key, or else the last that was rejected: one question for each message that is judged.
_HOLDER: Final = (
    select(*_EARLIER)
    .outerjoin(
        holders,
        (holders.c.message == messages.c.id)
        & (holders.c.party == messages.c.party)
        & (holders.c.family == messages.c.family)
        & (holders.c.type == messages.c.type)
        & (holders.c.reference == messages.c.reference),
    )
    .where(
        _BY_KEY,
        messages.c.reference == bindparam("reference"),
        holders.c.message.is_not(None) | (messages.c.state == State.REJECTED),
    )
    .order_by(holders.c.message.is_(None), messages.c.seq.desc())
    .limit(1)
)
_SAME_BODY: Final = (
    select(*_EARLIER)
    .where(
        _BY_KEY,
        messages.c.body_digest == bindparam("body"),
        messages.c.reference != bindparam("reference"),
        messages.c.state.in_([State.ACCEPTED, State.DELIVERED, State.CLOSED]),
        messages.c.customs_status != CustomsStatus.REFUSED,
    )
    .order_by(messages.c.seq.desc())
    .limit(1)
)


class SqlRegister:
    """ports.Register over an engine of its own. Any thread may ask."""

    def __init__(self, engine: Engine) -> None:
        self._connected: Callable[[], AbstractContextManager[Connection]] = engine.connect

    @classmethod
    def of_one_thread(cls, engine: Engine) -> Self:
        """One that keeps its connection, for a worker: to check one out for each question costs as much as
        the question."""
        register = cls(engine)
        connection = engine.connect()
        register._connected = lambda: nullcontext(connection)
        return register

    def party_of(self, account: str) -> Party | None:
        with self._connected() as connection:
            record = connection.execute(_PARTY_OF, {"wanted": account}).scalar_one_or_none()
        return None if record is None else _party(record)

    def party_called(self, code: str) -> Party | None:
        query = _PARTY_CALLED.get(len(code))
        if query is None:
            return None
        with self._connected() as connection:
            record = connection.execute(query, {"wanted": code}).scalar_one_or_none()
        return None if record is None else _party(record)

    def parties(self) -> list[Party]:
        with self._connected() as connection:
            return [_party(record) for record in connection.execute(_ALL_PARTIES).scalars()]

    def holder(self, key: Key) -> Earlier | None:
        where = {"party": key.party, "family": key.family, "type": key.type, "reference": key.reference}
        with self._connected() as connection:
            row = connection.execute(_HOLDER, where).first()
        return None if row is None else _earlier(row)

    def same_body(self, key: Key, body: str) -> Earlier | None:
        where = {"party": key.party, "family": key.family, "type": key.type, "reference": key.reference}
        with self._connected() as connection:
            row = connection.execute(_SAME_BODY, {**where, "body": body}).first()
        return None if row is None else _earlier(row)


@lru_cache(maxsize=1024)
def _party(record: str) -> Party:
    """The party that a record says; the same text is read once, since the register changes rarely."""
    return _PARTY.validate_json(record)


def _earlier(row: Row[*tuple[Any, ...]]) -> Earlier:
    return Earlier(
        id=row.id,
        state=State(row.state),
        reference=row.reference,
        content=row.content,
        operation=Operation(row.operation),
        refused_by_customs=row.customs_status == CustomsStatus.REFUSED,
    )
