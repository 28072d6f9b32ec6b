"""Claims: whoever takes a piece of work from a queue has it alone until its lease ends.

All queues work alike (`tables.queues`). An owner is one opening of the store. It never takes over from
itself, since its own tasks end its claims; the leases of an owner that died end with time, or when a node
starts that holds the home's lock. An outcome is written only with the fence of its claim: a claim that was
lost writes nothing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    delete,
    insert,
    literal_column,
    not_,
    or_,
    select,
    update,
)

from adapters.store.database import Database, Transaction
from adapters.store.index_steps import distinct_values
from adapters.store.tables.messages import Instant, deliveries, messages
from adapters.store.tables.queues import CLAIMED, QUEUED, to_judge, to_send
from gateway.model.states import DeliveryState
from gateway.run.claims import LEASE
from gateway.run.fairness import in_turn


@dataclass(frozen=True, slots=True)
class Claim:
    """`attempts` are those of a queue that counts them, with this one."""

    item: int
    fence: int
    attempts: int


class Queue:
    """The statements of one queue. `within` names the columns that say which part of it a claim is for; of
    an account, what comes first by `order` goes first; `unless` is true of what has to wait for another."""

    def __init__(
        self,
        table: Table,
        *,
        within: Sequence[Column[Any]] = (),
        order: Sequence[Column[Any]],
        unless: ColumnElement[bool],
    ) -> None:
        c = table.c
        self._counted = [c.fence, *([c.attempts] if "attempts" in c else [])]
        here = [column == bindparam(column.name) for column in within]
        ended = and_(c.lease_until <= bindparam("now"), c.owner != bindparam("owner"))
        free = or_(c.lease_until.is_(None), ended)
        due = (*here, c.due_at <= bindparam("now"), free, not_(unless))
        # The accounts that have something, found by stepping through the key however much each has; then the
        # first of each. Reading the head of the queue instead would hide the others behind one that has more.
        busy = distinct_values(c.account, *here, name="busy")

        def first_of(account: Any, *more: ColumnElement[bool]) -> Select[Any]:
            return select(c.item).where(*due, c.account == account, *more).order_by(*order).limit(1)

        oldest = first_of(busy.c.account).correlate(busy).scalar_subquery()
        self._oldest = select(busy.c.account, oldest.label("item"))
        self._following = first_of(bindparam("of"), c.item.not_in(bindparam("chosen", expanding=True)))
        self._at_work = select(c.account).where(*here, CLAIMED, not_(free))
        self._ended = select(c.item).where(CLAIMED, ended)
        self._lease = (
            update(table)
            .where(c.item.in_(bindparam("claimed", expanding=True)))
            .values(
                owner=bindparam("by"),
                lease_until=bindparam("until"),
                fence=c.fence + 1,
                **({"attempts": c.attempts + 1} if "attempts" in c else {}),
            )
            .returning(c.item, *self._counted)
        )
        self._put_back = update(table).where(
            c.item == bindparam("of_item"), c.fence == bindparam("by_fence"), CLAIMED
        )
        self._end = delete(table).where(c.item == bindparam("of_item")).returning(*self._counted)
        self._fence = select(c.fence).where(c.item == bindparam("of_item"), CLAIMED)
        self._renew = (
            update(table).where(CLAIMED, c.owner == bindparam("by")).values(lease_until=bindparam("until"))
        )
        self._end_others = (
            update(table)
            .where(CLAIMED, c.owner != bindparam("by"), c.lease_until > bindparam("now"))
            .values(lease_until=bindparam("now"))
        )

    def due(self, reader: Connection, owner: str, now: datetime, **within: str) -> Mapping[str, int]:
        """The first item that may be claimed of each account that has one."""
        found = reader.execute(self._oldest, {"owner": owner, "now": now, **within})
        return {row.account: row.item for row in found if row.item is not None}

    def ended(self, reader: Connection, owner: str, now: datetime) -> Sequence[int]:
        """The claims of others whose leases have ended."""
        return reader.execute(self._ended, {"owner": owner, "now": now}).scalars().all()

    def claim(
        self,
        transaction: Transaction,
        owner: str,
        limit: int,
        now: datetime,
        until: datetime,
        *,
        served: Mapping[str, int] | None = None,
        **within: str,
    ) -> list[tuple[str, Claim]]:
        """Claims at most `limit` items, in turn between accounts (`fairness.in_turn`); each with its
        account."""
        connection, where = transaction.connection, {"owner": owner, "now": now, **within}

        def following(account: str, chosen: Sequence[int]) -> int | None:
            return connection.execute(self._following, {**where, "of": account, "chosen": chosen}).scalar()

        at_work = Counter(connection.execute(self._at_work, where).scalars())
        oldest = self.due(connection, owner, now, **within)
        chosen = in_turn(limit, oldest, at_work, following, served)
        if not chosen:
            return []
        items = [item for _account, item in chosen]
        rows = connection.execute(self._lease, {"claimed": items, "by": owner, "until": until})
        claims = {row[0]: Claim(*row, *(() if len(row) > 2 else (0,))) for row in rows}
        return [(account, claims[item]) for account, item in chosen]

    def holds(self, transaction: Transaction, item: int, fence: int) -> bool:
        """Whether the claim with this fence is still the last one, and was not given back."""
        return transaction.connection.execute(self._fence, {"of_item": item}).scalar() == fence

    def put_back(
        self, transaction: Transaction, item: int, fence: int, due_at: datetime, **changed: int
    ) -> bool:
        """Ends a claim of work that is not done; false where it was lost."""
        back = {"due_at": due_at, "owner": None, "lease_until": None, **changed}
        where = {"of_item": item, "by_fence": fence}
        return transaction.connection.execute(self._put_back, {**where, **back}).rowcount > 0

    def end(self, transaction: Transaction, item: int) -> Mapping[str, int]:
        """Takes it out of the queue: it is done, or not to be done any more. Returns the counts of its claims
        (`fence`, and `attempts` if the queue has them), none where it was not in the queue."""
        row = transaction.connection.execute(self._end, {"of_item": item}).first()
        return {} if row is None else row._asdict()

    def renew(self, transaction: Transaction, owner: str, until: datetime) -> int:
        return transaction.connection.execute(self._renew, {"by": owner, "until": until}).rowcount

    def end_leases_of_others(self, transaction: Transaction, owner: str, now: datetime) -> int:
        return transaction.connection.execute(self._end_others, {"by": owner, "now": now}).rowcount


_earlier = to_judge.alias("earlier")
TO_JUDGE: Final = Queue(
    to_judge,
    order=(to_judge.c.item,),
    unless=select(_earlier.c.item)
    .where(_earlier.c.turn == to_judge.c.turn, _earlier.c.item < to_judge.c.item)
    .correlate(to_judge)
    .exists(),
)
_TO_BE_JUDGED: Final = insert(to_judge).from_select(
    ["account", "item", "due_at", "fence", "attempts", "turn"],
    select(
        *(messages.c.account, messages.c.seq, literal_column("0")),  # due at once, whatever clocks show
        *(messages.c.fence, literal_column("0"), bindparam("turn", type_=Text)),
    ).where(messages.c.seq == bindparam("which")),
)


def queue_for_judgement(transaction: Transaction, seq: int, turn: str | None) -> None:
    """`turn` names what only one message can have: see `tables.queues.to_judge`."""
    transaction.connection.execute(_TO_BE_JUDGED, {"which": seq, "turn": turn})


_before = deliveries.alias("before")
TO_SEND: Final = Queue(
    to_send,
    within=(to_send.c.destination,),
    order=(to_send.c.due_at, to_send.c.item),
    # Nothing of the same declaration is in progress there, or is to be sent before it.
    unless=and_(
        to_send.c.about != "",
        select(_before.c.id)
        .where(
            _before.c.about == to_send.c.about,
            _before.c.destination == to_send.c.destination,
            _before.c.id < to_send.c.item,
            _before.c.state.in_([literal_column(f"'{state}'") for state in (*QUEUED, DeliveryState.HELD)]),
        )
        .correlate(to_send)
        .exists(),
    ),
)
_QUEUES: Final = (TO_JUDGE, TO_SEND)
_TO_BE_SENT: Final = insert(to_send).from_select(
    ["destination", "account", "item", "due_at", "fence", "about"],
    select(
        *(deliveries.c.destination, deliveries.c.account, deliveries.c.id),
        *(bindparam("due_at", type_=Instant), deliveries.c.fence, deliveries.c.about),
    ).where(
        deliveries.c.id.in_(bindparam("ids", expanding=True)),
        deliveries.c.state.in_((DeliveryState.PENDING, DeliveryState.UNKNOWN)),
    ),
)


def queue_for_sending(transaction: Transaction, ids: Sequence[int], due_at: datetime) -> None:
    """Makes the queue agree with what has become of these deliveries: those that are to be sent are due at
    this time, the others are not in it. None of them is in progress."""
    for each in ids:
        TO_SEND.end(transaction, each)
    if ids:
        transaction.connection.execute(_TO_BE_SENT, {"ids": list(ids), "due_at": due_at})


class SqlClaims:
    """gateway.run.claims.Claims over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def end_leases_of_others(self, now: datetime) -> int:
        owner = self._database.owner
        return await self._database.write(
            lambda transaction: sum(each.end_leases_of_others(transaction, owner, now) for each in _QUEUES)
        )

    async def renew(self, now: datetime) -> None:
        owner, until = self._database.owner, now + LEASE
        await self._database.write(
            lambda transaction: sum(each.renew(transaction, owner, until) for each in _QUEUES)
        )
