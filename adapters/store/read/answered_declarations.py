"""The declarations that answers belong to, as they stand. Read-only and synchronous, for worker processes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, and_, bindparam, or_, select

from adapters.store.rows import DECLARATION_OF
from adapters.store.tables.messages import agreements, deliveries, messages, receipts
from gateway.model.agreements import AgreementKind, AgreementUse
from gateway.model.answer import AnsweredDeclaration, CustomsAnswer
from gateway.model.message import Operation, ReceiptKind
from gateway.model.states import CustomsStatus, State
from gateway.respond.match import match


class SqlDeclarations:
    """gateway.respond.ports.Declarations on one connection, for one thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def target(self, parsed: CustomsAnswer, key: str | None, backend: str) -> AnsweredDeclaration | None:
        row = match(parsed, key, _Candidates(self._connection, backend))
        return None if row is None else _answered(self._connection, row)


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
_RELEASED_TO: Final = select(receipts.c.account).where(
    receipts.c.message == bindparam("message_id"),
    receipts.c.kind == ReceiptKind.NOTICE,
    receipts.c.verdict == CustomsStatus.RELEASED,
)

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


def _answered(reader: Connection, row: _Inbound) -> AnsweredDeclaration:
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
