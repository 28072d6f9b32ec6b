"""Reads a submission that came over a connection, for a simulated back-end, and writes answers to it."""

import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from adapters.sandbox.customs.notices import import_response
from adapters.sandbox.inspection import SubmissionRefused, scratch
from gateway.config.connections import DxpSettings
from gateway.formats import dxp, xml
from gateway.formats.archive import Archive, ArchiveEntry, ArchiveLimits, open_archive
from gateway.formats.submission import ENVELOPE_NAME, NAMESPACE, ROOT
from gateway.model.answer import Answer
from gateway.model.faults import MessageRejected, printable
from gateway.model.message import Enclosure, EnclosureKind, Submission

# More than any account may send; `inspection` checks the content.
_LIMITS: Final = ArchiveLimits(entries=1000, ratio=2000, size=8 << 30)


@contextmanager
def unpacked(
    key: str, packed: IO[bytes], folder: Path
) -> Iterator[tuple[Submission, Callable[[str], IO[bytes]]]]:
    """The submission in a seekable stream (the zip, bare or in a DXP envelope), and a function that returns
    its package or an enclosure by SHA-256. Signature and digests are not checked here. Large files are
    copied to `folder` while the context is open. Raises `SubmissionRefused`."""
    with scratch(folder) as inside:
        try:
            archive = open_archive(_bare(key, packed, inside), _LIMITS)
            envelope, *packages = sorted(archive.entries, key=lambda entry: entry.name != ENVELOPE_NAME)
            if envelope.name != ENVELOPE_NAME or not packages or envelope.size > xml.DEFAULT_LIMITS.size:
                raise SubmissionRefused(f"the submission must hold {ENVELOPE_NAME} and one package")
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
        except MessageRejected as trouble:
            raise SubmissionRefused(
                "; ".join(f"{finding.code}: {finding.en}" for finding in trouble.findings)
            ) from trouble


def _bare(key: str, packed: IO[bytes], inside: IO[bytes]) -> IO[bytes]:
    start = packed.read(1)
    packed.seek(0)
    if start != b"<":  # only a DXP envelope begins so
        return packed
    if (head := dxp.read(packed, inside)).id != key:
        raise SubmissionRefused(f"the envelope of DXP is that of another message: {printable(head.id)}")
    inside.seek(0)
    return inside


def told_body(answer: Answer, settings: DxpSettings | None) -> bytes:
    """The body of an answer, in a DXP envelope if there are `settings`."""
    if settings is None:
        return answer.body
    head = dxp.Head(
        id=answer.id,
        sender=settings.sender,
        receivers=(settings.receiver,),
        type=settings.message_type,
        name=answer.name,
        keys={dxp.ANSWERS: answer.key} if answer.key else {},
    )
    out = io.BytesIO()
    dxp.write(head, datetime.now(UTC), io.BytesIO(answer.body), out)
    return out.getvalue()


def reference_of(envelope: bytes) -> str:
    """The reference in an envelope, for a refusal; empty where it cannot be read. The signature is not
    checked, so the value is not trusted."""
    try:
        root = xml.parse(envelope)
    except MessageRejected:
        return ""
    return printable(root.findtext(f"{{{NAMESPACE}}}Reference") or "", 64) if root.tag == ROOT else ""


def refusal(key: str, reference: str, reason: str) -> tuple[str, bytes]:
    """Name and body of the technical answer that nothing was imported."""
    body = import_response(code=1, error=reason, client_reference=reference, seq_no="", transit_no="")
    return f"Failed_{key}.xml", body


def _enclosure(entry: ArchiveEntry, sha256: str) -> Enclosure:
    # The envelope states its kind and message, and the back-end reads the envelope.
    return Enclosure(
        kind=EnclosureKind.ATTACHMENT, name=entry.name, sha256=sha256, size=entry.size, message=""
    )


def _digest(archive: Archive, entry: ArchiveEntry) -> str:
    digest = hashlib.sha256()
    for chunk in archive.open(entry):
        digest.update(chunk)
    return digest.hexdigest()


def _copy(archive: Archive, entry: ArchiveEntry, folder: Path) -> IO[bytes]:
    copy = scratch(folder)
    for chunk in archive.open(entry):
        copy.write(chunk)
    copy.seek(0)
    return copy
