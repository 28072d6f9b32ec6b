"""What the gateway handles, from the arrival of a package to the receipt, as small frozen values.

No value has an optional field that a later stage needs: a stage takes the result of the one before it, so
a check that is left out does not type-check.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import IO, Protocol

from gateway.faults import Finding
from gateway.states import Event, State

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_id(now: datetime, entropy: bytes) -> str:
    """A ULID: 26 characters that sort by time (48 bits of milliseconds, then 80 bits of `entropy`)."""
    number = int(now.timestamp() * 1000) << 80 | int.from_bytes(entropy[:10], "big")
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -5, -5))


class Operation(StrEnum):
    """What a message asks customs to do with the declaration (DecSign/OperType; FORMATS 1.12)."""

    SAVE = "save"
    DECLARE = "declare"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainLink:
    """A place in the log of events: its global sequence number and the SHA-256 (hex) of the log up to it."""

    sequence: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A package that a channel has made durable and is about to acknowledge."""

    id: str
    account: str
    channel: str
    name: str
    sha256: str
    size: int
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message as the store hands it to judgement. `attempts` counts this one; `link` is its first event."""

    arrival: Arrival
    attempts: int
    link: ChainLink


@dataclass(frozen=True, slots=True, kw_only=True)
class Pdf:
    """What was found in an attached file, as facts; the rules judge them (FORMATS 3.4).

    `problem` says why the file could not be read as a PDF at all, else it is empty. `version` is major * 10 +
    minor (14 for PDF 1.4), 0 where unknown. `trailer` is the data block of FORMATS 3.2 after the PDF, if any.
    """

    problem: str = ""
    version: int = 0
    pages: int = 0
    encrypted: bool = False
    signed: bool = False
    trailer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One file of the package: the digest is over its unpacked bytes; `pdf` is None for the XML document."""

    name: str
    sha256: str
    size: int
    pdf: Pdf | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """What `unpack` found: the bytes of the one XML document and what the parts are, the document first."""

    document: bytes
    document_name: str
    parts: tuple[Part, ...]
    is_zip: bool

    @property
    def attachments(self) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.pdf is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What makes two messages the same one (CONTRACT.md, "Duplicates"). `party` is a customs code."""

    party: str
    family: str
    type: str
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the gateway must know of a message to handle it, read from its verified content by the profile.

    `content` is the SHA-256 over the sorted (part name, SHA-256) list; `body` is the same with the document
    taken without what the profile names as identity (DecSign), so that it shows the same goods sent under
    another reference. `values` holds every fact that the profile names, for routes, envelope and operators.
    """

    key: Key
    content: str
    body: str
    operation: Operation
    values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """An earlier message with the same key, or with the same body, as far as a judgement needs it."""

    id: str
    state: State
    reference: str
    content: str
    operation: Operation
    refused_by_customs: bool


class ReceiptKind(StrEnum):
    """`GATEWAY` is our own signed receipt; the others are in the Single Window form (FORMATS 2)."""

    GATEWAY = "gateway"
    TECHNICAL = "technical"
    BUSINESS = "business"
    REPORT = "report"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A file for an account: in its InBox, or for a `REPORT` in its FailBox.

    `verdict` is that of a gateway receipt; `final` marks the one final gateway receipt of a message.
    """

    account: str
    name: str
    kind: ReceiptKind
    body: bytes
    verdict: str = ""
    final: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What goes to customs for one message. `key` is the same however often it is sent: the message's id.

    `envelope` is the signed submission envelope; the original package follows it byte for byte.
    """

    key: str
    destination: str
    envelope: bytes
    package_sha256: str
    package_name: str
    package_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The outcome of one judgement: everything that one commit writes, or nothing of it.

    `attempt` is that of the judgement: a decision that comes too late, after the lease went to another, is
    not committed. `holder` is the accepted message that held `facts.key` when this was judged (None: no one);
    if that has changed since, nothing is committed and the message is judged again. `linked` is the earlier
    message that this one repeats, corrects or updates.
    """

    message: str
    attempt: int
    event: Event
    findings: tuple[Finding, ...] = ()
    facts: Facts | None = None
    receipts: tuple[Receipt, ...] = ()
    submission: Submission | None = None
    holder: str | None = None
    linked: str | None = None
    reason: str = ""
    trail: dict[str, str] = field(default_factory=dict)


class Blob(Protocol):
    """Opens the stored bytes of a package for reading; each call gives a new seekable stream."""

    def __call__(self) -> IO[bytes]: ...
