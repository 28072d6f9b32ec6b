"""The reference customs behind a folder: takes submissions from `out`, puts what it says into `in`.

Killed at any point, it goes on where it was: a submission leaves `out` when the ledger has it, and one that
the ledger has already is only put away; an answer is acknowledged to the ledger when its file is durable, and
has the same name when it is written again.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Final

import structlog

from adapters.backends.desk import Desk
from adapters.backends.exchange import KEY, Exchange, finished, move, put, reading
from adapters.backends.inspection import Refused, scratch
from adapters.backends.reference.notices import import_response
from gateway import xml
from gateway.archive import Archive, ArchiveLimits, Entry, open_archive
from gateway.faults import Rejected, printable
from gateway.message import Enclosure, EnclosureKind, Submission
from gateway.ports import Outcome
from gateway.submission import ENVELOPE_NAME, NAMESPACE, ROOT

_IDLE: Final = 0.2  # seconds between looks into the folder
_TROUBLED: Final = 2.0  # after something could not be taken or told
# More than any account may send (CONTRACT.md, "Formats"): the desk looks more closely.
_LIMITS: Final = ArchiveLimits(entries=1000, ratio=2000, size=8 << 30)

log = structlog.get_logger()


class ServedElsewhere(Exception):
    """Another process is the customs of this folder."""


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Held while a process is the customs of a folder; it goes with the process, however that ends."""
    descriptor = os.open(
        folder / "customs.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
    )
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServedElsewhere(f"another customs serves {folder}") from None
        yield
    finally:
        os.close(descriptor)


class Serving:
    """`desk` takes what is in `out`. What it refuses, or what is no submission, goes to `refused` with its
    reason beside it, and the gateway is told as by customs: a technical answer that nothing was imported."""

    def __init__(self, exchange: Exchange, desk: Desk) -> None:
        self._exchange = exchange
        self._desk = desk
        exchange.make()
        for each in (exchange.taken, exchange.refused):
            each.mkdir(exist_ok=True)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; what is under way is finished."""
        while not stop.is_set():
            well = await self.turn()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _IDLE if well else _TROUBLED)

    async def turn(self) -> bool:
        """Takes all that waits and tells all that is due, the oldest first; whether all of it went well."""
        well = True
        for name in self._waiting():
            try:
                await self._take(name)
            except Exception as error:
                # It waits where it is, and must not keep the others waiting.
                log.error("submission not taken", file=printable(name), error=printable(repr(error)))
                well = False
        try:
            while await self._tell():
                pass
        except Exception as error:
            log.error("answers not told", error=printable(repr(error)))
            well = False
        return well

    def _waiting(self) -> list[str]:
        found = [
            (entry.stat(follow_symlinks=False).st_mtime_ns, entry.name)
            for entry in finished(self._exchange.out)
            if entry.name.endswith(".zip")
        ]
        return [name for _at, name in sorted(found)]

    async def _take(self, name: str) -> None:
        file = self._exchange.out / name
        key = name.removesuffix(".zip")
        reference = ""
        try:
            if not KEY.fullmatch(key):
                raise Refused("the file is not named by the key of a submission")
            if await self._desk.ask(key) is Outcome.TAKEN:  # and was killed before it put it away
                move(file, self._exchange.taken / name)
                return
            with (
                reading(str(file)) as packed,
                _unpacked(key, packed, self._exchange.folder) as (submission, opened),
            ):
                reference = _reference(submission.envelope)
                outcome, reason = await self._desk.submit(submission, opened)
            if outcome is Outcome.NEVER:
                raise Refused(reason)
        except Refused as refusal:
            self._refuse(file, key, reference, printable(str(refusal), 2000))
        else:
            move(file, self._exchange.taken / name)
            log.info("taken", key=key)

    def _refuse(self, file: Path, key: str, reference: str, reason: str) -> None:
        if KEY.fullmatch(key):
            said = import_response(code=1, error=reason, client_reference=reference, seq_no="", transit_no="")
            put(self._exchange.into / f"{key}__0__Failed_{key}.xml", partial(_write, said))
        refused = self._exchange.refused / file.name
        put(refused.with_suffix(".txt"), partial(_write, f"{reason}\n".encode()))
        move(file, refused)
        log.warning("refused", file=printable(file.name), reason=reason)

    async def _tell(self) -> bool:
        answers = await self._desk.answers(64)
        for answer in answers:
            named = f"{answer.key}__" if answer.key else ""
            put(self._exchange.into / f"{named}{answer.id}__{answer.name}", partial(_write, answer.body))
        await self._desk.acknowledge([answer.id for answer in answers])
        return len(answers) > 0


def _write(body: bytes, out: IO[bytes]) -> None:
    out.write(body)


@contextmanager
def _unpacked(
    key: str, packed: IO[bytes], folder: Path
) -> Iterator[tuple[Submission, Callable[[str], IO[bytes]]]]:
    """The submission as its sender had it, and its packages by their SHA-256. What they are worth is for the
    desk to say; large ones are copied to `folder` for the time of the call. Raises `Refused`."""
    try:
        archive = open_archive(packed, _LIMITS)
        envelope, *packages = sorted(archive.entries, key=lambda entry: entry.name != ENVELOPE_NAME)
        if envelope.name != ENVELOPE_NAME or not packages or envelope.size > xml.DEFAULT_LIMITS.size:
            raise Refused(f"the submission must hold {ENVELOPE_NAME} and one package")
        digests = [_digest(archive, entry) for entry in packages]
        entries = dict(zip(digests, packages, strict=True))
        yield (
            Submission(
                key=key,
                destination="",
                envelope=b"".join(archive.open(envelope)),
                package_sha256=digests[0],
                package_name=packages[0].name,
                package_size=packages[0].size,
                enclosures=tuple(map(_enclosure, packages[1:], digests[1:])),
            ),
            lambda sha256: _copy(archive, entries[sha256], folder),
        )
    except Rejected as trouble:
        raise Refused("; ".join(f"{found.code}: {found.en}" for found in trouble.findings)) from trouble


def _enclosure(entry: Entry, sha256: str) -> Enclosure:
    # What kind it is and where it came from stands in the envelope, which is read by the desk.
    return Enclosure(
        kind=EnclosureKind.ATTACHMENT, name=entry.name, sha256=sha256, size=entry.size, message=""
    )


def _digest(archive: Archive, entry: Entry) -> str:
    digest = hashlib.sha256()
    for chunk in archive.open(entry):
        digest.update(chunk)
    return digest.hexdigest()


def _copy(archive: Archive, entry: Entry, folder: Path) -> IO[bytes]:
    copy = scratch(folder)
    for chunk in archive.open(entry):
        copy.write(chunk)
    copy.seek(0)
    return copy


def _reference(envelope: bytes) -> str:
    """What the sender is told that was refused, as far as it can be read: whose words these are is not known
    where the signature is not good."""
    try:
        root = xml.parse(envelope)
    except Rejected:
        return ""
    return printable(root.findtext(f"{{{NAMESPACE}}}Reference") or "", 64) if root.tag == ROOT else ""
