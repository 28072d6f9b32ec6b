"""The search index of a message: its facts as columns, and its faults as an index of `messages.findings`."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import bindparam, delete, insert, select

from adapters.store.database import Transaction
from adapters.store.tables.messages import messages
from adapters.store.tables.operations import message_faults
from gateway.model.faults import Finding, Severity
from gateway.model.message import Facts

_REMOVE: Final = delete(message_faults).where(message_faults.c.seq == bindparam("message_seq"))
_COPIED: Final = ("account", "party", "office", "family", "type")
_ROW: Final = select(*(messages.c[name] for name in _COPIED)).where(
    messages.c.seq == bindparam("message_seq")
)
_NOTE: Final = insert(message_faults)


def fact_columns(facts: Facts) -> dict[str, object]:
    return {
        "party": facts.key.party,
        "family": facts.key.family,
        "type": facts.key.type,
        "reference": facts.key.reference,
        "content": facts.content,
        "body_digest": facts.body,
        "operation": facts.operation,
        "office": facts.values.get("office", "")[:4] or None,
        "facts": facts.values,
    }


def note_faults(transaction: Transaction, seq: int, findings: Sequence[Finding], revision: int) -> None:
    """Indexes the message by the codes and rules of these errors, and by no others.

    Called when its row is written. `revision` is the one before: at 0 there are no entries to delete.
    """
    if revision:
        transaction.connection.execute(_REMOVE, {"message_seq": seq})
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    names = sorted({name for finding in errors for name in (finding.code, finding.rule) if name})
    if names:
        copied = transaction.connection.execute(_ROW, {"message_seq": seq}).one()._asdict()
        transaction.connection.execute(_NOTE, [{"fault": name, "seq": seq, **copied} for name in names])
