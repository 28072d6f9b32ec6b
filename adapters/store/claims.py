"""Claims: whoever takes a piece of work from a queue has it alone until its lease ends.

All queues work alike (`tables.queues`). An owner is one opening of the store. What a node that died had
claimed is put back into its queue when the leases end, or when a node starts that holds the home's lock
(`write.take_over`). An outcome is written only with its claim: a claim that was lost writes nothing.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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
    true,
    tuple_,
    update,
)

from adapters.store.database import Transaction
from adapters.store.index_steps import distinct_values
from adapters.store.tables.messages import Instant, deliveries, messages, parties, requests
from adapters.store.tables.queues import (
    CLAIMED,
    QUEUED,
    to_judge,
    to_notify,
    to_post,
    to_request,
    to_send,
)
from gateway.model.parties import Delivery
from gateway.model.states import DeliveryState
from gateway.run.fairness import in_turn


@dataclass(frozen=True, slots=True)
class Claim:
    """`attempts` are those of a queue that counts them, with this one."""

    item: int
    fence: int
    attempts: int


Attempts = Mapping[str, int]
ANY: Final[Attempts] = {"least": 0, "at_most": 1_000_000}
NONE: Final[Attempts] = {"least": 0, "at_most": 0}
SOME: Final[Attempts] = {"least": 1, "at_most": 1_000_000}


class Queue:
    """The statements of one queue. `part` is the column that says which part of it a claim is for, and
    `accounts` selects the accounts that it is for, if not for all; of an account, what comes first by `order`
    goes first; `unless` is true of what has to wait for another.

    `resumes`: an owner claims from it only after it has finished what it had claimed there before, so that
    what it left is free. Otherwise an owner's claims are ended by nobody but itself as long as it lives.
    """

    def __init__(
        self,
        table: Table,
        *,
        part: Column[Any] | None = None,
        accounts: Select[Any] | None = None,
        order: Sequence[Column[Any]],
        unless: ColumnElement[bool] | None = None,
        resumes: bool = False,
    ) -> None:
        c = table.c
        self._counted = [c.fence, *([c.attempts] if "attempts" in c else [])]
        own = c.owner == bindparam("by")
        here = [] if part is None else [part == bindparam("in_part")]
        free = or_(c.lease_until.is_(None), own) if resumes else c.lease_until.is_(None)
        due = (
            *(*here, c.due_at <= bindparam("now"), free),
            *(() if unless is None else (not_(unless),)),
            *((c.attempts.between(bindparam("least"), bindparam("at_most")),) if "attempts" in c else ()),
        )
        # The accounts that have something, found by stepping through the key however much each has; then the
        # first of each. Reading the head of the queue instead would hide the others behind one that has more.
        busy = distinct_values(c.account, *here, name="busy")
        theirs = true() if accounts is None else busy.c.account.in_(accounts)

        def items_of(account: Any) -> Select[Any]:
            return select(c.item).where(*due, c.account == account).order_by(*order)

        oldest = items_of(busy.c.account).limit(1).correlate(busy).scalar_subquery()
        self._oldest = select(busy.c.account, oldest.label("item")).where(theirs)
        self._line = items_of(bindparam("of")).limit(bindparam("most"))
        self._at_work = select(c.account).where(*here, CLAIMED, not_(free))
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
        self._fence = select(c.fence).where(c.item == bindparam("of_item"), CLAIMED)
        claims = tuple_(c.item, c.fence).in_(bindparam("held", expanding=True))
        held: list[ColumnElement[bool]] = [claims, c.lease_until.is_not(None), own]
        self._put_back = update(table).where(*held)
        self._finish = delete(table).where(*held).returning(c.item)
        self._end = delete(table).where(c.item == bindparam("of_item")).returning(*self._counted)
        earlier = (c.account == bindparam("of_account"), c.item < bindparam("of_item"))
        self._before = select(c.item).where(*earlier).limit(1)
        self._any = select(c.item).where(CLAIMED, own).limit(1)
        self._renew = update(table).where(CLAIMED, own).values(lease_until=bindparam("until"))
        ended = and_(CLAIMED, c.owner != bindparam("by"), c.lease_until <= bindparam("ended_by"))
        self._ended = select(c.item).where(ended)
        self._take_over = update(table).where(ended).values(owner=None, lease_until=None).returning(c.item)

    def due(
        self, reader: Connection, owner: str, now: datetime, part: str = "", attempts: Attempts = ANY
    ) -> Mapping[str, int]:
        """The first item that may be claimed of each account that has one."""
        found = reader.execute(self._oldest, {"by": owner, "now": now, "in_part": part, **attempts})
        return {row.account: row.item for row in found if row.item is not None}

    def claim(
        self,
        transaction: Transaction,
        owner: str,
        limit: int,
        now: datetime,
        until: datetime,
        *,
        served: Mapping[str, int] | None = None,
        part: str = "",
        attempts: Attempts = ANY,
    ) -> list[tuple[str, Claim]]:
        """Claims at most `limit` items, in turn between accounts (`fairness.in_turn`); each with its
        account. In a queue that counts them, only items with so many attempts before this one."""
        connection = transaction.connection
        where = {"by": owner, "now": now, "in_part": part, **attempts}
        lines: dict[str, Iterator[int]] = {}

        def following(account: str) -> int | None:
            if account not in lines:
                line = connection.execute(self._line, {**where, "of": account, "most": limit}).scalars()
                lines[account] = iter(line.all())
                next(lines[account])  # the oldest is known already
            return next(lines[account], None)

        at_work = Counter(connection.execute(self._at_work, where).scalars())
        oldest = self.due(connection, owner, now, part, attempts)
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

    def has_before(self, transaction: Transaction, account: str, item: int) -> bool:
        """Whether the queue has an item of the account that came before this one."""
        where = {"of_account": account, "of_item": item}
        return transaction.connection.execute(self._before, where).first() is not None

    def put_back(
        self,
        transaction: Transaction,
        owner: str,
        claims: Mapping[int, int],
        due_at: datetime,
        *,
        changed: Mapping[str, int] | None = None,
    ) -> None:
        """Ends claims, given as items with their fences, of work that is not done; those that were lost stay
        as they are."""
        values = {"due_at": due_at, "owner": None, "lease_until": None, **(changed or {})}
        held = {"held": list(claims.items()), "by": owner}
        transaction.connection.execute(self._put_back, {**held, **values})

    def finish(self, transaction: Transaction, owner: str, claims: Mapping[int, int]) -> Sequence[int]:
        """Takes what is done out of the queue, given as items with their fences, and returns the items; those
        whose claims were lost stay."""
        held = {"held": list(claims.items()), "by": owner}
        return transaction.connection.execute(self._finish, held).scalars().all()

    def end(self, transaction: Transaction, item: int) -> Mapping[str, int]:
        """Takes it out of the queue, whoever has it: it is not to be done any more. Returns the counts of its
        claims (`fence`, and `attempts` if the queue has them), none where it was not in the queue."""
        row = transaction.connection.execute(self._end, {"of_item": item}).first()
        return {} if row is None else row._asdict()

    def has_claims(self, reader: Connection, owner: str) -> bool:
        return reader.execute(self._any, {"by": owner}).first() is not None

    def renew(self, transaction: Transaction, owner: str, until: datetime) -> None:
        transaction.connection.execute(self._renew, {"by": owner, "until": until})

    def left_by_others(self, reader: Connection, owner: str, ended_by: datetime) -> Sequence[int]:
        """What others have claimed whose leases were over at a time: they died."""
        return reader.execute(self._ended, {"by": owner, "ended_by": ended_by}).scalars().all()

    def take_over(self, transaction: Transaction, owner: str, ended_by: datetime) -> Sequence[int]:
        """Puts back what `left_by_others` finds."""
        given = {"by": owner, "ended_by": ended_by}
        return transaction.connection.execute(self._take_over, given).scalars().all()


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
    part=to_send.c.destination,
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


TO_POST_OVER_AMQP: Final = Queue(
    to_post,
    accounts=select(parties.c.account).where(parties.c.delivery == Delivery.AMQP),
    order=(to_post.c.item,),
    resumes=True,
)
TO_POST_TO_FOLDERS: Final = Queue(
    to_post,
    part=to_post.c.account,
    accounts=select(parties.c.account).where(parties.c.delivery == Delivery.FOLDER),
    order=(to_post.c.item,),
    resumes=True,
)
_TO_BE_POSTED: Final = insert(to_post)


def queue_for_posting(transaction: Transaction, receipts: Sequence[tuple[int, str, datetime]]) -> None:
    """Queues receipts, given with their accounts and the times when they are due, that are not in the
    queue."""
    rows = [
        {"account": account, "item": item, "due_at": due_at, "fence": 0} for item, account, due_at in receipts
    ]
    if rows:
        transaction.connection.execute(_TO_BE_POSTED, rows)


TO_REQUEST: Final = Queue(to_request, order=(to_request.c.item,), resumes=True)
_TO_BE_REQUESTED: Final = insert(to_request).from_select(
    ["account", "item", "due_at", "fence"],
    select(messages.c.account, requests.c.id, requests.c.at, literal_column("0"))
    .join(messages, messages.c.id == requests.c.message)
    .where(requests.c.id == bindparam("which")),
)


def queue_document_request(transaction: Transaction, request: int) -> None:
    """Queues a request for documents to be signed and sent."""
    transaction.connection.execute(_TO_BE_REQUESTED, {"which": request})


TO_NOTIFY: Final = Queue(to_notify, order=(to_notify.c.item,), resumes=True)

# Each table of claims once.
QUEUES: Final = (TO_JUDGE, TO_SEND, TO_POST_OVER_AMQP, TO_REQUEST, TO_NOTIFY)
