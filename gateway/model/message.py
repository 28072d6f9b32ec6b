"""The values that the gateway handles, from the arrival of a package to the receipt; small and frozen.

No value has an optional field that a later stage needs: a stage takes the result of the one before it, so
a check that is left out does not type-check.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import IO, Final, Protocol

from gateway.model.states import CustomsStatus, State

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

# The key of a submission: a message's id, and the office where it is the copy for a second one.
SUBMISSION_KEY: Final = re.compile(rf"[{_CROCKFORD}]{{26}}(?:-[0-9]{{4}})?")


def new_id(now: datetime, entropy: bytes) -> str:
    """A ULID: 26 characters that sort by time (48 bits of milliseconds, then 80 bits of `entropy`)."""
    number = int(now.timestamp() * 1000) << 80 | int.from_bytes(entropy[:10], "big")
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -5, -5))


def number_of(id_: str) -> int:
    """The 128-bit number that an id (`new_id`) writes."""
    return sum(_CROCKFORD.index(letter) << 5 * place for place, letter in enumerate(reversed(id_)))


def made_at(id_: str) -> datetime:
    """The time of an id that `new_id` made."""
    return datetime.fromtimestamp((number_of(id_) >> 80) / 1000, UTC)


class Operation(StrEnum):
    """What a message asks customs to do with the declaration (DecSign/OperType). `INFORM` asks nothing: it
    is finished once customs took it."""

    SAVE = "save"
    DECLARE = "declare"
    INFORM = "inform"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainLink:
    """A place in the log of events: its global sequence number and the SHA-256 (hex) of the log up to it."""

    sequence: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The reply properties of an AMQP message: its own id, and how and where its sender expects receipts
    (`to` is empty where it named no queue)."""

    message_id: str
    correlation: str
    to: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A package that a channel has made durable and is about to acknowledge. `traceparent` is the
    sender's header that names the trace it belongs to, if there is one; it is not stored."""

    id: str
    account: str
    channel: str
    name: str
    sha256: str
    size: int
    received_at: datetime
    reply: Reply | None = None
    traceparent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message as the store hands it to judgement. `link` is its first event; `attempts` counts the
    judgements that were begun and did not end, with this one, and `fence` is that of the claim (both 0 where
    it is not claimed). `overdue` names what it waited for until its time was over, if it did; `again`: it was
    decided before, or held by an operator."""

    arrival: Arrival
    link: ChainLink
    attempts: int = 0
    fence: int = 0
    overdue: str = ""
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pdf:
    """Facts found in an attached file; the rules judge them.

    `problem` says why the file could not be read as a PDF at all, else it is empty; `problem_zh` says it in
    Chinese. `active` names the contents that a viewer would run or unpack (JavaScript, Launch,
    EmbeddedFiles). `version` is major * 10 + minor (14 for PDF 1.4), 0 where unknown. `trailer` says whether
    the data block of an import client follows the PDF; `trailer_name` and `trailer_code` are the file and the
    document class that it names, if it does.
    """

    problem: str = ""
    problem_zh: str = ""
    active: str = ""
    version: int = 0
    pages: int = 0
    encrypted: bool = False
    signed: bool = False
    trailer: bool = False
    trailer_name: str = ""
    trailer_code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One file of the package: the digest is over its unpacked bytes; `pdf` is None for the XML document."""

    name: str
    sha256: str
    size: int
    pdf: Pdf | None = None


ATTACHMENT: Final = "Attachment"  # the type of a message that is a PDF on its own


