"""Answers of customs in the store: matched, filed once, and parked until their declaration is known."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, bindparam, func, insert, or_, select, update

from adapters.store.database import Database, Transaction
from adapters.store.tables.messages import ANSWERS, agreements, deliveries, messages, receipts
from adapters.store.write.agreements import free
from adapters.store.write.document_requests import ask
from adapters.store.write.documents_due import release
from adapters.store.write.receipts import put_receipts
from gateway.families.customs_codes import AnswerKind
from gateway.model.agreements import AgreementKind, Used
from gateway.model.message import Operation, ReceiptKind, message_of, new_id
from gateway.model.ports import Answer, Clock, Superseded
from gateway.model.states import CustomsStatus, DeliveryState, Event, State, advance
from gateway.respond.answer import Target, Told
from gateway.respond.answer_intake import Filed, Matched, Parked, Unclear, Unmatched


class SqlAnswers:
    """answer_intake.AnswerBook over a `Database`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def target(self, told: Told, key: str | None, backend: str) -> Target | None:
        return await self._database.read(lambda reader: _target(reader, told, key, backend))

    async def file(self, chain: Sequence[Filed]) -> Sequence[Filed]:
        return await self._database.write(lambda transaction: _file(transaction, chain, self._clock))

    async def parked(self, seq_no: str) -> Sequence[Parked]:
        return await self._database.read(
            lambda reader: [_parked(row) for row in reader.execute(_PARKED, {"seq_no": seq_no})]
        )


# The message that began the declaration which one belongs to.
_DECLARATION: Final = func.coalesce(
    select(deliveries.c.about)
    .where(deliveries.c.message == messages.c.id, deliveries.c.about != "")
    .limit(1)
    .correlate(messages)
    .scalar_subquery(),
    messages.c.id,
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
        messages.c.facts,
        messages.c.revision,
        _DECLARATION.label("declaration"),
        agreements.c.number,
        agreements.c.kind.label("agreement_kind"),
    )
    .outerjoin(
        agreements,
        and_(agreements.c.number == messages.c.agreement, agreements.c.used_by == messages.c.id),
    )
    .where(messages.c.kind == "inbound")
    .order_by(messages.c.seq.desc())
    .limit(1)
)
# A back-end speaks of what it was given, and of nothing that another one has.
_GIVEN: Final = (
    select(deliveries.c.id)
    .where(deliveries.c.message == messages.c.id, deliveries.c.destination == bindparam("backend"))
    .exists()
)
_BY_KEY: Final = _INBOUND.where(messages.c.id == bindparam("key"), _GIVEN)
_BY_SEQ_NO: Final = _INBOUND.where(messages.c.seq_no == bindparam("seq_no"), _GIVEN)
_BY_ENTRY: Final = _INBOUND.where(messages.c.entry_id == bindparam("entry_id"), _GIVEN)
_BY_REFERENCE: Final = _INBOUND.where(
    messages.c.reference == bindparam("reference"),
    # Two parties may use the same reference: one that has another SeqNo already is not meant.
    or_(messages.c.seq_no.is_(None), messages.c.seq_no == bindparam("seq_no")),
    _GIVEN,
)
# The parties that have an open declaration with a reference there, and its SeqNo where it is known.
_WHOSE: Final = (
    select(messages.c.party, messages.c.seq_no)
    .where(
        messages.c.kind == "inbound",
        messages.c.reference == bindparam("reference"),
        messages.c.state.in_((State.ACCEPTED, State.DELIVERED)),
        or_(messages.c.seq_no.is_(None), messages.c.seq_no == bindparam("seq_no")),
        _GIVEN,
    )
    .distinct()
)
# Messages of other declarations that have a number.
_OTHERS: Final = {
    name: select(messages.c.id)
    .where(messages.c.kind == "inbound", messages.c[name] == bindparam("number"))
    .where(bindparam("own") != _DECLARATION)
    .limit(1)
    for name in ("seq_no", "entry_id")
}
_PARKED: Final = (
    select(messages)
    .where(
        messages.c.kind == "answer",
        messages.c.state == State.WAITING,
        messages.c.seq_no == bindparam("seq_no"),
    )
    .order_by(messages.c.seq)
)
_RELEASED_TO: Final = select(receipts.c.account).where(
    receipts.c.message == bindparam("of"),
    receipts.c.kind == ReceiptKind.NOTICE,
    receipts.c.verdict == CustomsStatus.RELEASED,
)
_KNOWN: Final = select(messages.c.id, messages.c.state, messages.c.sha256, messages.c.linked).where(
    ANSWERS, messages.c.sha256.in_(bindparam("digests", expanding=True))
)
_INSERT: Final = insert(messages)
_MATCHED: Final = update(messages).where(messages.c.id == bindparam("wanted"))
_CHANGE: Final = update(messages).where(
    messages.c.id == bindparam("wanted"), messages.c.revision == bindparam("seen")
)
# Whoever answers a submission has it, whatever became of the attempts to hand it over.
_IS_THERE: Final = (
    update(deliveries)
    .where(
        deliveries.c.message == bindparam("answered"),
        deliveries.c.destination == bindparam("by"),
        deliveries.c.state != DeliveryState.DELIVERED,
    )
    .values(unsure=True, alternatives=[])
)


