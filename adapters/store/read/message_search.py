"""Lists of messages by operators' search criteria. Read-only, works beside a running node, fast with millions
of messages.

A list is merged from walks. A walk reads one index for one set of equal values, in the order of the list, and
stops after as many rows as are shown; further criteria are columns of the same index. If a filter allows
several values (all states, the offices of a district), there is one walk for each of them, and the newest
rows of all walks are taken.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    TextClause,
    func,
    or_,
    select,
    union,
)

from adapters.store.read.time_ranges import TimeRange, time_range
from adapters.store.tables.messages import ANSWER_DUE, ANSWERS, LISTED, SENT, messages
from adapters.store.tables.operations import former_names, message_faults
from adapters.store.tables.queues import to_judge
from gateway.model.states import State

# Scripts rely on these names and their order.
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
_IN_PROGRESS: Final = select(to_judge.c.attempts).where(to_judge.c.item == messages.c.seq).scalar_subquery()
ATTEMPTS: Final = func.coalesce(_IN_PROGRESS, messages.c.attempts).label("attempts")
_COLUMNS: Final = {"faults": messages.c.findings, "attempts": ATTEMPTS}
_SHOWN: Final = [_COLUMNS[name] if name in _COLUMNS else messages.c[name] for name in COLUMNS]
_TEXTS: Final = (messages.c.reference, messages.c.seq_no, messages.c.entry_id, messages.c.name)
_FILTERS: Final = ("party", "account", "office", "family", "type")
_AFTER_ALL: Final = "\U0010ffff"  # no text sorts after it
# If this many rows match a prefix, the search goes through the newest messages first.
_BROAD: Final = 10_000
_WINDOW: Final = 1_000
_AT_ONCE: Final = 500

_Condition = ColumnElement[bool] | TextClause
_Walk = Select[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFilter:
    """Selects the messages that match all fields; None means any.

    `party` is a customs code; `office` the code of a customs office of declaration, or its prefix; `fault`
    the code of a fault or number of a rule, found in a message that is not accepted; `text` the prefix of a
    reference, file name (also a former one), SeqNo or entry number; `since` and `before` bound the time of
    receipt; `after` continues after this id, oldest first; `everything` includes answers of customs;
    `overdue` selects those whose final answer of customs was due before that time.
    """

    state: State | None = None
    party: str | None = None
    account: str | None = None
    office: str | None = None
    family: str | None = None
    type: str | None = None
    fault: str | None = None
    text: str | None = None
    since: datetime | None = None
    before: datetime | None = None
    after: str | None = None
    everything: bool = False
    overdue: datetime | None = None


def list_messages(reader: Connection, filter_: MessageFilter, limit: int) -> list[dict[str, Any]]:
    """The newest `limit` messages (0: all), or the first ones after `after`; oldest first in both cases."""
    places = _Search(reader, filter_, limit).places()
    rows = []
    for start in range(0, len(places), _AT_ONCE):
        query = select(*_SHOWN).where(messages.c.seq.in_(places[start : start + _AT_ONCE]))
        rows += [listed(row) for row in reader.execute(query.order_by(messages.c.seq))]
    return rows


def count_messages(reader: Connection, filter_: MessageFilter) -> int:
    """The number of matching messages, from the same indexes."""
    return _Search(reader, filter_, 0).number()


def listed(row: Row[*tuple[Any, ...]]) -> dict[str, Any]:
    values = dict(row._mapping)
    values["faults"] = sorted({finding["code"] for finding in row.findings if finding["severity"] == "error"})
    return {name: plain(values[name]) for name in COLUMNS}


def plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


class _Search:
    def __init__(self, reader: Connection, filter_: MessageFilter, limit: int) -> None:
        self._reader = reader
        self._filter_ = filter_
        self._limit = limit
        self._newest = filter_.after is None
        self._stretch: TimeRange = time_range(reader, filter_.since, filter_.before, filter_.after)

    def places(self) -> list[int]:
        """The places of the matching messages in the table, in its order."""
        text = self._filter_.text
        if text is None:
            return self._best(self._walks(), self._limit)
        if self._limit and any(self._is_broad(column, text) for column in _TEXTS):
            window = self._best(self._walks(), _WINDOW)
            matching = self._among(window, text)
            if len(matching) == self._limit or len(window) < _WINDOW:
                return matching
        return self._best(self._walks_by_text(text), self._limit, in_order=False)

    def number(self) -> int:
        text = self._filter_.text
        # A place has one state and one value of each column, but several texts may match it.
        walks = self._walks() if text is None else [union(*self._walks_by_text(text))]
        counts = (select(func.count()).select_from(walk.subquery()) for walk in walks)
        return sum(self._reader.execute(count).scalar_one() for count in counts)

    def _best(self, walks: Iterable[_Walk], limit: int, *, in_order: bool = True) -> list[int]:
        """The newest (or first) places that the walks find, each place once."""
        best: set[int] = set()
        for walk in walks:
            if limit:
                place: ColumnElement[Any] = walk.selected_columns[0]
                # An expression has no index, so the index of the text is used.
                ordered = place if in_order else place + 0
                if len(best) == limit:
                    walk = walk.where(place > min(best) if self._newest else place < max(best))
                walk = walk.order_by(ordered.desc() if self._newest else ordered).limit(limit)
            best.update(self._reader.execute(walk).scalars())
            if limit and len(best) > limit:
                best = set(sorted(best, reverse=self._newest)[:limit])
        return sorted(best)

    def _walks(self) -> Iterator[_Walk]:
        filter_ = self._filter_
        if filter_.fault is not None and filter_.state in (None, State.REJECTED):
            yield self._by_fault(filter_.fault)
            return
        states = State if filter_.state is None else (filter_.state,)
        if filter_.overdue is not None:
            chosen = [*self._filters(messages.c, ()), *self._stretch.holds(messages.c.seq + 0)]
            if filter_.state is not None:
                chosen.append(func.coalesce(messages.c.state, "") == filter_.state)
            if filter_.fault is not None:
                chosen.append(_has(filter_.fault))
            yield select(messages.c.seq).where(*_overdue(filter_.overdue), *chosen)
            return
        names, sets = self._leading()
        others = [*self._filters(messages.c, names), *self._stretch.holds(messages.c.seq)]
        if filter_.fault is not None:
            others.append(_has(filter_.fault))
        kind = SENT if names else LISTED
        for values in sets:
            equal = [messages.c[name] == value for name, value in zip(names, values, strict=True)]
            for state in states:
                yield select(messages.c.seq).where(kind, *equal, messages.c.state == state, *others)
        if filter_.everything and filter_.fault is None:
            others = [*self._filters(messages.c, ()), *self._stretch.holds(messages.c.seq)]
            for state in states:
                yield select(messages.c.seq).where(ANSWERS, messages.c.state == state, *others)

    def _leading(self) -> tuple[tuple[str, ...], Sequence[tuple[str, ...]]]:
        """The columns whose index is walked, and the values to walk."""
        filter_ = self._filter_
        if filter_.party is not None:
            return ("party",), [(filter_.party,)]
        if filter_.account is not None:
            return ("account",), [(filter_.account,)]
        if filter_.office is not None:
            return ("office",), [(value,) for value in self._values(messages.c.office, filter_.office)]
        if filter_.family is not None or filter_.type is not None:
            families = [filter_.family] if filter_.family is not None else self._values(messages.c.family, "")
            return ("family", "type"), [
                (family, type_)
                for family in families
                for type_ in self._values(messages.c.type, "", messages.c.family == family)
                if filter_.type in (None, type_)
            ]
        return (), [()]

    def _values(self, column: Column[Any], begin: str, *where: _Condition) -> list[str]:
        """The values with this prefix; each is found from the one before by the index, however often it
        occurs."""
        values: list[str] = []
        following = column >= begin
        query = select(func.min(column)).where(SENT, *where, column < begin + _AFTER_ALL)
        while (value := self._reader.execute(query.where(following)).scalar()) is not None:
            values.append(value)
            following = column > value
        return values

    def _filters(self, columns: Any, leading: Sequence[str]) -> Iterator[_Condition]:
        # An expression has no index: otherwise SQLite would take any index that begins with a filter's
        # column, and sort what may be most of the table.
        for name in _FILTERS:
            value = getattr(self._filter_, name)
            if value is not None and name not in leading:
                column = func.coalesce(columns[name], "")
                if name == "office":
                    yield from _from(column, value)
                else:
                    yield column == value

    def _by_fault(self, fault: str) -> _Walk:
        place = message_faults.c.seq
        query = select(place).where(
            message_faults.c.fault == fault,
            *self._filters(message_faults.c, ()),
            messages.c.seq == place,
            *self._stretch.holds(place),
        )
        if self._filter_.state is not None:
            query = query.where(func.coalesce(messages.c.state, "") == self._filter_.state)
        return query

    def _walks_by_text(self, text: str) -> Iterator[_Walk]:
        filter_ = self._filter_
        others = [*self._filters(messages.c, ()), *self._stretch.holds(messages.c.seq + 0)]
        if filter_.state is not None:
            others.append(func.coalesce(messages.c.state, "") == filter_.state)
        if filter_.fault is not None:
            others.append(_has(filter_.fault))
        if filter_.overdue is not None:
            others += _overdue(filter_.overdue)
        kinds = (LISTED, ANSWERS) if filter_.everything else (LISTED,)
        for kind in kinds:
            for column in _TEXTS:
                yield select(messages.c.seq).where(kind, *_from(column, text), *others)
            former = select(messages.c.seq).join(former_names, former_names.c.seq == messages.c.seq)
            yield former.where(kind, *_from(former_names.c.name, text), *others)

    def _is_broad(self, column: Column[Any], text: str) -> bool:
        some = select(messages.c.seq).where(LISTED, *_from(column, text)).limit(_BROAD).subquery()
        return self._reader.execute(select(func.count()).select_from(some)).scalar_one() == _BROAD

    def _among(self, places: Sequence[int], text: str) -> list[int]:
        """Those of these places where the text matches, as many as are shown."""
        matching: list[int] = []
        order = sorted(places, reverse=self._newest)
        former = select(former_names.c.id).where(
            former_names.c.seq == messages.c.seq, *_from(former_names.c.name, text)
        )
        begins = or_(former.exists(), *(_from(column, text)[0] & _from(column, text)[1] for column in _TEXTS))
        for start in range(0, len(order), _AT_ONCE):
            query = select(messages.c.seq).where(messages.c.seq.in_(order[start : start + _AT_ONCE]), begins)
            matching += sorted(self._reader.execute(query).scalars(), reverse=self._newest)
            if len(matching) >= self._limit:
                break
        return sorted(matching[: self._limit])


def _overdue(now: datetime) -> Sequence[_Condition]:
    """Taken by customs, and without a final answer though that was due before `now`."""
    return ANSWER_DUE, messages.c.answer_due < now


def _has(fault: str) -> ColumnElement[bool]:
    of_fault = select(message_faults.c.seq).where(message_faults.c.fault == fault)
    return of_fault.where(message_faults.c.seq == messages.c.seq).exists()


def _from(column: ColumnElement[Any], text: str) -> Sequence[ColumnElement[bool]]:
    return column >= text, column < text + _AFTER_ALL
