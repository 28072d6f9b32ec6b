"""Unpacks a package: one XML document and its PDF files in a flat zip, or the bare XML."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import IO, Final

from gateway.formats.archive import Archive, ArchiveEntry, ArchiveLimits, open_archive
from gateway.formats.pdf import begins, inspect, is_costly
from gateway.model.faults import Fault, Finding, MessageRejected, Severity, finding, too_large
from gateway.model.message import Blob, Package, Part, Pdf
from gateway.model.policy import PackagePolicy, PdfPolicy

_ZIP_MAGIC: Final = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
# Includes the first bytes of UTF-16 and UTF-32: the XML parser reports what is wrong with these.
_XML_BEGINNINGS: Final = (
    b"<",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xfe\xff",
    b"\x00<",
    b"\x00\x00\xfe\xff",
    b"\x00\x00\x00<",
)


def unpack(name: str, blob: Blob, size: int, policy: PackagePolicy, pdf: PdfPolicy, limit: int) -> Package:
    """The document's bytes and the digest and facts of every part: document first, then as in the zip.

    `size` is the package's own, `limit` the account's, which holds for the packed and for the unpacked
    bytes. The document is held in memory, and a PDF while it is inspected. One larger than `pdf.size` is
    streamed only: its facts are all unknown (`Pdf()`), and its size is what the rules refuse.
    Raises `MessageRejected`.
    """
    if size > limit:
        raise MessageRejected(too_large(Fault.PACKAGE_TOO_LARGE, size, limit))
    with blob() as stream:
        head = stream.read(4096)
        if head.startswith(_ZIP_MAGIC):
            archive = open_archive(stream, ArchiveLimits(policy.entries, policy.ratio, limit))
            return _from_archive(archive, policy, pdf)
        if head.lstrip().startswith(_XML_BEGINNINGS):
            return _bare(name, stream, size, policy)
    raise MessageRejected(finding(Fault.PACKAGE_UNREADABLE))


def unpack_pdf(name: str, blob: Blob, sha256: str, size: int, policy: PdfPolicy, limit: int) -> Part | None:
    """The sent file, where it is a PDF on its own; None for anything else, which `unpack` handles.

    One larger than `policy.size` is not read: its facts are all unknown. Raises `MessageRejected` where it is
    larger than `limit`.
    """
    with blob() as stream:
        head = stream.read(4096)
        if head.lstrip().startswith(_XML_BEGINNINGS) or not begins(head):
            return None
        if size > limit:
            raise MessageRejected(too_large(Fault.PACKAGE_TOO_LARGE, size, limit))
        stream.seek(0)
        facts = inspect(stream.read(size)) if size <= policy.size else Pdf()
    return Part(name=name, sha256=sha256, size=size, pdf=facts)


def _bare(name: str, stream: IO[bytes], size: int, policy: PackagePolicy) -> Package:
    _refuse_large_document(name, size, policy)
    stream.seek(0)
    document = stream.read(size)
    return _package(name, document, (), is_zip=False)


def _from_archive(archive: Archive, policy: PackagePolicy, pdf: PdfPolicy) -> Package:
    entries = [entry for entry in archive.entries if not entry.ignored]
    documents = [entry for entry in entries if entry.name.lower().endswith(".xml")]
    others = [entry for entry in entries if entry not in documents]
    unexpected = [entry for entry in others if not entry.name.lower().endswith(".pdf")]
    if unexpected:
        raise MessageRejected(finding(Fault.ZIP_UNEXPECTED, file=entry.name) for entry in unexpected)
    if not documents:
        raise MessageRejected(finding(Fault.ZIP_NO_DOCUMENT))
    if len(documents) > 1:
        raise MessageRejected(finding(Fault.ZIP_MANY_DOCUMENTS, file=entry.name) for entry in documents)
    document = documents[0]
    _refuse_large_document(document.name, document.size, policy)
    content = b"".join(archive.open(document))
    attachments = tuple(_attachments(archive, others, pdf))
    ignored = tuple(_ignored(archive, entry) for entry in archive.entries if entry.ignored)
    return replace(_package(document.name, content, attachments, is_zip=True), ignored=ignored)


def warn_of_ignored(package: Package) -> tuple[Finding, ...]:
    """The warnings about ignored files."""
    return tuple(
        finding(Fault.ZIP_IGNORED, severity=Severity.WARNING, file=part.name) for part in package.ignored
    )


def _refuse_large_document(name: str, size: int, policy: PackagePolicy) -> None:
    if size > policy.document_size:
        raise MessageRejected(too_large(Fault.DOCUMENT_TOO_LARGE, size, policy.document_size, file=name))


def _package(name: str, document: bytes, attachments: tuple[Part, ...], *, is_zip: bool) -> Package:
    part = Part(name=name, sha256=hashlib.sha256(document).hexdigest(), size=len(document))
    return Package(document=document, document_name=name, parts=(part, *attachments), is_zip=is_zip)


def _ignored(archive: Archive, entry: ArchiveEntry) -> Part:
    digest = hashlib.sha256()
    for chunk in archive.open(entry):
        digest.update(chunk)
    return Part(name=entry.name, sha256=digest.hexdigest(), size=entry.size)


def _attachments(archive: Archive, entries: Sequence[ArchiveEntry], pdf: PdfPolicy) -> Iterator[Part]:
    """Each attachment with its facts, until one is too costly to inspect: the package is refused for that, so
    the rest are not inspected and their facts are unknown."""
    gave_up = False
    for entry in entries:
        part = _attachment(archive, entry, pdf, inspected=not gave_up)
        gave_up = gave_up or (part.pdf is not None and is_costly(part.pdf))
        yield part


def _attachment(archive: Archive, entry: ArchiveEntry, pdf: PdfPolicy, *, inspected: bool) -> Part:
    digest = hashlib.sha256()
    head = bytearray()
    for chunk in archive.open(entry):
        digest.update(chunk)
        if inspected and entry.size <= pdf.size:
            head += chunk
    facts = inspect(bytes(head)) if inspected and entry.size <= pdf.size else Pdf()
    return Part(name=entry.name, sha256=digest.hexdigest(), size=entry.size, pdf=facts)
