"""What judgement looks up: parties and earlier messages. Read-only and synchronous, for worker processes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, replace
from functools import lru_cache, partial
from typing import Any, Final, Self

from pydantic import TypeAdapter
from sqlalchemy import (
    Connection,
    Engine,
    Select,
    String,
    Text,
    bindparam,
    cast,
    func,
    literal_column,
    or_,
    select,
)

from adapters.store.prepared import PreparedConnection
from adapters.store.read.register_queries import (
    DECLARATION_BY,
    JOINED,
    SEPARATE_ATTACHMENTS,
    declared_of,
    separate_attachment_of,
    spelt_names,
)
from adapters.store.rows import DECLARATION_OF
from adapters.store.tables.messages import agreements, deliveries, holders, messages, parties, party_changes
from adapters.store.write.agreements import AGREEMENT
from adapters.store.write.waits import VERSIONS
from gateway.model.agreements import Agreement, AgreementKind, RegisteredAgreement
from gateway.model.message import (
    DeclarationRecord,
    EarlierMessage,
    Key,
    Operation,
    SeparateAttachment,
    Version,
)
from gateway.model.parties import Party, Role
from gateway.model.states import CustomsStatus, State

_PARTY: Final = TypeAdapter(Party)

_RECORD: Final = cast(parties.c.record, Text)  # as text, so that it is parsed only where it has changed

_PARTY_OF: Final = select(_RECORD).where(parties.c.account == bindparam("account"))
_ALL_PARTIES: Final = select(_RECORD).order_by(parties.c.code)
# The names of a party are distinguished by their length.
_PARTY_CALLED: Final = {
    length: select(_RECORD).where(column == bindparam("code"))
    for length, column in ((10, parties.c.code), (18, parties.c.scc), (9, parties.c.organisation))
}
_EARLIER: Final = (
    messages.c.id,
    DECLARATION_OF,
    messages.c.state,
    messages.c.reference,
    messages.c.content,
    messages.c.operation,
    messages.c.customs_status,
    messages.c.seq_no,
)
_BY_KEY: Final = (
    (messages.c.party == bindparam("party"))
    & (messages.c.family == bindparam("family"))
    & (messages.c.type == bindparam("type"))
)
# The holder of the key, otherwise the last rejected message: one query for each message that is judged.
_HOLDER: Final = (
    select(*_EARLIER)
    .outerjoin(
        holders,
        (holders.c.message == messages.c.id)
        & (holders.c.party == messages.c.party)
        & (holders.c.family == messages.c.family)
        & (holders.c.type == messages.c.type)
        & (holders.c.reference == messages.c.reference),
    )
    .where(
        _BY_KEY,
        messages.c.reference == bindparam("reference"),
        holders.c.message.is_not(None) | (messages.c.state == State.REJECTED),
    )
    .order_by(holders.c.message.is_(None), messages.c.seq.desc())
    .limit(1)
)
# For a message that holds its key already, because it was accepted before: the message from which it took the
# key.
_BEFORE: Final = select(*_EARLIER).where(
    _BY_KEY,
    messages.c.reference == bindparam("reference"),
    messages.c.id == select(messages.c.linked).where(messages.c.id == bindparam("message")).scalar_subquery(),
)
_SAME_BODY: Final = (
    select(*_EARLIER)
    .where(
        _BY_KEY,
        messages.c.body_digest == bindparam("body"),
        messages.c.reference != bindparam("reference"),
        or_(*(messages.c.state == state for state in (State.ACCEPTED, State.DELIVERED, State.CLOSED))),
        messages.c.customs_status != CustomsStatus.REFUSED,
    )
    .order_by(messages.c.seq.desc())
    .limit(1)
)

# The operator that both databases have: SQLAlchemy's expression for an element of JSON needs its own
# processing of the path parameter.
_roles: Final = parties.c.record.op("->>", return_type=String())(literal_column("'roles'"))
_IN_ROLE: Final = (
    select(_RECORD)
    .where(parties.c.account.is_not(None), _roles.like(bindparam("role_pattern", type_=String())))
    .order_by(parties.c.code)
)
_NEWEST_CHANGE: Final = select(func.max(party_changes.c.id))
_REGISTERED: Final = (
    cast(agreements.c.record, Text),
    agreements.c.revision,
    agreements.c.message,
    agreements.c.name,
    agreements.c.sha256,
    agreements.c.size,
)
_AGREEMENT: Final = select(*_REGISTERED).where(agreements.c.number == bindparam("number"))
_MANDATES: Final = (
    select(*_REGISTERED)
    .where(
        agreements.c.trader == bindparam("trader"),
        agreements.c.broker == bindparam("broker"),
        agreements.c.kind == AgreementKind.LONG_TERM,
    )
    .order_by(agreements.c.number)
)
_SHOWN: Final = (
    select(deliveries.c.destination)
    .join(messages, messages.c.id == deliveries.c.message)
    .where(messages.c.agreement == bindparam("number"))
    .distinct()
)


class SqlRegister:
    """gateway.model.register.Register over its own engine. Safe to call from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._connect: Callable[[], AbstractContextManager[Connection]]
        self._connect = partial(PreparedConnection, engine)
        self._roles: dict[Role, tuple[int | None, Sequence[Party]]] = {}
        self._is_unchanged = False
        self._newest: int | None = None  # change of the register that `_parties` are as of
        self._parties: dict[tuple[str, str], Party | None] = {}

    @classmethod
    def over(cls, connection: Connection) -> Self:
        """A register on one connection, for one thread: checking one out for each query costs as much as the
        query."""
        register = cls(connection.engine)
        register._connect = lambda: nullcontext(connection)
        return register

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """The store is read as of one moment meanwhile: parties that were read before are not read again
        while the register has no newer change."""
        ((newest,),) = self._ask(_NEWEST_CHANGE, {})
        if newest != self._newest:
            self._parties.clear()
        self._newest, self._is_unchanged = newest, True
        try:
            yield
        finally:
            self._is_unchanged = False

    def party_of(self, account: str) -> Party | None:
        return self._party_by(_PARTY_OF, "account", account)

    def party_called(self, code: str) -> Party | None:
        query = _PARTY_CALLED.get(len(code))
        return None if query is None else self._party_by(query, "code", code)

    def _party_by(self, query: Select[Any], name: str, value: str) -> Party | None:
        if self._is_unchanged and (name, value) in self._parties:
            return self._parties[name, value]
        rows = self._ask(query, {name: value})
        party = _party(rows[0][0]) if rows else None
        if self._is_unchanged:
            self._parties[name, value] = party
        return party

    def parties(self) -> list[Party]:
        return [_party(record) for (record,) in self._ask(_ALL_PARTIES, {})]

    def in_role(self, role: Role) -> Sequence[Party]:
        # Roles have no index, and searching 5000 parties takes 20 ms; every brokered declaration asks for the
        # association. So the result is kept until the register changes.
        newest = self._newest
        if not self._is_unchanged:
            ((newest,),) = self._ask(_NEWEST_CHANGE, {})
        kept = self._roles.get(role)
        if kept is None or kept[0] != newest:
            parties = [_party(record) for (record,) in self._ask(_IN_ROLE, {"role_pattern": f'%"{role}"%'})]
            kept = self._roles[role] = (newest, parties)
        return kept[1]

    def agreement(self, number: str) -> RegisteredAgreement | None:
        rows = self._ask(_AGREEMENT, {"number": number})
        return _registered(rows[0]) if rows else None

    def mandates(self, trader: str, broker: str) -> Sequence[RegisteredAgreement]:
        return [_registered(row) for row in self._ask(_MANDATES, {"trader": trader, "broker": broker})]

    def shown(self, number: str) -> Sequence[str]:
        return [destination for (destination,) in self._ask(_SHOWN, {"number": number})]

    def declaration(
        self, *, party: str, reference: str, seq_no: str, entry_id: str
    ) -> DeclarationRecord | None:
        given_numbers = {"entry_id": entry_id, "seq_no": seq_no, "reference": reference}
        numbers = {name: value for name, value in given_numbers.items() if value}
        for name, value in numbers.items():
            rows = self._ask(DECLARATION_BY[name], {"number": value, "party": party})
            if rows:
                return declared_of(rows[0], numbers)
        return None

    def separate_attachments(self, party: str, name: str) -> Sequence[SeparateAttachment]:
        one, other = spelt_names(party, name)
        attachments = [
            separate_attachment_of(row)
            for row in self._ask(SEPARATE_ATTACHMENTS, {"spelling": one, "other_spelling": other})
        ]
        return sorted(attachments, key=lambda attachment: attachment.message.arrival.id, reverse=True)

    def joined(self, message: str) -> Sequence[SeparateAttachment]:
        return [
            replace(separate_attachment_of(row), joined=True)
            for row in self._ask(JOINED, {"message_id": message})
        ]

    def holder(self, key: Key, message: str = "") -> EarlierMessage | None:
        rows = self._ask(_HOLDER, asdict(key))
        if rows and rows[0][0] == message:
            rows = self._ask(_BEFORE, {**asdict(key), "message": message})
        return _earlier(rows[0]) if rows else None

    def versions(self, key: Key, message: str) -> Sequence[Version]:
        rows = self._ask(VERSIONS, {**asdict(key), "message": message})
        in_order = sorted(rows, key=lambda row: row[3])
        return [Version(id=row[0], content=row[1], later=bool(row[2])) for row in in_order]

    def same_body(self, key: Key, body: str) -> EarlierMessage | None:
        rows = self._ask(_SAME_BODY, {**asdict(key), "body": body})
        return _earlier(rows[0]) if rows else None

    def _ask(self, query: Select[*tuple[Any, ...]], values: dict[str, str]) -> Sequence[Any]:
        with self._connect() as connection:
            return connection.execute(query, values).all()


@lru_cache(maxsize=1024)
def _party(record: str) -> Party:
    """The party of a record; cached by text, since the register changes rarely."""
    return _PARTY.validate_json(record)


def _registered(row: Sequence[Any]) -> RegisteredAgreement:
    record, revision, message, name, sha256, size = row
    return RegisteredAgreement(
        agreement=_agreement(record), revision=revision, message=message, name=name, sha256=sha256, size=size
    )


@lru_cache(maxsize=1024)
def _agreement(record: str) -> Agreement:
    return AGREEMENT.validate_json(record)


def _earlier(row: Sequence[str]) -> EarlierMessage:
    id_, about, state, reference, content, operation, customs_status, seq_no = row
    return EarlierMessage(
        id=id_,
        about=about,
        seq_no=seq_no or "",
        state=State(state),
        reference=reference,
        content=content,
        operation=Operation(operation),
        refused_by_customs=customs_status == CustomsStatus.REFUSED,
    )
