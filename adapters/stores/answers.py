"""Answers of customs in the store: matched, filed once, and parked until their declaration is known."""

import hashlib
import os
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, insert, or_, select, update

from adapters.stores.database import Database, Transaction
from adapters.stores.receipts import put_receipts
from adapters.stores.tables import ANSWERS, deliveries, messages
from gateway.answers import Answered, Target, Told
from gateway.customs_answers import Filed, Parked
from gateway.customs_codes import AnswerKind
from gateway.message import Operation, new_id
from gateway.ports import Answer, Clock, Superseded
from gateway.states import CustomsStatus, State, advance


class SqlAnswers:
    """customs_answers.AnswerBook over a `Database`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def target(self, told: Told, key: str | None, backend: str) -> Target | None:
        return await self._database.read(lambda reader: _target(reader, told, key, backend))

    async def file(self, filed: Filed) -> bool:
        return await self._database.write(lambda transaction: _file(transaction, filed, self._clock))

    async def parked(self, seq_no: str) -> Sequence[Parked]:
        return await self._database.read(
            lambda reader: [_parked(row) for row in reader.execute(_PARKED, {"seq_no": seq_no})]
        )


_INBOUND: Final = (
    select(
        messages.c.id,
        messages.c.account,
        messages.c.name,
        messages.c.reference,
        messages.c.state,
        messages.c.customs_status,
        messages.c.seq_no,
        messages.c.entry_id,
        messages.c.operation,
        messages.c.revision,
    )
    .where(messages.c.kind == "inbound")
    .order_by(messages.c.seq.desc())
    .limit(1)
)
_BY_KEY: Final = _INBOUND.where(messages.c.id == bindparam("key"))
_BY_SEQ_NO: Final = _INBOUND.where(messages.c.seq_no == bindparam("seq_no"))
_BY_ENTRY: Final = _INBOUND.where(messages.c.entry_id == bindparam("entry_id"))
_BY_REFERENCE: Final = _INBOUND.where(
    messages.c.reference == bindparam("reference"),
    # Two parties may use the same reference: one that has another SeqNo already is not meant.
    or_(messages.c.seq_no.is_(None), messages.c.seq_no == bindparam("seq_no")),
    select(deliveries.c.id)
    .where(deliveries.c.message == messages.c.id, deliveries.c.destination == bindparam("backend"))
    .exists(),
)
_PARKED: Final = (
    select(messages)
    .where(
        messages.c.kind == "answer",
        messages.c.state == State.WAITING,
        messages.c.seq_no == bindparam("seq_no"),
    )
    .order_by(messages.c.seq)
)
_KNOWN: Final = (
    select(messages.c.id)
    .where(
        ANSWERS,
        messages.c.sha256 == bindparam("digest"),
        or_(messages.c.linked == bindparam("target"), messages.c.linked.is_(None)),
    )
    .limit(1)
)
_INSERT: Final = insert(messages)
_MATCHED: Final = update(messages).where(messages.c.id == bindparam("wanted"))
_CHANGE: Final = update(messages).where(
    messages.c.id == bindparam("wanted"), messages.c.revision == bindparam("seen")
)


def _target(reader: Connection, told: Told, key: str | None, backend: str) -> Target | None:
    reference = {"reference": told.client_reference, "seq_no": told.seq_no, "backend": backend}
    by_reference = (told.client_reference, _BY_REFERENCE, reference)
    by_number = (
        (told.seq_no, _BY_SEQ_NO, {"seq_no": told.seq_no}),
        (told.entry_id, _BY_ENTRY, {"entry_id": told.entry_id}),
    )
    # A declaration that follows a temporary save has its SeqNo: the reference tells which is meant.
    technical = told.kind is AnswerKind.TECHNICAL
    ways = (by_reference, *by_number) if technical else (*by_number, by_reference)
    for known, query, where in ((key, _BY_KEY, {"key": key}), *ways):
        row = reader.execute(query, where).first() if known else None
        if row is not None:
            return Target(
                message=row.id,
                account=row.account,
                file_name=row.name,
                reference=row.reference,
                state=State(row.state),
                customs_status=CustomsStatus(row.customs_status),
                seq_no=row.seq_no or "",
                entry_id=row.entry_id or "",
                operation=Operation(row.operation),
                revision=row.revision,
            )
    return None


def _file(transaction: Transaction, filed: Filed, clock: Clock) -> bool:
    now = clock()
    digest = hashlib.sha256(filed.answer.body).hexdigest()
    target = filed.target
    if filed.parked is None:
        where = {"digest": digest, "target": None if target is None else target.message}
        if transaction.connection.execute(_KNOWN, where).first() is not None:
            return False
    answer = filed.parked or new_id(now, os.urandom(10))
    if target is not None and filed.answered is not None and filed.told is not None:
        _change(transaction, target, filed.answered, filed.told, answer=answer, digest=digest, clock=clock)
    if filed.parked is not None:
        transaction.connection.execute(
            _MATCHED,
            {
                "wanted": answer,
                "state": filed.state,
                "moved_at": now,
                "waiting_for": None,
                "linked": target and target.message,
            },
        )
        transaction.log(answer, now, "matched", filed.backend, filed.state, linked=target and target.message)
        return True
    link = transaction.log(
        answer, now, "received", filed.backend, filed.state, sha256=digest, linked=target and target.message
    )
    told = filed.told
    transaction.connection.execute(
        _INSERT,
        {
            "id": answer,
            "kind": "answer",
            "account": filed.backend,
            "channel": "backend",
            "name": filed.answer.name,
            "sha256": digest,
            "size": len(filed.answer.body),
            "body": filed.answer.body,
            "received_at": now,
            "moved_at": now,
            "type": None if told is None else told.kind,
            "reference": None if told is None else told.client_reference or None,
            "seq_no": None if told is None else told.seq_no or None,
            "entry_id": None if told is None else told.entry_id or None,
            "state": filed.state,
            "reason": filed.reason,
            "waiting_for": filed.waiting_for,
            "linked": None if target is None else target.message,
            "link_sequence": link.sequence,
            "link_digest": link.digest,
        },
    )
    return True


def _change(
    transaction: Transaction,
    target: Target,
    answered: Answered,
    told: Told,
    *,
    answer: str,
    digest: str,
    clock: Clock,
) -> None:
    now = clock()
    state = advance(target.state, answered.event)
    changed = transaction.connection.execute(
        _CHANGE,
        {
            "wanted": target.message,
            "seen": target.revision,
            "state": state,
            "customs_status": answered.customs_status,
            "revision": target.revision + 1,
            "moved_at": now,
            "seq_no": answered.seq_no or None,
            "entry_id": answered.entry_id or None,
            **({"answer_due": None} if state is State.CLOSED else {}),
        },
    )
    if changed.rowcount == 0:
        raise Superseded(target.message)
    put_receipts(transaction, target.message, answered.receipts, now)
    transaction.log(
        target.message,
        now,
        answered.event,
        "customs",
        state,
        kind=told.kind,
        code=told.code,
        customs_status=answered.customs_status,
        seq_no=told.seq_no,
        entry_id=told.entry_id,
        answer=answer,
        sha256=digest,
    )


def _parked(row: Row[*tuple[Any, ...]]) -> Parked:
    return Parked(
        id=row.id,
        backend=row.account,
        answer=Answer(id=row.id, name=row.name, body=row.body),
    )