def _target(reader: Connection, told: Told, key: str | None, backend: str) -> Target | None:
    found = _named(reader, told, key, backend)
    if found is None:
        return None
    _refuse_to_choose(reader, told, key, found)
    return _target_of(reader, found)


def _named(reader: Connection, told: Told, key: str | None, backend: str) -> Row[*tuple[Any, ...]] | None:
    reference = {"reference": told.client_reference, "seq_no": told.seq_no, "backend": backend}
    by_reference = (told.client_reference, _BY_REFERENCE, reference)
    by_number = (
        (told.seq_no, _BY_SEQ_NO, {"seq_no": told.seq_no, "backend": backend}),
        (told.entry_id, _BY_ENTRY, {"entry_id": told.entry_id, "backend": backend}),
    )
    of_key = None if key is None else message_of(key)
    # A declaration that follows a temporary save has its SeqNo: the reference tells which is meant.
    technical = told.kind is AnswerKind.TECHNICAL
    ways = (by_reference, *by_number) if technical else (*by_number, by_reference)
    for known, query, where in ((of_key, _BY_KEY, {"key": of_key, "backend": backend}), *ways):
        row = reader.execute(query, where).first() if known else None
        if row is not None:
            if query is not _BY_REFERENCE:
                return row
            _refuse_to_guess(reader, reference)
            numbered = reader.execute(_BY_SEQ_NO, reference).first() if told.seq_no else None
            # The SeqNo tells whose it is, where two use this reference.
            if numbered is None or numbered.declaration == row.declaration:
                return row
            return numbered if numbered.reference == told.client_reference else row
    return None


def _refuse_to_choose(reader: Connection, told: Told, key: str | None, found: Row[*tuple[Any, ...]]) -> None:
    """Raises `Unclear` where anything by which the answer names its declaration is another's, at whatever
    back-end: one of them is wrong, and which one cannot be known here."""
    of_key = None if key is None else message_of(key)
    if of_key not in (None, found.id):
        raise Unclear(f"it bears the key of {of_key} and names {found.id}")
    for name, number in (("seq_no", told.seq_no), ("entry_id", told.entry_id)):
        others = reader.execute(_OTHERS[name], {"number": number, "own": found.declaration}) if number else ()
        for other in others:
            raise Unclear(f"it names {number}, which is that of {other.id}, and {found.id}")
    # What follows a declaration has a reference of its own.
    if told.client_reference not in ("", found.reference) and found.operation != Operation.INFORM:
        raise Unclear(f"it names the reference {told.client_reference}, {found.id} has {found.reference}")


def _refuse_to_guess(reader: Connection, where: dict[str, str]) -> None:
    """Raises `Unclear` where the reference alone names the open declarations of two parties."""
    found = reader.execute(_WHOSE, where).all()
    certain = where["seq_no"] and any(row.seq_no == where["seq_no"] for row in found)
    if not certain and len({row.party for row in found}) > 1:
        raise Unclear(f"more than one party has an open declaration with reference {where['reference']}")


def _target_of(reader: Connection, row: Row[*tuple[Any, ...]]) -> Target:
    status = CustomsStatus(row.customs_status)
    may_be_told = status.rank >= CustomsStatus.RELEASED.rank
    told = reader.execute(_RELEASED_TO, {"of": row.id}).scalars() if may_be_told else ()
    uses = None if row.number is None else Used(number=row.number, kind=AgreementKind(row.agreement_kind))
    return Target(
        message=row.id,
        account=row.account,
        file_name=row.name,
        reference=row.reference,
        state=State(row.state),
        customs_status=status,
        seq_no=row.seq_no or "",
        entry_id=row.entry_id or "",
        operation=Operation(row.operation),
        facts=row.facts,
        uses=uses,
        released_to=frozenset(told),
        revision=row.revision,
    )


def _file(transaction: Transaction, chain: Sequence[Filed], clock: Clock) -> list[Filed]:
    new, repeated = _new(transaction, chain)
    now = clock()
    for filed, parked in repeated:
        _unpark(transaction, filed, parked, now)
    rows, changes = [], defaultdict[str, list[tuple[Matched, str]]](list)
    for filed in new:
        answer = filed.parked or new_id(now, os.urandom(10))
        if isinstance(filed, Matched):
            changes[filed.target.message].append((filed, answer))
        if filed.parked is None:
            rows.append(_row(transaction, filed, answer, now))
        else:
            _unpark(transaction, filed, answer, now)
    if rows:
        transaction.connection.execute(_INSERT, rows)
    for matched in changes.values():
        _change(transaction, matched, now)
    return new


