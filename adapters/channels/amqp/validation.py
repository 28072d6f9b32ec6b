"""Whether a message is accepted: its properties are checked here, its content by the stages."""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from adapters.channels.sftp_server.wire import LONGEST_NAME
from adapters.transport.amqp.consuming import ReceivedMessage
from adapters.transport.amqp.frames import UNREADABLE
from gateway.model.faults import Fault, MessageRejected, finding, in_bytes, printable
from gateway.model.message import Reply
from gateway.model.parties import Account, Delivery
from gateway.model.trace_context import TRACEPARENT, parent_in
from gateway.model.unfinished_names import whole_name

CLAIM: Final = "application/vnd.customs-edi-gateway.claim+json"
DIRECT_REPLY: Final = "amq.rabbitmq.reply-to"
_SUFFIXES: Final = {
    "application/xml": ".xml",
    "text/xml": ".xml",
    "application/zip": ".zip",
    "application/x-zip-compressed": ".zip",  # the name that Windows registers
}
_ANYTHING: Final = "application/octet-stream"  # from clients that do not know the type; the content shows it
# Values that do not mean compression: many clients write the character set there.
_PLAIN: Final = ("", "identity", "binary", "7bit", "8bit", "utf-8", "utf8", "gbk", "gb2312", "gb18030")
_COMPRESSED: Final = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ": "xz"}
_LONGEST_CLAIM: Final = 4096
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ClaimedFile:
    """An upload with an unfinished name over SFTP that is to become a message."""

    file: str
    name: str  # of the message to be made
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ValidMessage:
    """`claim` is None if the body is the package itself."""

    name: str
    reply: Reply
    claim: ClaimedFile | None
    traceparent: str = ""


def is_one_of_ours(account: Account | None) -> bool:
    return account is not None and account.delivery is Delivery.AMQP


def validate(message: ReceivedMessage, account: Account | None, largest: int) -> ValidMessage:
    """The validated message; `account` is that of its `user_id`, which the broker has checked against the
    log-in. Raises `MessageRejected`."""
    if account is None or not is_one_of_ours(account):
        raise MessageRejected(finding(Fault.AMQP_USER))
    identity = message.message_id or ""
    if not 1 <= len(identity) <= 255 or not identity.isprintable():
        raise MessageRejected(finding(Fault.AMQP_MESSAGE_ID))
    reply = reply_of(message, account)
    if UNREADABLE in identity + reply.correlation or UNREADABLE in message.headers:
        raise MessageRejected(finding(Fault.AMQP_UNREADABLE))
    named = message.headers.get(TRACEPARENT)
    traceparent = named if isinstance(named, str) and parent_in(named) else ""
    kind = (message.content_type or "").partition(";")[0].strip().lower()
    if kind == CLAIM:
        claim = _claim(message.body, account)
        return ValidMessage(claim.name, reply, claim, traceparent)
    encoding = _encoding(message)
    if encoding not in _PLAIN:
        raise MessageRejected(finding(Fault.AMQP_ENCODING, detail=printable(encoding, 80)))
    suffix = _SUFFIXES.get(kind)
    if kind == _ANYTHING:
        suffix = ".zip" if message.body.startswith(b"PK") else ".xml"
    if suffix is None:
        raise MessageRejected(finding(Fault.AMQP_CONTENT_TYPE, detail=printable(kind, 80) or "-"))
    most = min(largest, account.max_package)
    if not 0 < len(message.body) <= most:
        raise MessageRejected(
            finding(
                Fault.AMQP_SIZE,
                detail=f"{len(message.body)}; 1…{most}",
                detail_zh=f"{in_bytes(len(message.body))}，上限 {in_bytes(most)}",
            )
        )
    name = message.headers.get("name", _UNSAFE.sub("_", identity)[:200] + suffix)
    return ValidMessage(_sound(name, (suffix,)), reply, None, traceparent)


def _encoding(message: ReceivedMessage) -> str:
    """The encoding of the body: as declared, or as recognised from its bytes."""
    seen = (name for sign, name in _COMPRESSED.items() if message.body.startswith(sign))
    declared = (message.content_encoding or "").strip().lower()
    return declared if declared not in _PLAIN else next(seen, declared)


def is_direct(to: str) -> bool:
    """Whether the queue is a direct reply, which the broker itself delivers, as far as its name shows."""
    return to.startswith(f"{DIRECT_REPLY}.")


def reply_of(message: ReceivedMessage, account: Account) -> Reply:
    """A reply queue is used only if its name shows that it belongs to the sender, or it is a direct reply."""
    to = message.reply_to or ""
    own = is_direct(to) or to.startswith(f"{account.name}.")
    identity = message.message_id or ""
    return Reply(message_id=identity, correlation=message.correlation_id or identity, to=to if own else "")


def _sound(name: Any, suffixes: tuple[str, ...]) -> str:
    """The name within the limits for names over SFTP, with the ending that fits the content type."""
    if not isinstance(name, str):
        raise MessageRejected(finding(Fault.AMQP_NAME, detail="-"))
    sound = name.isprintable() and len(name.encode(errors="replace")) <= LONGEST_NAME
    if (
        not sound
        or "/" in name
        or UNREADABLE in name
        or len(name) <= 4
        or not name.lower().endswith(suffixes)
    ):
        raise MessageRejected(finding(Fault.AMQP_NAME, detail=printable(name, 80)))
    return name


def _claim(body: bytes, account: Account) -> ClaimedFile:
    try:
        if len(body) > _LONGEST_CLAIM:
            raise ValueError
        claimed: dict[str, object] = json.loads(body)
        file, size, sha256 = claimed["file"], claimed["size"], claimed["sha256"]
        if not isinstance(file, str) or type(size) is not int or not isinstance(sha256, str):
            raise TypeError
        if not _SHA256.fullmatch(sha256):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise MessageRejected(finding(Fault.CLAIM_UNREADABLE, detail="{file, size, sha256}")) from None
    claim = ClaimedFile(file, whole_name(file, account.unfinished), size, sha256)
    if not account.is_unfinished(file):
        raise MessageRejected(finding(Fault.CLAIM_MISSING, detail=printable(file, 80)))
    _sound(claim.name, tuple(set(_SUFFIXES.values())))
    return claim
