"""Checks a submission: the signature of its envelope, then every digest that the envelope states."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Final, Self

from lxml import etree

from gateway.formats import xml
from gateway.formats.archive import Archive, ArchiveEntry, ArchiveLimits, open_archive
from gateway.formats.signatures import verify_enveloped
from gateway.formats.submission import ENVELOPE_NAME, NAMESPACE, ROOT, Envelope, read_envelope
from gateway.model.faults import MessageRejected, printable
from gateway.model.message import Enclosure, Part
from gateway.model.parties import RegisteredCertificate

# More than any account may send; the gateway has applied the stricter limits.
_LIMITS: Final = ArchiveLimits(entries=1000, ratio=2000, size=8 << 30)
_IN_MEMORY: Final = 1 << 20


class SubmissionRefused(Exception):
    """The back-end refuses a submission; the text says why, for the gateway's operators."""

    @classmethod
    def by(cls, rejection: MessageRejected) -> Self:
        return cls("; ".join(f"{finding.code}: {finding.en}" for finding in rejection.findings))


@cache
def _schema() -> etree.XMLSchema:
    source = files("schemas").joinpath("gateway", "1", "envelope.xsd")
    return etree.XMLSchema(xml.trusted(source.read_bytes()))


def scratch(folder: Path) -> IO[bytes]:
    """A temporary file that is deleted when closed: in memory up to 1 MB, else in `folder`."""
    return SpooledTemporaryFile(max_size=_IN_MEMORY, dir=str(folder))


@dataclass(frozen=True, slots=True)
class InspectedSubmission:
    """A submission that is complete and signed by the gateway. `signed` is the envelope as it came."""

    key: str
    signed: bytes
    envelope: Envelope


def inspect(
    key: str, zipped: IO[bytes], certificates: Sequence[RegisteredCertificate], now: datetime, folder: Path
) -> InspectedSubmission:
    """Checks the zip of a submission. Raises `SubmissionRefused` unless it is complete, signed by the gateway
    and that of `key`. A large package is unpacked to `folder` during the call."""
    try:
        archive = open_archive(zipped, _LIMITS)
        entries = {entry.name: entry for entry in archive.entries}
        signed = _envelope_in(archive, entries)
        envelope = _read(signed, certificates, now)
        if envelope.package.name not in entries:
            raise SubmissionRefused("the submission holds another package than the envelope names")
        if len(entries) != len(
            {ENVELOPE_NAME, envelope.package.name, *(each.name for each in envelope.enclosures)}
        ):
            raise SubmissionRefused("the submission holds other enclosures than the envelope names")
        for enclosure in envelope.enclosures:
            _check_enclosure(archive, entries.get(enclosure.name), enclosure)
        with scratch(folder) as package:
            _check_whole(archive, entries[envelope.package.name], envelope.package, package)
            _check_parts(package, envelope)
    except MessageRejected as trouble:
        raise SubmissionRefused.by(trouble) from trouble
    if key not in (envelope.message, f"{envelope.message}-{envelope.office}"):
        raise SubmissionRefused("the envelope belongs to another message")
    return InspectedSubmission(key, signed, envelope)


def reference_in(zipped: IO[bytes]) -> str:
    """The reference in the envelope of a submission that is refused; empty where it cannot be read. The
    signature is not checked, so the value is not trusted."""
    try:
        archive = open_archive(zipped, _LIMITS)
        root = xml.parse(_envelope_in(archive, {entry.name: entry for entry in archive.entries}))
    except (MessageRejected, SubmissionRefused):
        return ""
    return printable(root.findtext(f"{{{NAMESPACE}}}Reference") or "", 64) if root.tag == ROOT else ""


def _envelope_in(archive: Archive, entries: Mapping[str, ArchiveEntry]) -> bytes:
    entry = entries.get(ENVELOPE_NAME)
    if entry is None or len(entries) < 2 or entry.size > xml.DEFAULT_LIMITS.size:
        raise SubmissionRefused(f"the submission must hold {ENVELOPE_NAME} and one package")
    return b"".join(archive.open(entry))


def _read(body: bytes, certificates: Sequence[RegisteredCertificate], now: datetime) -> Envelope:
    root = xml.parse(body)
    if root.tag != ROOT:
        raise SubmissionRefused("the envelope is no submission envelope")
    verified = verify_enveloped(root, certificates, now).root
    if not _schema().validate(verified):
        raise SubmissionRefused(f"the envelope does not fit its schema: {_schema().error_log.last_error}")
    return read_envelope(verified)


def _check_enclosure(archive: Archive, entry: ArchiveEntry | None, stated: Enclosure) -> None:
    if entry is None:
        raise SubmissionRefused(f"the enclosure {stated.name} is not there")
    digest = hashlib.sha256()
    for chunk in archive.open(entry):
        digest.update(chunk)
    if (stated.size, stated.sha256) != (entry.size, digest.hexdigest()):
        raise SubmissionRefused(f"the digest or size of {stated.name} is not what the envelope states")


def _check_whole(archive: Archive, entry: ArchiveEntry, stated: Part, copy: IO[bytes]) -> None:
    digest = hashlib.sha256()
    for chunk in archive.open(entry):
        digest.update(chunk)
        copy.write(chunk)
    _compare(stated, entry.size, digest.hexdigest())
    copy.seek(0)


def _check_parts(package: IO[bytes], envelope: Envelope) -> None:
    stated = {part.name: part for part in (*envelope.parts, *envelope.ignored)}
    if len(stated) == 1 and (only := envelope.parts[0]).sha256 == envelope.package.sha256:
        _compare(only, envelope.package.size, envelope.package.sha256)
        return
    archive = open_archive(package, _LIMITS)
    if stated.keys() != {entry.name for entry in archive.entries}:
        raise SubmissionRefused("the package holds other parts than the envelope names")
    for entry in archive.entries:
        digest = hashlib.sha256()
        for chunk in archive.open(entry):
            digest.update(chunk)
        _compare(stated[entry.name], entry.size, digest.hexdigest())


def _compare(stated: Part, size: int, sha256: str) -> None:
    if (stated.size, stated.sha256) != (size, sha256):
        raise SubmissionRefused(f"the digest or size of {stated.name} is not what the envelope states")
