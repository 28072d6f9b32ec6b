"""Lists of messages by what operators look for. Read-only, beside a running node, quick among a million."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Text, TextClause, cast, func, or_, select, union

from adapters.stores.tables import LISTED, messages
from gateway.message import new_id
from gateway.states import State

# The columns of CONTRACT.md, "Command line", in its order.
COLUMNS: Final = (
    "id",
    "reference",
    "party",
    "account",
    "family",
    "type",
    "state",
    "customs_status",
    "faults",
    "received_at",
    "size",
    "attempts",
    "waiting_for",
    "until",
)
_NUMBERS: Final = (messages.c.reference, messages.c.seq_no, messages.c.entry_id)
# What was accepted has warnings at most.
_FAULTY: Final = (State.REJECTED, State.WAITING, State.HELD, State.RECEIVED)
# Ids tell the time, and rows are written a little later than their ids are made.
_SLACK: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which messages: those that meet all of it. None asks for nothing.

    `party` is a customs code; `fault` a fault's code or a rule's number, found in a message that is not
    accepted; `text` how a reference, file name, SeqNo or entry number begins; `since` and `before` bound the
    time of receipt; `after` is the id from which on it goes on, the first ones first; `everything` takes the
    answers of customs too.
    """

    state: State | None = None
    party: str | None = None
    account: str | None = None
    family: str | None = None
    type: str | None = None
    fault: str | None = None
    text: str | None = None
    since: datetime | None = None
    before: datetime | None = None
    after: str | None = None
    everything: bool = False


def list_messages(reader: Connection, wanted: Wanted, limit: int) -> list[dict[str, Any]]:
    """The newest `limit` of them (0: all), or the first after `after`; oldest first either way."""
    chosen = select(messages.c.seq).where(*_conditions(reader, wanted))
    order = messages.c.seq.desc() if wanted.after is None else messages.c.seq
    chosen = chosen.order_by(order).limit(limit) if limit else chosen
    query = select(messages).where(messages.c.seq.in_(chosen)).order_by(messages.c.seq)
    return [listed(row) for row in reader.execute(query)]


def listed(row: Row[*tuple[Any, ...]]) -> dict[str, Any]:
    values = dict(row._mapping)
    values["faults"] = sorted({found["code"] for found in row.findings if found["severity"] == "error"})
    return {name: plain(values[name]) for name in COLUMNS}


def plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _conditions(reader: Connection, wanted: Wanted) -> Iterator[ColumnElement[bool] | TextClause]:
    # Left to itself SQLite takes any index that begins with one of the columns, and sorts what may be most of
    # the table. In an expression they have none: what is left is the walk along `messages_listed`. A state
    # alone has an index of its own, in order too.
    columns = (wanted.party, wanted.account, wanted.family, wanted.type)
    indexed = wanted.everything or wanted.text or wanted.fault or not any(columns)
    if not wanted.everything:
        yield LISTED
    for column, value in (
        (messages.c.state, wanted.state),
        (messages.c.party, wanted.party),
        (messages.c.account, wanted.account),
        (messages.c.family, wanted.family),
        (messages.c.type, wanted.type),
    ):
        if value is not None:
            yield (column if indexed else func.coalesce(column, "")) == value
    if wanted.fault is not None:
        yield messages.c.state.in_(_FAULTY)
        yield _found(wanted.fault)
    if wanted.text is not None:
        yield messages.c.seq.in_(_beginning(wanted.text))
    if wanted.since is not None:
        yield messages.c.received_at >= wanted.since
        yield messages.c.seq > _last_before(reader, _id_at(wanted.since - _SLACK))
    if wanted.before is not None:
        yield messages.c.received_at < wanted.before
        yield messages.c.seq <= _last_before(reader, _id_at(wanted.before + _SLACK))
    if wanted.after is not None:
        yield messages.c.seq > _last_before(reader, wanted.after)


def _found(fault: str) -> ColumnElement[bool]:
    # As text: nothing else can stand in it so, since quotes within a value are escaped.
    findings = cast(messages.c.findings, Text)
    said = json.dumps(fault)
    return or_(*(findings.contains(f'"{key}": {said}', autoescape=True) for key in ("code", "rule")))


def _beginning(text: str) -> Any:
    by_number = [select(messages.c.seq).where(*_from(column, text)) for column in _NUMBERS]
    by_name = select(messages.c.seq).where(LISTED, *_from(messages.c.name, text))
    return union(*by_number, by_name)


def _from(column: ColumnElement[Any], text: str) -> Sequence[ColumnElement[bool]]:
    return column >= text, column < text + "\U0010ffff"


def _id_at(at: datetime) -> str:
    return new_id(max(at, datetime(1970, 1, 1, tzinfo=UTC)), bytes(10))


def _last_before(reader: Connection, id_: str) -> int:
    """The place of the last message whose id is not after this one, 0 where there is none."""
    query = select(messages.c.seq).where(messages.c.id <= id_).order_by(messages.c.id.desc()).limit(1)
    return reader.execute(query).scalar_one_or_none() or 0
