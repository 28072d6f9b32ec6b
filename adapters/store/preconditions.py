"""What a change was decided on, checked again in the commit that writes it. The rules are the core's; only
what they go by is read here."""

from typing import Any, Final

from sqlalchemy import Row, bindparam, select

from adapters.store.claims import TO_JUDGE
from adapters.store.database import Transaction
from adapters.store.tables.messages import messages
from adapters.store.write.agreements import is_as_judged
from adapters.store.write.keys import holder
from adapters.store.write.waits import claimants, revision_of, still_missing, version, versions_of
from gateway.model.message import Facts, Version
from gateway.model.states import State
from gateway.model.transition import (
    ConsumeAgreement,
    Effect,
    FirstInLine,
    InOrder,
    RecordNotice,
    RepeatReceipts,
    StillMissing,
    StillReplaced,
    TakeKey,
    WakeVersions,
)
from gateway.rules.order_of_receipt import comes_first, is_decided_by_another, replaced_by

_STATE: Final = select(messages.c.state).where(messages.c.id == bindparam("message_id"))


def is_superseded(transaction: Transaction, effect: Effect, row: Row[*tuple[Any, ...]]) -> bool:
    """Whether the facts on which an effect of a change to the message in `row` was decided have changed
    since."""
    match effect:
        case TakeKey():
            return holder(transaction, effect.key) not in (effect.expected, row.id)
        case WakeVersions():
            return is_decided_by_another(_versions(transaction, row.id, effect.facts), effect.facts.content)
        case RepeatReceipts():  # another version may have replaced it
            state = transaction.connection.execute(_STATE, {"message_id": effect.earlier}).scalar()
            return state == State.REJECTED
        case StillReplaced():  # the version may have been sent again since
            if holder(transaction, effect.facts.key) is not None:  # it was replaced by one that is accepted
                return False
            return replaced_by(_versions(transaction, row.id, effect.facts), effect.facts.content) is None
        case StillMissing():
            return not still_missing(transaction, effect.wait, effect.replaced)
        case FirstInLine():
            return not comes_first(row.seq, claimants(transaction.connection, effect.taken))
        case InOrder():
            revision = revision_of(transaction, effect.agreement)
            return revision != effect.seen or TO_JUDGE.has_before(transaction, row.account, row.seq)
        case ConsumeAgreement():
            return not is_as_judged(transaction, effect.registered, row.id)
        case RecordNotice():
            return revision_of(transaction, effect.change.after.number) != effect.change.seen
        case _:
            return False


def _versions(transaction: Transaction, message: str, facts: Facts) -> list[Version]:
    return [version(row) for row in versions_of(transaction.connection, message, facts)]
