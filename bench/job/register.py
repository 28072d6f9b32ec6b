"""The register of the job: parties are kept, as they are while nobody changes them; what changes with each
declaration is asked for each, by plain `sqlite3`."""

import sqlite3
from collections.abc import Sequence

from adapters.store.read.register import SqlRegister
from gateway.model.agreements import RegisteredAgreement
from gateway.model.message import (
    DeclarationRecord,
    EarlierMessage,
    Key,
    SeparateAttachment,
    Version,
)
from gateway.model.parties import Party, Role

_SAME_KEY = (
    "SELECT 1 FROM messages WHERE party = ? AND family = ? AND type = ? AND reference = ? AND id <> ? LIMIT 1"
)
_SAME_BODY = "SELECT 1 FROM messages WHERE party = ? AND body_digest = ? AND reference <> ? LIMIT 1"


class JobRegister:
    """gateway.model.register.Register for declarations that were never seen before: one that was is no part
    of the job. Mandates are kept for a group (`new_group`)."""

    def __init__(self, register: SqlRegister, connection: sqlite3.Connection) -> None:
        self._register = register
        self._connection = connection
        self._accounts: dict[str, Party | None] = {}
        self._codes: dict[str, Party | None] = {}
        self._roles: dict[Role, Sequence[Party]] = {}
        self._mandates: dict[tuple[str, str], Sequence[RegisteredAgreement]] = {}

    def new_group(self) -> None:
        self._mandates.clear()

    def party_of(self, account: str) -> Party | None:
        if account not in self._accounts:
            self._accounts[account] = self._register.party_of(account)
        return self._accounts[account]

    def party_called(self, code: str) -> Party | None:
        if code not in self._codes:
            self._codes[code] = self._register.party_called(code)
        return self._codes[code]

    def in_role(self, role: Role) -> Sequence[Party]:
        if role not in self._roles:
            self._roles[role] = self._register.in_role(role)
        return self._roles[role]

    def mandates(self, trader: str, broker: str) -> Sequence[RegisteredAgreement]:
        if (trader, broker) not in self._mandates:
            self._mandates[trader, broker] = self._register.mandates(trader, broker)
        return self._mandates[trader, broker]

    def holder(self, key: Key, message: str = "") -> EarlierMessage | None:
        """Nor are there other versions: each has a row under its key."""
        where = (key.party, key.family, key.type, key.reference, message)
        assert self._connection.execute(_SAME_KEY, where).fetchone() is None
        return None

    def versions(self, key: Key, message: str) -> Sequence[Version]:
        return ()

    def same_body(self, key: Key, body: str) -> EarlierMessage | None:
        found = self._connection.execute(_SAME_BODY, (key.party, body, key.reference)).fetchone()
        assert found is None
        return None

    def agreement(self, number: str) -> RegisteredAgreement | None:
        return self._register.agreement(number)

    def shown(self, number: str) -> Sequence[str]:
        return self._register.shown(number)

    def declaration(
        self, *, party: str, reference: str, seq_no: str, entry_id: str
    ) -> DeclarationRecord | None:
        return self._register.declaration(party=party, reference=reference, seq_no=seq_no, entry_id=entry_id)

    def separate_attachments(self, party: str, name: str) -> Sequence[SeparateAttachment]:
        return self._register.separate_attachments(party, name)

    def joined(self, message: str) -> Sequence[SeparateAttachment]:
        return self._register.joined(message)
