"""What is on record of parties, agreements and earlier messages."""

from collections.abc import Sequence
from typing import Protocol

from gateway.model.agreements import RegisteredAgreement
from gateway.model.message import DeclarationRecord, EarlierMessage, Key, SeparateAttachment, Version
from gateway.model.parties import Party, Role


class Parties(Protocol):
    """The registered parties."""

    def party_of(self, account: str) -> Party | None: ...

    def party_called(self, code: str) -> Party | None:
        """The party with this customs code, social credit code or organisation code (`Party.is_called`)."""
        ...

    def in_role(self, role: Role) -> Sequence[Party]:
        """The parties of a role that have an account, by customs code."""
        ...


class Register(Parties, Protocol):
    """The look-ups of the stages. Synchronous: it is read inside worker processes."""

    def agreement(self, number: str) -> RegisteredAgreement | None: ...

    def mandates(self, trader: str, broker: str) -> Sequence[RegisteredAgreement]:
        """All long-term mandates ever notified between these two customs codes, oldest first."""
        ...

    def shown(self, number: str) -> Sequence[str]:
        """The back-ends that were given declarations under this agreement."""
        ...

    def declaration(
        self, *, party: str, reference: str, seq_no: str, entry_id: str
    ) -> DeclarationRecord | None:
        """The accepted declaration that matches all of these that are not empty. A reference means the newest
        declaration of the party with the customs code `party`."""
        ...

    def separate_attachments(self, party: str, name: str) -> Sequence[SeparateAttachment]:
        """The PDFs that the party sent on their own and that wait for a declaration, of which the names are
        spelt like this one with its suffix or without; the newest first."""
        ...

    def joined(self, message: str) -> Sequence[SeparateAttachment]:
        """The PDFs that joined this message when it was accepted before."""
        ...

    def holder(self, key: Key, message: str = "") -> EarlierMessage | None:
        """The accepted message that holds this key, else the last one under it that was rejected. Our own
        failures are never counted. Where `message` holds it already, it is the
        one of this key that it is linked to."""
        ...

    def versions(self, key: Key, message: str) -> Sequence[Version]:
        """The other messages of this key that wait, or were woken and are not decided yet."""
        ...

    def same_body(self, key: Key, body: str) -> EarlierMessage | None:
        """The last accepted message of this party with this body under another reference."""
        ...
