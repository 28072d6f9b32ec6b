"""Checks the whole store for consistency: the log, the messages against it, every package, every receipt, and
the queues.

Errors are reported row by row. The log is a chain: a changed row shows in its own digest, a missing one in
the sequence. Whoever rewrites the whole log cannot change the receipts that were signed with places in the
old log; the senders have those too.
"""

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import Any, Final

from lxml import etree
from sqlalchemy import Column, Connection, Row, Select, select, text

from adapters.home.home import Home
from adapters.store.database import GENESIS, chained
from adapters.store.read.packages import package_body, referred_packages
from adapters.store.tables.messages import UNREADABLE, deliveries, events, messages, receipts, requests
from adapters.store.tables.queues import QUEUED, to_judge, to_post, to_request, to_send
from adapters.store.write.receipts import SIGNED
from gateway.formats import xml
from gateway.formats.certificates import certificate
from gateway.formats.signatures import verify_enveloped
from gateway.formats.submission import NAMESPACE
from gateway.model.faults import MessageRejected
from gateway.model.message import ReceiptKind
from gateway.model.parties import RegisteredCertificate
from gateway.model.states import Event, State

_VERDICTS: Final = {
    Event.PASSED: "accepted",
    Event.ACCEPTED_NO_DELIVERY: "accepted",
    Event.REFUSED: "rejected",
    Event.DISMISSED: "rejected",
    Event.JOINED: "accepted",
    Event.REPLACED: "rejected",
}
_UNREAD: Final = "it holds what cannot be read"
_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class Wrong:
    """One inconsistency. `what` is event, message, package, receipt or the name of a queue, and `which` its
    number, id, digest or name."""

    what: str
    which: str
    how: str  # changed, missing or added
    why: str


