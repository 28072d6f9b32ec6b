"""The ports of the core, with their guarantees. One contract suite per port in `tests/store/`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import IO, Protocol

from lxml import etree

from gateway.model.agreements import RegisteredAgreement
from gateway.model.decision import Decision
from gateway.model.dossier import Dossier, Reading, Recorded
from gateway.model.folders import Folder
from gateway.model.message import (
    Arrival,
    DeclarationRecord,
    EarlierMessage,
    Facts,
    Key,
    Receipt,
    ReceiptKind,
    Received,
    Reply,
    SeparateAttachment,
    Submission,
    Version,
)
from gateway.model.parties import Account, Party, Role
from gateway.model.transition import Applied, Refusal


class Clock(Protocol):
    """Aware UTC time. The stages never get a clock: they get `now`."""

    def __call__(self) -> datetime: ...


class Signer(Protocol):
    """The gateway's own key. The stages are handed a signer, never a key."""

    def sign(self, root: etree._Element) -> bytes:
        """The document with an enveloped XAdES-BES signature as last child of `root`, serialised as UTF-8
        with an XML declaration. `root` itself is left as it was."""
        ...


class Spool(Protocol):
    """Incoming bytes that do not belong to a message yet. Used by one thread at a time."""

    @property
    def size(self) -> int: ...

    def write(self, offset: int, data: bytes) -> None:
        """Writes at any offset, in any order; a full disk raises `OSError` and leaves the spool usable for
        `discard` only."""
        ...

    def truncate(self, size: int) -> None: ...

    def read(self, offset: int, length: int) -> bytes: ...

    def keep(self) -> tuple[str, int]:
        """Makes the bytes durable as a blob (file and folder synced) and returns (SHA-256 in hex, size).

        After it returns, the blob survives a power cut and `BlobStore.open` finds it. The spool cannot be
        used again. Raises `OSError` and keeps nothing when it cannot guarantee that.
        """
        ...

    def discard(self) -> None:
        """Leaves nothing behind. Safe to call twice, and after `keep`."""
        ...


class BlobStore(Protocol):
    """Immutable bytes by SHA-256. Written before they are referenced; the same bytes are kept once."""

    def spool(self) -> Spool: ...

    def open(self, sha256: str) -> IO[bytes]:
        """A seekable stream; raises `KeyError` where there is no such blob."""
        ...

    def sweep(self) -> int:
        """Removes spools that a crash left behind and returns their number; called before serving."""
        ...


class Intake(Protocol):
    """Where channels hand over."""

    async def add(self, arrival: Arrival, sender: Account | None = None) -> None:
        """Durable when it returns (one commit, synced); only then may the channel acknowledge.

        Raises and writes nothing when it cannot guarantee that, and raises `MessageRejected` where the
        arrival exceeds what the `sender` may send on this day, even if several come at once. The blob must be
        kept beforehand.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingReceipt:
    """A message that goes on later and whose sender is not notified yet. `down_since`: when the destination
    of an accepted message went down; None where it is held. `facts` are None where it was never judged."""

    received: Received
    facts: Facts | None
    down_since: datetime | None


class MessageStore(Intake, Protocol):
    """The messages that await a decision. Every method is one commit."""

    async def claim(self, limit: int, now: datetime, lease: timedelta) -> Sequence[Received]:
        """The oldest messages to judge, in turn between accounts, each with its attempt counted before the
        work; nobody else gets them until the lease ends."""
        ...

    async def decide(self, decision: Decision, now: datetime) -> Applied | Refusal:
        """Writes state, event, deliveries and receipts in one commit, or nothing. Raises
        `states.IllegalTransition`.
        """
        ...

    async def expire(self, now: datetime) -> int:
        """Hands waiting messages whose time is over to judgement (`Received.overdue`), and returns their
        number."""
        ...

    async def end_waits(self, now: datetime, longest: timedelta) -> int:
        """Ends every wait for a retry and every lease that lasts longer than `longest` from `now`: a clock
        that was ahead wrote it, and has been set back since. Returns their number."""
        ...

    async def put_back(self, received: Received, not_before: datetime, *, crashed: bool) -> None:
        """Ends a claim without a decision, unless it was lost. Only a crashed attempt stays counted."""
        ...

    async def pending_receipts(
        self, held_before: datetime, waiting_before: datetime, down: Mapping[str, datetime], limit: int
    ) -> Sequence["PendingReceipt"]:
        """The oldest messages whose sender must still be notified that they wait: those held since before
        `held_before`, and those accepted before `waiting_before` whose delivery waits for a destination that
        is `down` (by name, since when)."""
        ...

    async def send_pending_receipt(self, pending: "PendingReceipt", receipt: Receipt, now: datetime) -> None:
        """Adds a pending receipt to a message, unless it went on or was announced meanwhile."""
        ...


class WorkerDied(Exception):
    """The judging process died, or took too long and was ended."""


class Judges(Protocol):
    """Judgement and signing in worker processes, each with schemas compiled and keys parsed once."""

    @property
    def slots(self) -> int:
        """The number of messages that can usefully be handed over at once."""
        ...

    async def judge(self, received: Received, now: datetime) -> Decision:
        """Raises `JudgementDeferred`, `WorkerDied`, or anything else for a failure of our own."""
        ...

    async def pending_receipt(self, pending: PendingReceipt, now: datetime) -> Receipt:
        """The receipt that says that another will follow, and why."""
        ...

    async def signed(self, documents: Sequence[bytes]) -> Sequence[bytes]:
        """XML documents of our own making with the gateway's signature (`Signer.sign`), in their order and in
        one round trip. Raises `JudgementDeferred`, `WorkerDied`, or anything else for a failure of our
        own."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptDelivery:
    """A receipt to deliver to its account, with the reply properties of the message that it is for.
    `message_name` is the file name of that message."""

    receipt: int
    account: str
    message: str
    message_name: str
    reference: str
    name: str
    folder: Folder
    kind: ReceiptKind
    verdict: str
    final: bool
    body: bytes
    at: datetime
    reply: Reply | None


