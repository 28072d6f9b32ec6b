"""Answers of customs in the store: each filed once, and parked until its declaration is known."""

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, insert, select

from adapters.store.apply import apply_to_answer, check, write
from adapters.store.database import Database, Transaction, results_of
from adapters.store.tables.messages import ANSWERS, messages
from gateway.model.answer import Answer
from gateway.model.clock import Clock
from gateway.model.message import new_id
from gateway.model.states import Event, State
from gateway.model.transition import Refusal
from gateway.respond.ports import Chain, Filed, Matched, ReceivedAnswer, Unmatched
from gateway.respond.repeated_answers import FiledBefore, select_new
from gateway.respond.transitions import transitions
from gateway.run.crash_points import crash_point


class SqlAnswers:
    """gateway.respond.ports.AnswerStore over a `Database`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    @crash_point("file-answers")
    async def file(self, chains: Sequence[Chain]) -> Sequence[Sequence[Filed] | Refusal]:
        def change(chain: Chain) -> Callable[[Transaction], Sequence[Filed] | Refusal]:
            return lambda transaction: _file(transaction, chain, self._clock)

        return results_of(await self._database.write_all([change(chain) for chain in chains]))

    async def parked(self, seq_nos: Collection[str]) -> Sequence[ReceivedAnswer]:
        where = {"seq_nos": list(seq_nos)}
        return await self._database.read(
            lambda reader: [_parked(row) for row in reader.execute(_PARKED, where)]
        )


_PARKED: Final = (
    select(messages)
    .where(
        messages.c.kind == "answer",
        messages.c.state == State.WAITING,
        messages.c.seq_no.in_(bindparam("seq_nos", expanding=True)),
    )
    .order_by(messages.c.seq)
)
_FILED: Final = select(messages.c.id, messages.c.state, messages.c.sha256, messages.c.linked).where(
    ANSWERS, messages.c.sha256.in_(bindparam("digests", expanding=True))
)
_INSERT: Final = insert(messages)


@crash_point("file-answers-uncommitted")
def _file(transaction: Transaction, chain: Chain, clock: Clock) -> Sequence[Filed] | Refusal:
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


def _filed_before(reader: Connection, chain: Chain) -> Iterator[FiledBefore]:
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


def _parked(row: Row[*tuple[Any, ...]]) -> ReceivedAnswer:
    answer = Answer(id=row.id, name=row.name, body=row.body)
    return ReceivedAnswer(backend=row.account, answer=answer, parked=row.id)
