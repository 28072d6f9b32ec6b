"""Answers of customs in the store: matched, filed once, and parked until their declaration is known."""

import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, and_, bindparam, insert, or_, select

from adapters.store.apply import apply_to_answer, check, write
from adapters.store.database import Database, Transaction
from adapters.store.rows import DECLARATION_OF
from adapters.store.tables.messages import ANSWERS, agreements, deliveries, messages, receipts
from gateway.model.agreements import AgreementKind, AgreementUse
from gateway.model.answer import Answer, AnsweredDeclaration, CustomsAnswer
from gateway.model.clock import Clock
from gateway.model.message import Operation, ReceiptKind, new_id
from gateway.model.states import CustomsStatus, Event, State
from gateway.model.transition import Refusal
from gateway.respond.match import match
from gateway.respond.ports import Filed, Matched, Parked, Unmatched
from gateway.respond.repeated_answers import FiledBefore, select_new
from gateway.respond.transitions import transitions
from gateway.run.crash_points import crash_point


class SqlAnswers:
    """gateway.respond.ports.AnswerStore over a `Database`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def target(
        self, parsed: CustomsAnswer, key: str | None, backend: str
    ) -> AnsweredDeclaration | None:
        return await self._database.read(lambda reader: _target(reader, parsed, key, backend))

    @crash_point("file-answers")
    async def file(self, chain: Sequence[Filed]) -> Sequence[Filed] | Refusal:
        return await self._database.write(lambda transaction: _file(transaction, chain, self._clock))

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
        messages.c.facts,
        messages.c.revision,
        DECLARATION_OF.label("declaration"),
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
# A back-end's answer can only concern what was sent to this back-end.
_SENT_TO_BACKEND: Final = (
    select(deliveries.c.id)
    .where(deliveries.c.message == messages.c.id, deliveries.c.destination == bindparam("backend"))
    .exists()
)
_BY_ID: Final = _INBOUND.where(messages.c.id == bindparam("message_id"), _SENT_TO_BACKEND)
_BY_SEQ_NO: Final = _INBOUND.where(messages.c.seq_no == bindparam("seq_no"), _SENT_TO_BACKEND)
_BY_ENTRY: Final = _INBOUND.where(messages.c.entry_id == bindparam("entry_id"), _SENT_TO_BACKEND)
_BY_REFERENCE: Final = _INBOUND.where(
    messages.c.reference == bindparam("reference"),
    # Two parties may use the same reference: a declaration that already has another SeqNo is not meant.
    or_(messages.c.seq_no.is_(None), messages.c.seq_no == bindparam("seq_no")),
    _SENT_TO_BACKEND,
)
# The parties that have an open declaration with a reference at this back-end, and its SeqNo if known.
_OPEN_UNDER: Final = (
    select(messages.c.party, messages.c.seq_no)
    .where(
        messages.c.kind == "inbound",
        messages.c.reference == bindparam("reference"),
        messages.c.state.in_((State.ACCEPTED, State.DELIVERED)),
        or_(messages.c.seq_no.is_(None), messages.c.seq_no == bindparam("seq_no")),
        _SENT_TO_BACKEND,
    )
    .distinct()
)
# Messages of other declarations with the same number.
_OTHERS: Final = {
    name: select(messages.c.id)
    .where(messages.c.kind == "inbound", messages.c[name] == bindparam("number"))
    .where(bindparam("own_declaration") != DECLARATION_OF)
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
    receipts.c.message == bindparam("message_id"),
    receipts.c.kind == ReceiptKind.NOTICE,
    receipts.c.verdict == CustomsStatus.RELEASED,
)
_FILED: Final = select(messages.c.id, messages.c.state, messages.c.sha256, messages.c.linked).where(
    ANSWERS, messages.c.sha256.in_(bindparam("digests", expanding=True))
)
_INSERT: Final = insert(messages)

_Inbound = Row[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class _Candidates:
    """gateway.respond.ports.Candidates among the messages that were sent to one back-end."""

    reader: Connection
    backend: str

    def of_message(self, message: str) -> _Inbound | None:
        return self._newest(_BY_ID, message_id=message)

    def of_seq_no(self, seq_no: str) -> _Inbound | None:
        return self._newest(_BY_SEQ_NO, seq_no=seq_no)

    def of_entry(self, entry_id: str) -> _Inbound | None:
        return self._newest(_BY_ENTRY, entry_id=entry_id)

    def of_reference(self, reference: str, seq_no: str) -> _Inbound | None:
        return self._newest(_BY_REFERENCE, reference=reference, seq_no=seq_no)

    def open_under(self, reference: str, seq_no: str) -> Collection[tuple[str, str | None]]:
        where = {"reference": reference, "seq_no": seq_no, "backend": self.backend}
        return [(row.party, row.seq_no) for row in self.reader.execute(_OPEN_UNDER, where)]

    def others_with(self, *, seq_no: str = "", entry_id: str = "", declaration: str) -> Sequence[str]:
        name, number = ("seq_no", seq_no) if seq_no else ("entry_id", entry_id)
        where = {"number": number, "own_declaration": declaration}
        return list(self.reader.execute(_OTHERS[name], where).scalars())

    def _newest(self, query: Select[Any], **where: str) -> _Inbound | None:
        return self.reader.execute(query, {**where, "backend": self.backend}).first()


def _target(
    reader: Connection, parsed: CustomsAnswer, key: str | None, backend: str
) -> AnsweredDeclaration | None:
    target = match(parsed, key, _Candidates(reader, backend))
    return None if target is None else _target_of(reader, target)


def _target_of(reader: Connection, row: _Inbound) -> AnsweredDeclaration:
    status = CustomsStatus(row.customs_status)
    may_be_told = status.rank >= CustomsStatus.RELEASED.rank
    released_to = reader.execute(_RELEASED_TO, {"message_id": row.id}).scalars() if may_be_told else ()
    uses = (
        None
        if row.number is None
        else AgreementUse(number=row.number, kind=AgreementKind(row.agreement_kind))
    )
    return AnsweredDeclaration(
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
        released_to=frozenset(released_to),
        revision=row.revision,
    )


@crash_point("file-answers-uncommitted")
def _file(transaction: Transaction, chain: Sequence[Filed], clock: Clock) -> Sequence[Filed] | Refusal:
    now = clock()
    answers = select_new(chain, _filed_before(transaction.connection, chain))
    new = [(filed, filed.parked or new_id(now, os.urandom(10))) for filed in answers.new]
    matched = defaultdict[str, list[tuple[Matched, str]]](list)
    for filed, answer in new:
        if isinstance(filed, Matched):
            matched[filed.declaration.message].append((filed, answer))
    checked = check(transaction, [change for group in matched.values() for change in transitions(group, now)])
    if isinstance(checked, Refusal):
        return checked
    for filed in (*answers.repeated, *answers.new):
        if filed.parked is not None:
            _unpark(transaction, filed, filed.parked, now)
    rows = [_row(transaction, filed, answer, now) for filed, answer in new if filed.parked is None]
    if rows:
        transaction.connection.execute(_INSERT, rows)
    if matched:
        write(transaction, checked)
    return answers.new


def _filed_before(reader: Connection, chain: Sequence[Filed]) -> Iterator[FiledBefore]:
    for row in reader.execute(_FILED, {"digests": [filed.answer.sha256 for filed in chain]}):
        yield FiledBefore(id=row.id, sha256=row.sha256, linked=row.linked, waits=row.state == State.WAITING)


def _row(transaction: Transaction, filed: Filed, answer: str, now: datetime) -> dict[str, object]:
    parsed = filed.parsed
    state = State.CLOSED if isinstance(filed, Matched) else filed.state
    digest, linked = filed.answer.sha256, filed.linked
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
        "type": None if parsed is None else parsed.kind,
        "reference": None if parsed is None else parsed.client_reference or None,
        "seq_no": None if parsed is None else parsed.seq_no or None,
        "entry_id": None if parsed is None else parsed.entry_id or None,
        "state": state,
        "reason": "" if isinstance(filed, Matched) else filed.reason,
        "waiting_for": None if isinstance(filed, Matched) else filed.waiting_for,
        "linked": linked,
        "link_sequence": link.sequence,
        "link_digest": link.digest,
    }


def _unpark(transaction: Transaction, filed: Filed, answer: str, now: datetime) -> None:
    state = State.CLOSED if isinstance(filed, Matched) else filed.state
    reason = filed.reason if isinstance(filed, Unmatched) else ""
    apply_to_answer(transaction, answer, state, filed.backend, now, linked=filed.linked, reason=reason)


def _parked(row: Row[*tuple[Any, ...]]) -> Parked:
    return Parked(
        id=row.id,
        backend=row.account,
        answer=Answer(id=row.id, name=row.name, body=row.body),
    )
