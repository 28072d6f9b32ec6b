"""Where messages are on their way, and since when: what operators and monitors look at. Read-only."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, func, select

from adapters.stores.tables import ANSWERS, LISTED, ON_THE_WAY, TO_POST, deliveries, messages, receipts
from gateway.states import DeliveryState, State


class Stage(StrEnum):
    """Where a message, a delivery or a receipt stands until something happens."""

    TO_JUDGE = "to_judge"
    WAITING = "waiting"
    HELD = "held"
    TO_SEND = "to_send"  # also what is being sent
    UNKNOWN = "unknown"  # sent without word: asked about before it is sent again
    TO_ANSWER = "to_answer"  # customs has it, and has not said its last word
    UNMATCHED = "unmatched"  # answers of customs that belong to nothing that is known
    TO_POST = "to_post"  # receipts of accounts that do not fetch them


_STATES: Final[Mapping[Stage, tuple[Any, ...]]] = {
    Stage.TO_JUDGE: (LISTED, State.RECEIVED),
    Stage.WAITING: (LISTED, State.WAITING),
    Stage.HELD: (LISTED, State.HELD),
    Stage.TO_ANSWER: (LISTED, State.DELIVERED),
    Stage.UNMATCHED: (ANSWERS, State.WAITING, State.HELD),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """How many stand at a stage. `of` is the destination or the account where there are several, else empty.
    `oldest` is when the first of them came to the gateway, None where there is none."""

    stage: Stage
    of: str
    count: int
    oldest: datetime | None

    def age(self, now: datetime) -> float:
        """Seconds since `oldest`, 0 where there is none."""
        return 0.0 if self.oldest is None else max(0.0, (now - self.oldest).total_seconds())


def depths(reader: Connection) -> Sequence[Depth]:
    """Every stage of messages once, empty ones too; then each destination and account that has something.
    By indexes that hold only what is there: as quick as the queues are short, however full the store."""
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
        yield Depth(stage=stage, of="", count=count, oldest=min(first, default=None))


def _of_deliveries(reader: Connection) -> Iterator[Depth]:
    unknown = deliveries.c.state == DeliveryState.UNKNOWN
    for stage, here in ((Stage.TO_SEND, ~unknown), (Stage.UNKNOWN, unknown)):
        query = (
            select(deliveries.c.destination, func.count(), func.min(deliveries.c.since))
            .where(ON_THE_WAY, here)
            .group_by(deliveries.c.destination)
        )
        for destination, count, oldest in reader.execute(query):
            yield Depth(stage=stage, of=destination, count=count, oldest=oldest)


def _of_postings(reader: Connection) -> Iterator[Depth]:
    query = (
        select(receipts.c.account, func.count(), func.min(receipts.c.id))
        .where(TO_POST)
        .group_by(receipts.c.account)
    )
    created = select(receipts.c.created_at)
    for account, count, first in reader.execute(query).all():
        oldest = reader.execute(created.where(receipts.c.id == first)).scalar_one()
        yield Depth(stage=Stage.TO_POST, of=account, count=count, oldest=oldest)