class Audit:
    """Checks a home at one moment of its store. `looked_at` counts what was checked; of that, `unsigned`
    receipts were given by a release that did not record their content: those for people, and refusals as
    import clients read them. Relayed answers of customs are in the log as messages."""

    def __init__(self, home: Home, older: Collection[str] = ()) -> None:
        """`older` are certificates (PEM) with which the gateway signed before the present one."""
        self._home = home
        self._certificates = [
            RegisteredCertificate(pem=pem) for pem in (home.certificate.read_text(), *older)
        ]
        self._ends = max(certificate(each.pem).ends for each in self._certificates)
        self._links: dict[int, tuple[str, str]] = {}  # message and digest of the first event of each
        self._contents: dict[str, str] = {}  # of each message, as the log has it
        self._states: dict[str, str] = {}
        self._unsigned: dict[str, set[str]] = {}  # digests of the unsigned receipts of each message
        self._given: dict[str, list[tuple[str, str]]] = {}  # verdict and digest of the receipts of each
        self.looked_at = dict.fromkeys(("events", "messages", "packages", "receipts"), 0)
        self.unsigned = 0
        self.unused = 0  # packages that nothing refers to; a crash may leave some

    def run(self) -> Iterator[Wrong]:
        with self._home.reading() as reader:
            reader.exec_driver_sql("BEGIN")  # one moment for everything that follows
            yield from self._log(reader)
            yield from self._messages(reader)
            yield from self._packages(reader)
            yield from self._receipts(reader)
            yield from _queues(reader)

    def _log(self, reader: Connection) -> Iterator[Wrong]:
        digest, expected = GENESIS, 1
        for sequence, row in _all(reader, select(events), events.c.sequence):
            self.looked_at["events"] += 1
            for missing in range(expected, sequence):
                yield Wrong("event", str(missing), "missing", "the log has no such row")
            if expected < sequence:
                digest = ""  # the digest of the previous row is lost with it
            expected = sequence + 1
            if row is None:
                digest = ""
                yield Wrong("event", str(sequence), "changed", _UNREAD)
                continue
            try:
                detail = json.loads(row.detail)
                entry = {
                    "message": row.message,
                    "at": row.at.isoformat(),
                    "event": row.event,
                    "actor": row.actor,
                    "state": row.state,
                    "detail": detail,
                }
                own = chained(digest, entry)
            except (ValueError, TypeError, OverflowError):
                detail, own = {}, ""
            if digest and own != row.digest:
                yield Wrong("event", str(row.sequence), "changed", f"{row.event} of {row.message}")
            digest = row.digest
            self._note(row, detail)
        query = "SELECT seq FROM sqlite_sequence WHERE name = 'events'"
        last = reader.execute(text(query)).scalar() or 0
        for missing in range(expected, last + 1):
            yield Wrong("event", str(missing), "missing", "it was written after the last one that is there")

    def _note(self, row: Row[*tuple[Any, ...]], detail: Any) -> None:
        if not isinstance(detail, dict):
            return
        if row.event == Event.RECEIVED and row.message not in self._contents:
            self._links[row.sequence] = (row.message, row.digest)
            self._contents[row.message] = str(detail.get("sha256", ""))
        if row.message in self._contents:
            self._states[row.message] = row.state
        if isinstance(detail.get("unsigned"), list):
            self._unsigned.setdefault(row.message, set()).update(map(str, detail["unsigned"]))
        if row.event in _VERDICTS:
            verdicts = self._given.setdefault(row.message, [])
            verdict = _VERDICTS[Event(row.event)]
            # The same verdict again gives no receipt: its sender has it already. A message that was closed by
            # the judgement of another has its receipt without an entry in the log.
            if not verdicts or verdicts[-1][0] != verdict:
                verdicts.append((verdict, str(detail.get("receipt", ""))))

    def _messages(self, reader: Connection) -> Iterator[Wrong]:
        gone = dict(self._contents)
        columns = (messages.c.id, messages.c.sha256, messages.c.state, messages.c.kind, messages.c.body)
        links = (messages.c.link_sequence, messages.c.link_digest)
        for seq, row in _all(reader, select(*columns, *links), messages.c.seq):
            self.looked_at["messages"] += 1
            if row is None:
                yield Wrong("message", f"row {seq}", "changed", _UNREAD)
                continue
            content = gone.pop(row.id, None)
            if content is None:
                yield Wrong("message", row.id, "added", "the log does not know it")
                continue
            if row.sha256 != content:
                yield Wrong("message", row.id, "changed", "its content is another than the log says")
            if row.body is not None and hashlib.sha256(row.body).hexdigest() != content:
                yield Wrong("message", row.id, "changed", "its bytes are others than the log says")
            if self._links.get(row.link_sequence) != (row.id, row.link_digest):
                yield Wrong("message", row.id, "changed", "its place in the log is another")
            if row.state != self._states[row.id]:
                yield Wrong(
                    "message", row.id, "changed", f"it is {row.state}, and {self._states[row.id]} in the log"
                )
        for id_ in gone:
            yield Wrong("message", id_, "missing", "the log knows it")

    def _packages(self, reader: Connection) -> Iterator[Wrong]:
        digests = set()
        for sha256 in referred_packages(reader):
            self.looked_at["packages"] += 1
            digests.add(sha256)
            body, found = package_body(reader, sha256), set[str]()
            if body is not None:
                found.add(hashlib.sha256(body).hexdigest() if isinstance(body, bytes) else "")
            # A file is looked at also where the store has the package: whoever reads it gets the file.
            try:
                with (self._home.blobs / sha256[:2] / sha256).open("rb") as file:
                    found.add(hashlib.file_digest(file, "sha256").hexdigest())
            except OSError as error:
                if body is None or not isinstance(error, FileNotFoundError):
                    yield Wrong("package", sha256, "missing", error.strerror or type(error).__name__)
            if found - {sha256}:
                yield Wrong("package", sha256, "changed", "its bytes have another digest")
        for folder in sorted(self._home.blobs.glob("??")):
            for path in sorted(folder.iterdir()):
                if path.name in digests:
                    continue
                if _is_digest(path.name):
                    self.unused += 1  # left by a crash; one in progress is committed after this moment
                else:
                    yield Wrong("package", path.name, "added", "no package has such a name")

    def _receipts(self, reader: Connection) -> Iterator[Wrong]:
        sound: set[str] = set()
        logged = {*self._contents.values(), *chain.from_iterable(self._unsigned.values())}
        for id_, row in _all(reader, select(receipts), receipts.c.id):
            self.looked_at["receipts"] += 1
            if row is None:
                yield Wrong("receipt", str(id_), "changed", _UNREAD)
            elif row.message not in self._contents:
                yield Wrong("receipt", row.name, "added", "its message is not in the log")
            else:
                digest = hashlib.sha256(row.body).hexdigest()
                if row.kind not in SIGNED:
                    if digest in logged:
                        sound.add(digest)
                    elif row.message in self._unsigned or row.kind == ReceiptKind.BUSINESS:
                        yield Wrong("receipt", row.name, "changed", "the log has nothing of such bytes")
                    else:
                        self.unsigned += 1
                    continue
                # A receipt that is given again with a repeat is the same, byte for byte.
                why = "" if digest in sound else self._not_as_given(row)
                if why:
                    yield Wrong("receipt", row.name, "changed", why)
                else:
                    sound.add(digest)
        for message, digests in self._unsigned.items():
            for digest in sorted(digests - sound):
                yield Wrong("receipt", message, "missing", f"without a signature, with digest {digest}")
        for message, verdicts in self._given.items():
            for verdict, digest in verdicts:
                if digest and digest not in sound:
                    yield Wrong("receipt", message, "missing", f"that it was {verdict}, with digest {digest}")

    def _not_as_given(self, row: Row[*tuple[Any, ...]]) -> str:
        at = min(row.created_at + timedelta(minutes=1), self._ends)
        try:
            root = verify_enveloped(xml.parse(row.body), self._certificates, at).root
        except MessageRejected as refused:
            return refused.findings[0].en
        if row.kind != ReceiptKind.GATEWAY:
            return ""
        if root.findtext(f"{{{NAMESPACE}}}MessageId") != row.message:
            return "it was given for another message"
        if root.findtext(f"{{{NAMESPACE}}}Verdict") != row.verdict:
            return "its verdict is another than the store says"
        return "" if self._stands_there(root, row.message) else "its place in the log is not there"

    def _stands_there(self, root: etree._Element, message: str) -> bool:
        link = root.find(f"{{{NAMESPACE}}}ChainLink")
        sequence = "" if link is None else link.get("sequence", "")
        if link is None or not sequence.isdecimal():
            return False
        return self._links.get(int(sequence)) == (message, link.get("digest"))


