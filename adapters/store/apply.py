"""The only place that writes states: takes transitions and writes rows, in the caller's commit.

Whatever is written besides what a transition names follows from the state alone and is defined here: the
folder, the end of claim and wait, the revision, the entry in the log. Effects of a transition on other
messages (waking, holding, releasing them) are applied as transitions too.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from typing import Final

from sqlalchemy import bindparam, delete, update

from adapters.store.claims import TO_JUDGE, queue_for_judgement
from adapters.store.database import Transaction
from adapters.store.message_row import MessageRow
from adapters.store.preconditions import is_superseded
from adapters.store.read.agreement_use import accepted_under
from adapters.store.rows import arrival_of
from adapters.store.tables.messages import messages, obligations
from adapters.store.write.agreements import consume, record_notice, release
from adapters.store.write.document_requests import ask
from adapters.store.write.documents_due import bring, owe, start_deadline
from adapters.store.write.in_force import restored_since
from adapters.store.write.keys import release_key, take_key
from adapters.store.write.receipts import NewReceipts, overtake, repeat_receipts, unsigned
from adapters.store.write.search_index import note_faults
from adapters.store.write.submissions import hold_waiting, known_at, send_again, submit, withdraw
from adapters.store.write.waits import (
    Waiting,
    revision_of,
    versions_of,
    waiting_for,
    waiting_for_one_of,
)
from gateway.model.agreements import Agreement, AgreementKind
from gateway.model.agreements import AgreementChange as AgreementChange
from gateway.model.message import Arrival, Receipt
from gateway.model.states import Event, State, advance
from gateway.model.transition import (
    Applied,
    AskForDocuments,
    BringDocuments,
    Columns,
    ConsumeAgreement,
    Effect,
    FirstInLine,
    HoldDeliveries,
    InOrder,
    KnownAt,
    NotAsRead,
    Note,
    OvertakePending,
    OweDocuments,
    RecordNotice,
    Refusal,
    ReleaseAgreement,
    ReleaseHoldings,
    RepeatReceipts,
    SendAgain,
    StartDeadline,
    StillMissing,
    StillReplaced,
    Submit,
    TakeKey,
    Transition,
    Wake,
    WakeVersions,
    WithdrawDeliveries,
    hold,
)
from gateway.model.waits import Awaited, AwaitedKind

ACTOR: Final = "gateway"
MATCHED: Final = "matched"  # the event's word in the trail of an answer

_ANSWER: Final = update(messages).where(messages.c.id == bindparam("answer_id"))
_RELEASE_DOCUMENTS: Final = delete(obligations).where(obligations.c.message == bindparam("message_id"))

_BESIDE: Final = (KnownAt, StartDeadline, AskForDocuments)


@dataclass(frozen=True, slots=True)
class Checked:
    """Changes that may be written in this commit, and their messages as they are before them."""

    changes: Sequence[Transition | Note]
    present: Mapping[str, MessageRow]


def apply(transaction: Transaction, *changes: Transition | Note) -> Applied | Refusal:
    """Writes changes that succeed or fail together. Where they are refused nothing is written, and the caller
    must not have written anything before; nor where this raises `IllegalTransition`."""
    checked = check(transaction, changes)
    return checked if isinstance(checked, Refusal) else Applied(write(transaction, checked))


def apply_as_read(transaction: Transaction, *changes: Transition | Note) -> State:
    """Writes changes that were decided on what this commit has read, and returns the state after the last of
    them: nothing can have overtaken them."""
    applied = apply(transaction, *changes)
    if isinstance(applied, Refusal):
        raise NotAsRead(f"{changes[-1].message}: {applied.value}")
    return applied.state


def apply_notice(
    transaction: Transaction, change: AgreementChange, notice: Arrival, actor: str, at: datetime
) -> None:
    """Applies a notice that did not come through a channel to its agreement, which must be as the notice was
    decided on."""
    if revision_of(transaction, change.after.number) != change.seen:
        raise NotAsRead(change.after.number)
    _record(transaction, change, notice, actor, at)


def _record(
    transaction: Transaction, change: AgreementChange, notice: Arrival, actor: str, at: datetime
) -> None:
    record_notice(transaction, change, notice, actor, at)
    _wake_for(transaction, change.after, at)


def apply_to_answer(
    transaction: Transaction,
    answer: str,
    state: State,
    backend: str,
    at: datetime,
    *,
    linked: str | None,
    reason: str,
) -> None:
    """Ends the wait of an answer of customs: its declaration has arrived, or the answer is held for an
    operator."""
    changed = {"state": state, "reason": reason, "moved_at": at, "waiting_for": None, "linked": linked}
    transaction.connection.execute(_ANSWER, {"answer_id": answer, **changed})
    transaction.log(answer, at, MATCHED, backend, state, linked=linked)


def check(transaction: Transaction, changes: Sequence[Transition | Note]) -> Checked | Refusal:
    """The changes, if what they were decided on is still so; for a commit that writes something else before
    them, and ends with `write`."""
    present: dict[str, MessageRow] = {}
    for change in changes:
        if change.message not in present:
            present[change.message] = MessageRow.read(transaction, change.message)
    states = {message: status.state for message, status in present.items()}
    for change in changes:
        if isinstance(change, Note):
            continue
        row, state, seen = present[change.message].row, states[change.message], change.seen
        if seen.fence is not None and not TO_JUDGE.holds(transaction, row.seq, seen.fence):
            return Refusal.LATE
        if (
            seen.revision not in (None, row.revision)
            or seen.state not in (None, state)
            or seen.name not in (None, row.name)
            or any(is_superseded(transaction, effect, row) for effect in change.effects)
        ):
            return Refusal.SUPERSEDED
        states[change.message] = advance(state, change.event)
    return Checked(changes, present)


def write(transaction: Transaction, checked: Checked) -> State:
    """Returns the state after the last of the changes."""
    with NewReceipts(transaction) as to_add:
        for change, following in zip_longest(checked.changes, checked.changes[1:]):
            present = checked.present[change.message]
            if not _leaves_its_row(change):
                present.write(transaction)
            _write(transaction, change, present, to_add)
            together = following is not None and following.message == change.message
            if not (together and _leaves_its_row(change) and _leaves_its_row(following)):
                present.write(transaction)
    return checked.present[checked.changes[-1].message].state


def _write(
    transaction: Transaction, change: Transition | Note, present: MessageRow, to_add: NewReceipts
) -> None:
    if isinstance(change, Note):
        transaction.log(change.message, change.at, change.word, change.actor, present.state, **change.detail)
        return
    state = advance(present.state, change.event)
    detail: dict[str, object] = dict(change.detail)
    for effect in change.effects:
        detail |= _apply_effect(transaction, effect, change, present, to_add)
    added = to_add.put(change.message, change.receipts, change.at)
    if "receipt" in detail and detail["receipt"] not in _digests(added):
        del detail["receipt"]
    # Kept, since a later claim must not have the fence of one that may still be in progress.
    last_fence = TO_JUDGE.end(transaction, present.row.seq) if present.state is State.RECEIVED else {}
    revision = present.revision
    present.change(state, change, last_fence)
    if state is State.RECEIVED or change.findings is not None:
        present.write(transaction)  # what follows reads the row
    if state is State.RECEIVED:
        queue_for_judgement(transaction, present.row.seq, present.turn(change.columns))
    if change.findings is not None:
        note_faults(transaction, present.row.seq, change.findings, revision)
    detail |= unsigned(added)
    transaction.log(change.message, change.at, change.event, change.actor, state, **detail)


def _write_alone(transaction: Transaction, change: Transition, present: MessageRow) -> None:
    _write(transaction, change, present, NewReceipts(transaction))
    present.write(transaction)


def _leaves_its_row(change: Transition | Note) -> bool:
    """Whether the effects of a change neither read nor write the row of its message: then that is written
    once for several such changes, as for the answers to one declaration."""
    return isinstance(change, Transition) and all(isinstance(effect, _BESIDE) for effect in change.effects)


def _digests(receipts: Sequence[Receipt]) -> set[str]:
    return {hashlib.sha256(receipt.body).hexdigest() for receipt in receipts}


def _apply_effect(
    transaction: Transaction, effect: Effect, change: Transition, present: MessageRow, to_add: NewReceipts
) -> dict[str, object]:
    """Writes an effect and returns the details for its log entry."""
    message, at = change.message, change.at
    match effect:
        case WakeVersions():
            for row in versions_of(transaction.connection, message, effect.facts):
                if row.state == State.WAITING:
                    awaited = Awaited(AwaitedKind.VERSION, (message,))
                    _judge_again(transaction, row, awaited, at, Columns(waiting_for=None))
        case TakeKey():
            take_key(transaction, message, effect.key)
        case Submit():
            # The home from which this one was restored may have judged and sent it after the backup was made.
            unsure = restored_since(transaction.connection, present.row.link_sequence or 0)
            submit(transaction, message, present.row.account, effect.submissions, at, unsure=unsure)
        case HoldDeliveries():
            hold_waiting(transaction, message, effect.note, at)
        case WithdrawDeliveries():
            return {"withdrawn": withdraw(transaction, message)}
        case SendAgain():
            send_again(transaction, message, at)
        case KnownAt():
            for backend in effect.backends:
                known_at(transaction, message, backend)
        case OvertakePending():
            to_add.add_now()
            overtake(transaction, message)
        case RepeatReceipts():
            to_add.add_now()
            repeat_receipts(transaction, message, present.row.name, effect.earlier, at)
        case ReleaseHoldings():
            if present.revision:  # otherwise it has consumed nothing yet
                reason = f"its declaration was rejected: {effect.reason}"
                freed = _release_agreement(transaction, message, reason, at, change.actor)
                transaction.connection.execute(_RELEASE_DOCUMENTS, {"message_id": message})
                release_key(transaction, message)
                return {} if change.event is Event.REFUSED else {"freed": freed}
        case ReleaseAgreement():
            _release_agreement(transaction, message, effect.reason, at, ACTOR)
        case ConsumeAgreement():
            consume(transaction, effect.registered, message, at)
        case RecordNotice():
            notice = arrival_of(present.row)
            _record(transaction, effect.change, notice, notice.account, at)
            if effect.holds:
                _hold_accepted_under(transaction, effect.change.after.number, at)
        case OweDocuments():
            owe(transaction, message, effect.obligation, effect.brought)
        case BringDocuments():
            bring(transaction, effect.declaration, effect.documents, at)
        case StartDeadline():
            start_deadline(transaction, message, effect.due_at, effect.remind_at, at)
        case AskForDocuments():
            ask(transaction, message, effect.why, at, note=effect.note)
        case Wake():
            _wake(transaction, effect.awaited, at)
        case StillMissing() | StillReplaced() | FirstInLine() | InOrder():
            pass  # these are only preconditions
    return {}


def _release_agreement(
    transaction: Transaction, message: str, reason: str, at: datetime, actor: str
) -> str | None:
    """Returns the number of the agreement; None if the message used none."""
    freed = release(transaction, message, reason, at, actor)
    if freed is None:
        return None
    _wake_for(transaction, freed, at)
    return freed.number


def _wake_for(transaction: Transaction, agreement: Agreement, at: datetime) -> None:
    """Has every message judged again that waits for this agreement by number, for one of several agreements,
    or for any mandate between its parties."""
    awaited = Awaited.agreements([agreement.number])
    _wake(transaction, awaited, at)
    for row in waiting_for_one_of(transaction.connection, agreement.number):
        _judge_again(transaction, row, awaited, at, Columns(waiting_for=awaited))
    if agreement.kind is AgreementKind.LONG_TERM:
        _wake(transaction, Awaited.mandate(agreement.trader, agreement.broker), at)


def _wake(transaction: Transaction, awaited: Awaited, at: datetime) -> None:
    for row in waiting_for(transaction.connection, awaited):
        _judge_again(transaction, row, awaited, at, Columns())


def _judge_again(
    transaction: Transaction, row: Waiting, awaited: Awaited, at: datetime, columns: Columns
) -> None:
    """Each message keeps its claim (`waiting_for`) until it is decided: if only one can have it, the one
    that was received first is judged first."""
    arrival = Transition(
        message=row.id,
        event=Event.ARRIVED,
        actor=ACTOR,
        at=at,
        detail={"thing": str(awaited)},
        columns=columns,
    )
    _write_alone(transaction, arrival, MessageRow.of(row))


def _hold_accepted_under(transaction: Transaction, number: str, at: datetime) -> None:
    """Holds messages that were accepted under this agreement, or under one that depends on this mandate, and
    that customs has not taken yet."""
    reason = f"agreement {number} was terminated"
    for row in accepted_under(transaction.connection, number):
        _write_alone(transaction, hold(row.id, ACTOR, reason, at), MessageRow.of(row))
