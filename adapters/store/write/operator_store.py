"""Changes made by operators, over a `Database`: each act is one commit with its event."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, select

from adapters.store.apply import apply
from adapters.store.database import Database, Transaction
from adapters.store.read.message_snapshot import asked_about, last_receipt, receipts_after, snapshot
from adapters.store.read.message_status import message_status
from adapters.store.rows import facts_of, received_of
from adapters.store.tables.messages import agreements
from adapters.store.write.bulk_requests import (
    carry_out,
    decide,
    end,
    find_request,
    open_messages,
    write_request,
)
from adapters.store.write.delivery_actions import act_on
from gateway.judge.transitions import transitions
from gateway.model.agreements import AgreementKind, AgreementUse
from gateway.model.decision import Decision
from gateway.model.message import Received
from gateway.model.policy import OperationsPolicy
from gateway.model.rejection import Hold
from gateway.model.states import DeliveryState, Event, State
from gateway.model.transition import Applied, Refusal
from gateway.operate.bulk_requests import BulkRequest, RequestStatus, RequestTerms
from gateway.operate.delivery_actions import DeliveryAct
from gateway.operate.dry_run import Trial
from gateway.operate.message_actions import MessageAct, ReplayStage, event_of
from gateway.operate.ports import Change

_USED: Final = select(agreements.c.number, agreements.c.kind).where(
    agreements.c.number == bindparam("number"), agreements.c.used_by == bindparam("message_id")
)
_STAGES: Final = {Event.REPLAYED: ReplayStage.JUDGEMENT, Event.RESUMED: ReplayStage.DELIVERY}


class SqlOperatorStore:
    """gateway.operate.ports.OperatorStore over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def act(self, message: str, change: Change) -> Future[Applied | Refusal]:
        return self._database.submit(lambda to: change_message(to, message, change))

    def act_on_delivery(
        self, act: DeliveryAct, delivery: int, actor: str, reason: str, now: datetime
    ) -> Future[tuple[DeliveryState, State]]:
        return self._database.submit(lambda to: act_on(to, act, delivery, actor, reason, now))

    def stopped(self, message: str) -> Hold:
        with self._database.engine.connect() as reader:
            return stopped(reader, message)

    def try_out(
        self, message: str, change: Change, judged: Callable[[Received], Decision], now: datetime
    ) -> Trial | Refusal:
        with self._database.engine.connect() as reader:
            row, present = message_status(reader, message)
        event = change(present).event
        decision = judged(received_of(row)) if event is Event.REPLAYED else None

        def tried(transaction: Transaction) -> Trial | Refusal:
            connection = transaction.connection
            before, newest = snapshot(connection, message), last_receipt(connection)
            to_ask = asked_about(connection, message) if event is Event.RESUMED else ()
            outcome = change_message(transaction, message, change)
            if decision is not None and isinstance(outcome, Applied):
                own, *ended = transitions(decision, now)
                unclaimed = replace(own, seen=replace(own.seen, fence=None))
                outcome = apply(transaction, unclaimed, *ended)
            if isinstance(outcome, Refusal):
                return outcome
            transaction.write_log()
            return Trial(
                before=before,
                after=snapshot(connection, message),
                stage=_STAGES.get(event),
                receipts=receipts_after(connection, message, newest),
                deliveries=to_ask,
            )

        return self._database.rehearsed(tried)

    def write_request(
        self,
        id_: str,
        request: RequestTerms,
        messages: Sequence[str],
        policy: OperationsPolicy,
        now: datetime,
    ) -> str:
        return self._database.submit(
            lambda to: write_request(to, id_, request, lambda _reader: messages, policy, now)
        ).result()

    def request(self, id_: str) -> BulkRequest:
        with self._database.engine.connect() as reader:
            return find_request(reader, id_)

    def open_messages(self, id_: str) -> Sequence[str]:
        with self._database.engine.connect() as reader:
            return open_messages(reader, id_)

    def decide(self, id_: str, actor: str, decision: RequestStatus, words: str, now: datetime) -> None:
        self._database.submit(lambda to: decide(to, id_, actor, decision, words, now)).result()

    def carry_out(
        self, request: BulkRequest, message: str, change: Change, now: datetime
    ) -> Future[Refusal | None]:
        return self._database.submit(
            lambda to: carry_out(
                to, request, message, lambda transaction: change_message(transaction, message, change), now
            )
        )

    def end(self, id_: str, now: datetime) -> None:
        self._database.submit(lambda to: end(to, id_, now)).result()


def change_message(transaction: Transaction, message: str, change: Change) -> Applied | Refusal:
    """Writes a change that is decided on the message's status in this commit. Raises `KeyError` if there is
    no such message, and `Impossible`."""
    _row, present = message_status(transaction.connection, message)
    return apply(transaction, change(present))


def stopped(reader: Connection, message: str) -> Hold:
    """The data for the final receipt of a rejection. Raises `Impossible`, and `KeyError` if there is no such
    message."""
    row, present = message_status(reader, message)
    event_of(MessageAct.REJECT, present)
    used = reader.execute(_USED, {"number": row.agreement, "message_id": message}).first()
    return Hold(
        received=received_of(row),
        facts=facts_of(row),
        linked=row.linked,
        uses=None if used is None else AgreementUse(number=used.number, kind=AgreementKind(used.kind)),
        revision=row.revision,
    )
