"""Checks a submission: the signature of its envelope, then every digest that the envelope states."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Final

from lxml import etree

from gateway.formats import xml
from gateway.formats.archive import Archive, ArchiveEntry, ArchiveLimits, open_archive
from gateway.formats.signatures import verify_enveloped
from gateway.formats.submission import ENVELOPE_NAME, ROOT, Envelope, read_envelope
from gateway.model.faults import MessageRejected
from gateway.model.message import Enclosure, Part
from gateway.model.parties import RegisteredCertificate

# More than any account may send; the gateway has applied the stricter limits.
_LIMITS: Final = ArchiveLimits(entries=1000, ratio=2000, size=8 << 30)
_IN_MEMORY: Final = 1 << 20


class SubmissionRefused(Exception):
    """The back-end refuses a submission; the text says why, for the gateway's operators."""


@cache
def _schema() -> etree.XMLSchema:
    source = files("schemas").joinpath("gateway", "1", "envelope.xsd")
    return etree.XMLSchema(xml.trusted(source.read_bytes()))


def scratch(folder: Path) -> IO[bytes]:
    """A temporary file that is deleted when closed: in memory up to 1 MB, else in `folder`."""
    return SpooledTemporaryFile(max_size=_IN_MEMORY, dir=str(folder))


def inspect(
    submission: IO[bytes], certificates: Sequence[RegisteredCertificate], now: datetime, folder: Path
) -> Envelope:
    """The envelope of a submission that is complete and signed by the gateway. Raises `SubmissionRefused` for
    any other. A large package is unpacked to `folder` during the call."""
    try:
        archive = open_archive(submission, _LIMITS)
        entries = {entry.name: entry for entry in archive.entries}
        if ENVELOPE_NAME not in entries:
            raise SubmissionRefused(f"the submission must hold {ENVELOPE_NAME} and one package")
        envelope = _read(b"".join(archive.open(entries[ENVELOPE_NAME])), certificates, now)
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
        raise SubmissionRefused(
            "; ".join(f"{finding.code}: {finding.en}" for finding in trouble.findings)
        ) from trouble
    return envelope


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