# Of each queue what must be in it, and what may be.
_TO_JUDGE: Final = select(messages.c.seq).where(messages.c.state == State.RECEIVED)
_TO_SEND: Final = select(deliveries.c.id).where(deliveries.c.state.in_(QUEUED))
_TO_REQUEST: Final = select(requests.c.id).where(requests.c.told_at.is_(None))
_OPEN: Final = (
    (to_judge, _TO_JUDGE, _TO_JUDGE),
    (to_send, _TO_SEND, _TO_SEND),
    (to_request, _TO_REQUEST, _TO_REQUEST),
    # Whether an account had its receipts delivered when one was given to it is written nowhere else.
    (to_post, None, select(receipts.c.id).where(receipts.c.removed_at.is_(None))),
)


def _queues(reader: Connection) -> Iterator[Wrong]:
    """What is not in its queue is never done; what is in it and finished would be done again."""
    for queue, required, allowed in _OPEN:
        queued = select(queue.c.item)
        for item in () if required is None else reader.execute(required.except_(queued)).scalars():
            yield Wrong(queue.name, str(item), "missing", "it is not done, and nothing will do it")
        for item in reader.execute(queued.except_(allowed)).scalars():
            yield Wrong(queue.name, str(item), "added", "it is not to be done")


def _all(
    reader: Connection, query: Select[Any], key: Column[int]
) -> Iterator[tuple[int, Row[*tuple[Any, ...]] | None]]:
    """Every row by its key, in order; None for a row with values that the gateway never writes there."""
    keys = select(key).order_by(key).limit(_AT_ONCE)
    some = reader.execute(keys).scalars().all()
    while some:
        try:
            rows = reader.execute(query.where(key.in_(some)).order_by(key)).all()
            yield from zip(some, (row if _has_bytes(row) else None for row in rows), strict=True)
        except UNREADABLE:
            yield from ((each, _readable(reader, query.where(key == each))) for each in some)
        some = reader.execute(keys.where(key > some[-1])).scalars().all()


def _readable(reader: Connection, query: Select[Any]) -> Row[*tuple[Any, ...]] | None:
    try:
        row = reader.execute(query).one()
    except UNREADABLE:
        return None
    return row if _has_bytes(row) else None


def _has_bytes(row: Row[*tuple[Any, ...]]) -> bool:
    """SQLite stores text in a column of bytes without an error."""
    return isinstance(row._mapping.get("body", b""), bytes | None)


def _is_digest(name: str) -> bool:
    return len(name) == 64 and set(name) <= set("0123456789abcdef")