def _digest(filed: Filed) -> str:
    return hashlib.sha256(filed.answer.body).hexdigest()


def _linked(filed: Filed) -> str | None:
    return filed.target.message if isinstance(filed, Matched) else None


def _identity(filed: Filed) -> tuple[str, str | None]:
    return _digest(filed), _linked(filed)


def _new(transaction: Transaction, chain: Sequence[Filed]) -> tuple[list[Filed], list[tuple[Filed, str]]]:
    """What is not there already for the same declaration, nor stands twice in the chain itself; one that is
    not matched counts for any. Then what waited, by its id, and is known meanwhile to repeat another."""
    digests = [_digest(filed) for filed in chain]
    known, waiting = set(), set()
    for row in transaction.connection.execute(_KNOWN, {"digests": digests}):
        known.add((row.sha256, row.linked))
        if row.state == State.WAITING:
            waiting.add(row.id)
    new: list[Filed] = []
    repeated: list[tuple[Filed, str]] = []
    for filed in chain:
        if filed.parked is None:
            if {_identity(filed), (_digest(filed), None)} & known:
                continue
        elif filed.parked not in waiting:  # another chain has found it too
            continue
        elif _linked(filed) is not None and _identity(filed) in known:
            repeated.append((filed, filed.parked))
            continue
        known.add(_identity(filed))
        new.append(filed)
    return new, repeated


def _row(transaction: Transaction, filed: Filed, answer: str, now: datetime) -> dict[str, object]:
    told = filed.told
    state = State.CLOSED if isinstance(filed, Matched) else filed.state
    digest, linked = _identity(filed)
    link = transaction.log(answer, now, Event.RECEIVED, filed.backend, state, sha256=digest, linked=linked)
    return {
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
        "state": state,
        "reason": "" if isinstance(filed, Matched) else filed.reason,
        "waiting_for": None if isinstance(filed, Matched) else filed.waiting_for,
        "linked": linked,
        "link_sequence": link.sequence,
        "link_digest": link.digest,
    }


def _unpark(transaction: Transaction, filed: Filed, answer: str, now: datetime) -> None:
    state = State.CLOSED if isinstance(filed, Matched) else filed.state
    linked = _linked(filed)
    reason = filed.reason if isinstance(filed, Unmatched) else ""
    transaction.connection.execute(
        _MATCHED,
        {
            "wanted": answer,
            "state": state,
            "reason": reason,
            "moved_at": now,
            "waiting_for": None,
            "linked": linked,
        },
    )
    transaction.log(answer, now, "matched", filed.backend, state, linked=linked)


def _change(transaction: Transaction, chain: Sequence[tuple[Matched, str]], now: datetime) -> None:
    """What the answers of one declaration, in their order, make of it: one change for all."""
    target = chain[0][0].target
    state = target.state
    for filed, answer in chain:
        told = filed.told
        state = advance(state, filed.answered.event)
        transaction.log(
            target.message,
            now,
            filed.answered.event,
            "customs",
            state,
            kind=told.kind,
            code=told.code,
            step=told.step,
            customs_status=filed.answered.customs_status,
            seq_no=told.seq_no,
            entry_id=told.entry_id,
            answer=answer,
            sha256=_digest(filed),
        )
    if target.state in (State.ACCEPTED, State.HELD):
        for backend in dict.fromkeys(filed.backend for filed, _answer in chain):
            transaction.connection.execute(_IS_THERE, {"answered": target.message, "by": backend})
    last = chain[-1][0].answered
    changed = transaction.connection.execute(
        _CHANGE,
        {
            "wanted": target.message,
            "seen": target.revision,
            "state": state,
            "customs_status": last.customs_status,
            "revision": target.revision + 1,
            "moved_at": now,
            "seq_no": last.seq_no or None,
            "entry_id": last.entry_id or None,
            **({"answer_due": None} if state is State.CLOSED else {}),
        },
    )
    if changed.rowcount == 0:
        raise Superseded(target.message)
    if last.customs_status is CustomsStatus.REFUSED:
        free(transaction, target.message, "refused by customs", now)
    for filed, _answer in chain:
        if filed.answered.deadline is not None:
            release(transaction, target.message, filed.answered.deadline, now)
        if filed.answered.asks is not None:
            ask(transaction, target.message, filed.answered.asks, now, note=filed.told.note)
    receipts = [receipt for filed, _answer in chain for receipt in filed.answered.receipts]
    put_receipts(transaction, target.message, receipts, now)


def _parked(row: Row[*tuple[Any, ...]]) -> Parked:
    return Parked(
        id=row.id,
        backend=row.account,
        answer=Answer(id=row.id, name=row.name, body=row.body),
    )
