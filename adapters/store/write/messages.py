"""Messages in the store: added, claimed for judgement, decided; each step is one commit."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, insert, select

from adapters.store.apply import ACTOR, apply, apply_as_read
from adapters.store.claims import NONE, SOME, TO_JUDGE, queue_for_judgement
from adapters.store.database import Database, Transaction
from adapters.store.rows import received_of
from adapters.store.tables.messages import messages
from adapters.store.tables.operations import replies
from adapters.store.write.allowances import count
from adapters.store.write.clock_set_back import end_waits
from adapters.store.write.packages import put_package
from adapters.store.write.waits import overdue
from gateway.judge.transitions import transitions
from gateway.model.decision import Decision
from gateway.model.folders import Folder
from gateway.model.message import Arrival, Received
from gateway.model.parties import Account
from gateway.model.states import Event, State
from gateway.model.transition import Applied, Columns, Refusal, Transition
from gateway.receive.ports import NewMessage
from gateway.run.crash_points import crash_point


class SqlMessages:
    """gateway.receive.ports.Intake and the writes of judgement over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @crash_point("add-a-message")
    async def add(
        self, arrival: Arrival, sender: Account | None = None, *, body: bytes | None = None
    ) -> None:
        await self._database.write(lambda transaction: _add(transaction, arrival, sender, body))

    @crash_point("add-a-message")
    async def add_all(self, new: Sequence[NewMessage]) -> Sequence[BaseException | None]:
        def change(each: NewMessage) -> Callable[[Transaction], None]:
            return lambda transaction: _add(transaction, each.arrival, each.sender, each.body)

        return await self._database.write_all([change(each) for each in new])

    async def claim(
        self, limit: int, now: datetime, lease: timedelta, *, again: int | None = None
    ) -> Sequence[Received]:
        # Read first, so that an idle node writes nothing.
        owner = self._database.owner
        if not await self._database.read(lambda reader: TO_JUDGE.due(reader, owner, now)):
            return ()
        until = now + lease
        return await self._database.write(
            lambda transaction: _claim(transaction, owner, limit, again, now, until)
        )

    @crash_point("decide")
    async def decide(self, decision: Decision, now: datetime) -> Applied | Refusal:
        return await self._database.write(lambda transaction: _decide(transaction, decision, now))

    async def expire(self, now: datetime) -> int:
        if not await self._database.read(lambda reader: overdue(reader, now)):
            return 0
        return await self._database.write(lambda transaction: _expire(transaction, now))

    async def end_waits(self, now: datetime, longest: timedelta) -> int:
        return await self._database.write(lambda transaction: end_waits(transaction, now, longest))

    async def put_back(self, received: Received, not_before: datetime, *, crashed: bool) -> None:
        counted = received.attempts if crashed else received.attempts - 1
        owner = self._database.owner
        await self._database.write(
            lambda transaction: _put_back(transaction, owner, received, counted, not_before)
        )


_CHOSEN: Final = (
    select(messages).where(messages.c.seq.in_(bindparam("chosen", expanding=True))).order_by(messages.c.seq)
)
_SEQ: Final = select(messages.c.seq).where(messages.c.id == bindparam("which"))
_INSERT: Final = insert(messages)
_REPLY: Final = insert(replies)


@crash_point("add-a-message-uncommitted")
def _add(transaction: Transaction, arrival: Arrival, sender: Account | None, body: bytes | None) -> None:
    count(transaction, arrival, sender)  # first: it may refuse, and a change that fails must not have written
    if body is not None:
        put_package(transaction, arrival.sha256, body)
    link = transaction.log(
        arrival.id,
        arrival.received_at,
        Event.RECEIVED,
        arrival.account,
        State.RECEIVED,
        channel=arrival.channel,
        name=arrival.name,
        sha256=arrival.sha256,
        size=arrival.size,
    )
    added = transaction.connection.execute(
        _INSERT,
        {
            "id": arrival.id,
            "kind": "inbound",
            "account": arrival.account,
            "channel": arrival.channel,
            "name": arrival.name,
            "sha256": arrival.sha256,
            "size": arrival.size,
            "received_at": arrival.received_at,
            "folder": Folder.OUTBOX,
            "moved_at": arrival.received_at,
            "state": State.RECEIVED,
            "link_sequence": link.sequence,
            "link_digest": link.digest,
        },
    )
    seq: int = added.inserted_primary_key[0]  # type: ignore[index]  # it has one column
    queue_for_judgement(transaction, seq, None)
    if arrival.reply is not None:
        transaction.connection.execute(
            _REPLY,
            {
                "message": arrival.id,
                "account": arrival.account,
                "message_id": arrival.reply.message_id,
                "correlation": arrival.reply.correlation,
                "reply_to": arrival.reply.to,
            },
        )


@crash_point("claim-a-message-uncommitted")
def _claim(
    transaction: Transaction, owner: str, limit: int, again: int | None, now: datetime, until: datetime
) -> list[Received]:
    if again is None:
        claimed = TO_JUDGE.claim(transaction, owner, limit, now, until)
    else:
        most = min(again, limit)
        claimed = TO_JUDGE.claim(transaction, owner, most, now, until, attempts=SOME) if most else []
        rest = limit - len(claimed)
        claimed += TO_JUDGE.claim(transaction, owner, rest, now, until, attempts=NONE) if rest else []
    claims = {claim.item: claim for _account, claim in claimed}
    rows = transaction.connection.execute(_CHOSEN, {"chosen": list(claims)}) if claims else ()
    return [received_of(row, claims[row.seq].attempts, claims[row.seq].fence) for row in rows]


@crash_point("decide-uncommitted")
def _decide(transaction: Transaction, decision: Decision, now: datetime) -> Applied | Refusal:
    return apply(transaction, *transitions(decision, now))


def _expire(transaction: Transaction, now: datetime) -> int:
    """Has messages that waited too long judged a last time, and returns how many; `waiting_for` stays set, so
    that the judgement knows what is missing."""
    rows = overdue(transaction.connection, now)
    for row in rows:
        expired = Transition(
            message=row.id,
            event=Event.EXPIRED,
            actor=ACTOR,
            at=now,
            detail={"thing": row.waiting_for},
            columns=Columns(until=None),
        )
        apply_as_read(transaction, expired)
    return len(rows)


def _put_back(
    transaction: Transaction, owner: str, received: Received, attempts: int, not_before: datetime
) -> None:
    seq = transaction.connection.execute(_SEQ, {"which": received.arrival.id}).scalar_one()
    changed = {"attempts": attempts}
    TO_JUDGE.put_back(transaction, owner, {seq: received.fence}, not_before, changed=changed)