class AmqpDuplicates(Protocol):
    async def seen(self, account: str, message_id: str, sha256: str) -> bool:
        """Whether a message of the account with this AMQP message id and this package is stored already."""
        ...


class ReceiptDeliveries(Protocol):
    """Receipts of the accounts that do not fetch them (`parties.Delivery`), until they are delivered."""

    async def due(
        self, accounts: Sequence[str] | None, limit: int, now: datetime
    ) -> Sequence[ReceiptDelivery]:
        """The oldest due receipts, in their order: those of accounts with delivery AMQP, or, where `accounts`
        is given, those of these accounts (delivery FOLDER)."""
        ...

    async def posted(self, receipts: Sequence[int], now: datetime) -> None:
        """Notes that they were delivered: durable at the other end, as far as it confirms that."""
        ...

    async def later(self, receipts: Sequence[int], next_at: datetime) -> None:
        """Notes that they could not be delivered now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A delivery that the outbox has claimed, with the fence of the claim; if `unknown`, the back-end is
    asked before it is sent again. `unsure`: customs may have it already. `since`: the start of its time for
    delivery."""

    id: int
    message: str
    attempts: int
    fence: int
    unknown: bool
    submission: Submission
    since: datetime
    unsure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file as an account sees it. Its bytes are the blob `sha256`, or else the receipt `receipt`."""

    folder: Folder
    name: str
    size: int
    at: datetime
    sha256: str | None = None
    receipt: int | None = None


class DossierStore(Protocol):
    """The electronic dossiers (REFORM R12), read-only; every access is logged first."""

    async def admits(self, account: str) -> bool:
        """Whether the account reads dossiers: that of a party whose role is customs."""
        ...

    async def entries(self, limit: int) -> Sequence[tuple[str, datetime]]:
        """The numbers of the newest entries that have one, newest first, each with the time of its last
        change."""
        ...

    async def dossier(self, entry: str) -> Dossier | None: ...

    async def body(self, recorded: Recorded) -> bytes:
        """Raises `KeyError` where there is no such row."""
        ...

    async def note(self, reading: Reading) -> None:
        """Durable when it returns; nothing is shown before that."""
        ...


class Register(Protocol):
    """The look-ups of the stages. Synchronous: it is read inside worker processes."""

    def party_of(self, account: str) -> Party | None: ...

    def party_called(self, code: str) -> Party | None:
        """The party with this customs code, social credit code or organisation code (`Party.is_called`)."""
        ...

    def in_role(self, role: Role) -> Sequence[Party]:
        """The parties of a role that have an account, by customs code."""
        ...

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

    def loose(self, party: str, name: str) -> Sequence[SeparateAttachment]:
        """The PDFs that the party sent on their own and that wait for a declaration, of which the names are
        spelt like this one with its suffix or without; the newest first."""
        ...

    def joined(self, message: str) -> Sequence[SeparateAttachment]:
        """The PDFs that joined this message when it was accepted before."""
        ...

    def holder(self, key: Key, message: str = "") -> EarlierMessage | None:
        """The accepted message that holds this key, else the last one under it that was rejected. Our own
        failures are never counted (CONTRACT.md, "Duplicates"). Where `message` holds it already, it is the
        one of this key that it is linked to."""
        ...

    def versions(self, key: Key, message: str) -> Sequence[Version]:
        """The other messages of this key that wait, or were woken and are not decided yet."""
        ...

    def same_body(self, key: Key, body: str) -> EarlierMessage | None:
        """The last accepted message of this party with this body under another reference."""
        ...


class Outcome(StrEnum):
    """The outcome of sending a submission."""

    TAKEN = "taken"
    LATER = "later"  # not taken, an outage; may be sent again
    BUSY = "busy"  # not taken: the back-end asks us to send less, or later
    DENIED = "denied"  # not taken: it denies us access; an operator has to repair the connection
    NEVER = "never"  # refused for good as it is
    UNKNOWN = "unknown"  # sent, no reply: ask before sending again


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer of customs, as it came. `id` is the back-end's own, for `acknowledge`; `key` is that of the
    submission it answers, where the connection gives it (a correlation id, a file name); an empty one becomes
    None."""

    id: str
    name: str
    body: bytes
    key: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", self.key or None)


class Backend(Protocol):
    """The authority's side: takes one submission at a time, hands out answers until acknowledged.

    Submissions are idempotent by their key.
    """

    async def submit(self, submission: Submission, opened: Callable[[str], IO[bytes]]) -> tuple[Outcome, str]:
        """Sends the zip of envelope, package and enclosures (`submission.write_zip`); `opened` gives stored
        bytes by SHA-256. The text says why it was not taken, for operators. Failures of customs or the
        network do not raise; any exception counts as `UNKNOWN`."""
        ...

    async def ask(self, key: str) -> tuple[Outcome | None, str]:
        """Whether customs has the submission with this key: `TAKEN`, `LATER` (it has not, and nothing that
        was sent before can still come to it: send it again), or `UNKNOWN` (it cannot be told now; the text
        says why). None where nobody can say so: it is sent again under its key, and whether customs had it
        before stays unknown."""
        ...

    async def answers(self, limit: int) -> Sequence[Answer]:
        """The oldest unacknowledged answers, without waiting; the same ones again until acknowledged."""
        ...

    async def acknowledge(self, ids: Sequence[str]) -> None:
        """Called after the commit that made the answers durable here."""
        ...
