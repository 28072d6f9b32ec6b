"""What a decision changes beyond its own message: agreements, documents owed, what waits for it."""

from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, select

from adapters.store.database import Transaction
from adapters.store.read.register_queries import spelt_things
from adapters.store.tables.messages import IN_WAIT, messages
from adapters.store.write.agreements import revision_of, revisions_between, tell, use
from adapters.store.write.documents_due import deliver, owe
from adapters.store.write.hold import hold_under
from adapters.store.write.waits import claimed_before, finish, wake
from gateway.model.decision import Decision, Lack, Matter
from gateway.model.file_names import listed_as
from gateway.model.message import ATTACHMENT, Arrival
from gateway.model.ports import Superseded
from gateway.model.states import Event

# PDFs that came on their own.
_ATTACHED = select(messages.c.id).where(IN_WAIT, messages.c.type == ATTACHMENT)
_LOOSE: Final = _ATTACHED.where(messages.c.spelt.in_(bindparam("things", expanding=True)))
_OF_ITS_NAME: Final = _ATTACHED.where(messages.c.waiting_for == bindparam("thing"))


def write_consequences(transaction: Transaction, decision: Decision, arrival: Arrival, now: datetime) -> None:
    """Writes them in the commit of the decision on `arrival`. Raises `Superseded` where something that the
    judgement saw has changed since."""
    message = arrival.id
    for replaced in decision.replaced:
        finish(transaction, replaced, Event.REPLACED, message, now)
    if decision.lack is not None:
        _check_still_lacking(transaction, message, decision.lack)
    for joined in decision.joined:
        if decision.facts is not None:
            _check_its_turn(transaction, decision.facts.key.party, joined.name, message)
        finish(transaction, joined, Event.JOINED, message, now)
    matter = decision.matter
    _write_agreement(transaction, matter, arrival, now)
    if matter.obligation is not None:
        owe(transaction, message, matter.obligation, matter.brings)
    elif matter.brings and decision.linked is not None:
        deliver(transaction, decision.linked, matter.brings, now)
    for thing in decision.brings:
        wake(transaction, thing, now)


def _write_agreement(transaction: Transaction, matter: Matter, arrival: Arrival, now: datetime) -> None:
    if matter.use is not None:
        use(transaction, matter.use, arrival.id, now)
    if matter.change is not None:
        tell(transaction, matter.change, arrival, arrival.account, now)
        if matter.holds:
            hold_under(transaction, matter.change.after.number, now)


def _check_its_turn(transaction: Transaction, party: str, file: str, message: str) -> None:
    """Raises `Superseded` where another that lists this PDF was received first and waited for it."""
    for name in listed_as(file):
        if claimed_before(transaction, f"document {party} {name}", message):
            raise Superseded(message)


def _check_still_lacking(transaction: Transaction, message: str, lack: Lack) -> None:
    """Raises `Superseded` where the thing came while the message was judged: nothing would wake it then."""
    kind, _space, name = lack.thing.partition(" ")
    numbers = {"agreement": [name], "agreements": name.split()}.get(kind, [])
    if numbers and sum(revision_of(transaction, number) for number in numbers) != lack.seen:
        raise Superseded(message)
    if kind == "mandate":
        trader, _space, broker = name.partition(" ")
        if revisions_between(transaction, trader, broker) != lack.seen:
            raise Superseded(message)
    if kind in ("document", "declaration"):
        # The document is there now, or another PDF of the very name of one that waits for its declaration.
        party, _space, file = name.partition(" ")
        found = (
            (_LOOSE, {"things": spelt_things(party, file)})
            if kind == "document"
            else (_OF_ITS_NAME, {"thing": lack.thing})
        )
        if transaction.connection.execute(*found).first() is not None:
            raise Superseded(message)
