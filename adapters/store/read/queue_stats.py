"""Where messages are in progress, and since when: for operators and monitoring. Read-only."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Connection, and_, exists, func, or_, select, type_coerce

from adapters.store.read.event_log import sequence_before
from adapters.store.tables.messages import (
    ANSWERS,
    LISTED,
    ON_THE_WAY,
    deliveries,
    events,
    messages,
    receipts,
)
from adapters.store.tables.queues import to_post
from gateway.model.states import DeliveryState, Event, State


class QueueStage(StrEnum):
    """Where a message, a delivery or a receipt stays until something happens."""

    TO_JUDGE = "to_judge"
    WAITING = "waiting"
    HELD = "held"
    TO_SEND = "to_send"  # also those being sent
    UNKNOWN = "unknown"  # sent without an answer: the back-end is asked before it is sent again
    TO_ANSWER = "to_answer"  # customs has it, and has not given its final answer
    UNMATCHED = "unmatched"  # answers of customs whose declaration is unknown
    TO_POST = "to_post"  # receipts of accounts that do not fetch them


_STATES: Final[Mapping[QueueStage, tuple[Any, ...]]] = {
    QueueStage.TO_JUDGE: (LISTED, State.RECEIVED),
    QueueStage.WAITING: (LISTED, State.WAITING),
    QueueStage.HELD: (LISTED, State.HELD),
    QueueStage.TO_ANSWER: (LISTED, State.DELIVERED),
    QueueStage.UNMATCHED: (ANSWERS, State.WAITING, State.HELD),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """How many items are at a stage. `of` is the destination or account if there are several, else empty.
    `oldest` is when the first of them came to the gateway, None if there is none."""

    stage: QueueStage
    owner: str
    count: int
    oldest: datetime | None

    def age(self, now: datetime) -> float:
        """Seconds since `oldest`, 0 if there is none."""
        return 0.0 if self.oldest is None else max(0.0, (now - self.oldest).total_seconds())


def depths(reader: Connection) -> Sequence[Depth]:
    """Every stage of messages once, also empty ones; then each destination and account that has something.
    Uses partial indexes of the queued rows: the time depends on the length of the queues, not on the size of
    the store."""
    return [*_of_messages(reader), *_of_deliveries(reader), *_of_postings(reader)]


def _of_messages(reader: Connection) -> Iterator[Depth]:
    for stage, (kind, *states) in _STATES.items():
        count = 0
        first: list[datetime] = []
        for state in states:
            here = (kind, messages.c.state == state)
            count += reader.execute(select(func.count()).select_from(messages).where(*here)).scalar_one()
            oldest = select(messages.c.received_at).where(*here).order_by(messages.c.seq).limit(1)
            first.extend(reader.execute(oldest).scalars())
        yield Depth(stage=stage, owner="", count=count, oldest=min(first, default=None))


def _of_deliveries(reader: Connection) -> Iterator[Depth]:
    unknown = deliveries.c.state == DeliveryState.UNKNOWN
    for stage, here in ((QueueStage.TO_SEND, ~unknown), (QueueStage.UNKNOWN, unknown)):
        query = (
            select(deliveries.c.destination, func.count(), func.min(deliveries.c.since))
            .where(ON_THE_WAY, here)
            .group_by(deliveries.c.destination)
        )
        for destination, count, oldest in reader.execute(query):
            yield Depth(stage=stage, owner=destination, count=count, oldest=oldest)


def _of_postings(reader: Connection) -> Iterator[Depth]:
    query = select(to_post.c.account, func.count(), func.min(to_post.c.item)).group_by(to_post.c.account)
    created = select(receipts.c.created_at)
    for account, count, first in reader.execute(query).all():
        oldest = reader.execute(created.where(receipts.c.id == first)).scalar_one()
        yield Depth(stage=QueueStage.TO_POST, owner=account, count=count, oldest=oldest)


_HOUR: Final = timedelta(hours=1)
_MICROSECOND: Final = timedelta(microseconds=1)
_COUNTED: Final = {
    Event.RECEIVED: "received",
    Event.PASSED: "accepted",
    Event.ACCEPTED_NO_DELIVERY: "accepted",
    Event.REPEATED: "accepted",
    Event.JOINED: "accepted",
    Event.REFUSED: "rejected",
    Event.DISMISSED: "rejected",
    Event.REPLACED: "rejected",
}
_VERDICTS: Final = tuple(event for event in _COUNTED if event is not Event.RECEIVED)
_BEFORE: Final = events.alias("before")
# The first verdict about a message: a replay is judged at an operator's request, and is the same message.
_IS_FIRST: Final = ~exists().where(
    _BEFORE.c.message == events.c.message,
    _BEFORE.c.event.in_(_VERDICTS),
    _BEFORE.c.sequence < events.c.sequence,
)
COUNTS: Final = ("received", "accepted", "rejected")


class By(StrEnum):
    """Columns of messages by which counts can be grouped."""

    ACCOUNT = "account"
    OFFICE = "office"
    FAMILY = "family"
    STATE = "state"


def rates(reader: Connection, since: datetime, until: datetime, by: By | None) -> list[dict[str, Any]]:
    """Messages received and their first verdicts, for each hour (UTC) that has any, oldest first: each
    message is received once, and accepted or rejected once."""
    hour = (type_coerce(events.c.at, BigInteger) // (_HOUR // _MICROSECOND)).label("hour")
    named = messages.c[by] if by else type_coerce("", messages.c.account.type)
    query = (
        select(hour, named.label("of"), events.c.event, func.count().label("count"))
        .join(messages, messages.c.id == events.c.message)
        .where(LISTED, events.c.event.in_(list(_COUNTED)), _within(reader, since, until))
        .where(or_(events.c.event == Event.RECEIVED, _IS_FIRST))
        .group_by(hour, named, events.c.event)
    )
    rows: dict[tuple[int, str], Counter[str]] = defaultdict(Counter)
    for row in reader.execute(query):
        rows[row.hour, row.of or ""][_COUNTED[Event(row.event)]] += row._mapping["count"]
    return [
        {
            "hour": datetime.fromtimestamp(number * _HOUR.total_seconds(), UTC).isoformat(),
            **({by.value: name or None} if by else {}),
            **{name: counts[name] for name in COUNTS},
        }
        for (number, name), counts in sorted(rows.items())
    ]


def waits(reader: Connection, since: datetime, until: datetime) -> list[dict[str, Any]]:
    """Seconds from receipt to the first verdict, and to acceptance by customs, for those that happened in the
    time range."""
    passed = type_coerce(events.c.at, BigInteger) - type_coerce(messages.c.received_at, BigInteger)
    rows = []
    steps = (
        ("verdict", and_(events.c.event.in_(_VERDICTS), _IS_FIRST)),
        ("taken", events.c.event == Event.TAKEN),
    )
    for step, happened in steps:
        query = (
            select(passed)
            .select_from(events)
            .join(messages, messages.c.id == events.c.message)
            .where(LISTED, happened, _within(reader, since, until))
        )
        seconds = sorted(microseconds / 1_000_000 for microseconds in reader.execute(query).scalars())
        rows.append(
            {
                "until": step,
                "messages": len(seconds),
                "median": seconds[len(seconds) // 2] if seconds else None,
                "p95": seconds[len(seconds) * 95 // 100] if seconds else None,
            }
        )
    return rows


def _within(reader: Connection, since: datetime, until: datetime) -> ColumnElement[bool]:
    # The log is read between two places in it: its events have no index by time.
    return and_(
        events.c.sequence > sequence_before(reader, since),
        events.c.sequence <= sequence_before(reader, until),
    )