@dataclass(frozen=True, slots=True, kw_only=True)
class SeparateAttachment:
    """A PDF that was sent on its own and waits for the declaration listing it, or has `joined` it already,
    where the declaration is judged again."""

    message: Received
    part: Part
    joined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """The result of `unpack`: the bytes of the XML document, and the parts, the document first. `ignored` are
    files in the zip without meaning (`Entry.ignored`). `loose` are PDFs that belong to it and came
    separately, `missing` the names of those that may still come.
    """

    document: bytes
    document_name: str
    parts: tuple[Part, ...]
    is_zip: bool
    ignored: tuple[Part, ...] = ()
    separate_attachments: tuple[SeparateAttachment, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def attachments(self) -> tuple[Part, ...]:
        own = tuple(part for part in self.parts if part.pdf is not None)
        return own + tuple(each.part for each in self.separate_attachments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """The key by which two messages are the same one (docs/for-brokers.md, "Sent twice"). `party` is
    a customs code."""

    party: str
    family: str
    type: str
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The facts that the gateway needs of a message, read from its verified content by the profile.

    `content` is the SHA-256 over the sorted (part name, SHA-256) list; `body` is the same with the document
    taken without what the profile names as identity (DecSign), so that the same goods under another reference
    are recognised. `values` holds every fact that the profile names, for routes, envelope and operators.
    """

    key: Key
    content: str
    body: str
    operation: Operation
    values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierMessage:
    """An earlier message with the same key, or with the same body, as far as a judgement needs it. `about` is
    that of its submission, or its own id; `seq_no` is its number, empty where it has none yet."""

    id: str
    about: str
    seq_no: str
    state: State
    reference: str
    content: str
    operation: Operation
    refused_by_customs: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """Another message of one key that waits, or was woken and is judged again; `later` says whether it was
    received after the one that is judged."""

    id: str
    content: str
    later: bool


def message_of(key: str) -> str:
    """The id of the message that a submission key belongs to."""
    return key.partition("-")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclarationRecord:
    """An accepted declaration, with the facts that messages belonging to it need. `parties` are the codes by
    which it names broker, keying unit, trader and owner; `facts` are its own; `about` is that of its
    submission."""

    id: str
    about: str
    reference: str
    entry_id: str
    destination: str
    customs_status: CustomsStatus
    parties: frozenset[str]
    facts: dict[str, str]


class ReceiptKind(StrEnum):
    """`TECHNICAL` and `BUSINESS` are customs' or the association's own words, `REPORT` is for
    people to read; the others are ours and signed: the receipt of a message, a notice to a party that a
    declaration concerns, a request for documents. `AGREEMENT` is the association's notice, relayed."""

    GATEWAY = "gateway"
    TECHNICAL = "technical"
    BUSINESS = "business"
    REPORT = "report"
    NOTICE = "notice"
    REQUEST = "request"
    AGREEMENT = "agreement"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A file for an account: in its InBox, or for a `REPORT` in its FailBox.

    `verdict` is that of a gateway receipt, or that of a notice: its class, or the act on an agreement.
    `final` marks the one final gateway receipt of a message.
    """

    account: str
    name: str
    kind: ReceiptKind
    body: bytes
    verdict: str = ""
    final: bool = False


class EnclosureKind(StrEnum):
    ATTACHMENT = "attachment"  # a PDF that came on its own
    AGREEMENT = "agreement"  # the association's notice of the agreement that the declaration is made under


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclosure:
    """A stored package of another message that goes to customs with this one, byte for byte. `name` is safe
    and unique in the submission; `message` is the id of the message that it came in, empty where it
    was handed in when the gateway was set up."""

    kind: EnclosureKind
    name: str
    sha256: str
    size: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """The submission of one message to one back-end. `key` is the same however often it is sent: the
    message's id, with the customs office after it where it is the copy for a second office (transit).

    `envelope` is the signed submission envelope; the original package follows it byte for byte, then the
    enclosures. See `message_of` for the way back. `about` is the message that began its declaration:
    submissions about one declaration go to a destination in the order of acceptance.
    `alternatives` are the back-ends that may take it in place of `destination`, the first one first.
    """

    key: str
    destination: str
    envelope: bytes
    package_sha256: str
    package_name: str
    package_size: int
    enclosures: tuple[Enclosure, ...] = ()
    about: str = ""
    alternatives: tuple[str, ...] = ()


class Blob(Protocol):
    """Opens the stored bytes of a package for reading; each call gives a new seekable stream."""

    def __call__(self) -> IO[bytes]: ...
