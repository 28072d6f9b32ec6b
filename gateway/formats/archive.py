"""The only zip reader of the gateway: strict, streaming, with one interpretation of every archive.

`zip_records` accepts only files whose layout can be read in one way. This module checks each entry (a plain
file with a flat name, stored or deflated, within the limits) and compares the data with what was declared.
Nothing is inflated before the whole directory has been checked.
"""

import stat
import unicodedata
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Final

from gateway.formats.zip_records import (
    ENCRYPTED,
    PATCH,
    STORED,
    UTF8,
    ZipRecord,
    broken,
    data_starts,
    find_directory,
    read_at,
    records,
    shown,
)
from gateway.model.faults import Fault, MessageRejected, finding, in_bytes, too_large
from gateway.model.file_names import spelling

# Unpacked bytes from which the ratio counts. Smaller files do no harm, and fifty equal lines of goods may
# pack better than 100:1.
RATIO_COUNTS_FROM: Final = 1_000_000
LONGEST_NAME: Final = 255

_CHUNK: Final = 64 * 1024
_DEFLATED: Final = 8
_AES: Final = 99
_NEWEST_VERSION: Final = 63  # of the format, APPNOTE 4.4.3.2
_EXTRAS_OF_ENCRYPTION: Final = (0x0017, 0x9901)
_EXTRA_UNICODE_PATH: Final = 0x7075
_DOS_DIRECTORY: Final = 0x10
# Files that desktops add to a zip unasked. They are passed on as sent, but are not part of the package.
_MACOSX: Final = "__macosx/"
_APPLE_DOUBLE: Final = "._"  # prefix of the name of the file that it belongs to
_LITTER: Final = (".ds_store", "thumbs.db", "desktop.ini")


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """Limits of one archive: the number of `entries`, the `ratio` of unpacked to packed size for each entry
    and for all together, and the `size` of all entries in unpacked bytes."""

    entries: int
    ratio: int
    size: int


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    """One file of the archive: its unpacked `size` and its `packed` size in bytes, and where its data `start`
    in the archive. An `ignored` one was added by a desktop: it counts in all limits and has no meaning."""

    name: str
    size: int
    packed: int
    crc: int
    deflated: bool
    start: int
    ignored: bool = False


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive whose structure was checked; `entries` in the order of its directory."""

    entries: tuple[ArchiveEntry, ...]
    _stream: IO[bytes]
    _ratio: int

    def open(self, entry: ArchiveEntry) -> Iterator[bytes]:
        """The unpacked data in chunks of at most 64 KB, in all never more than `entry.size` bytes.

        Raises `MessageRejected` if the data differ from what was declared (size, checksum, ratio). That may
        happen as late as the end, so the data must not be used before the iterator is exhausted.
        """
        crc = 0
        unpacked = (
            _inflated(self._stream, entry, self._ratio) if entry.deflated else _stored(self._stream, entry)
        )
        for chunk in unpacked:
            crc = zlib.crc32(chunk, crc)
            yield chunk
        if crc != entry.crc:
            raise broken("wrong checksum", "校验和错误", entry.name)


def open_archive(stream: IO[bytes], limits: ArchiveLimits) -> Archive:
    """Reads the structure of a zip from a seekable stream, which must stay open while the archive is used.

    Raises `MessageRejected` where the bytes are not an acceptable zip, and no other error of its own.
    """
    directory = find_directory(stream)
    if directory.entries > limits.entries:
        raise MessageRejected(
            finding(
                Fault.ZIP_TOO_MANY,
                detail=f"{directory.entries} > {limits.entries}",
                detail_zh=f"{directory.entries} 个，上限 {limits.entries} 个",
            )
        )
    listed = list(records(stream, directory))
    _refuse_one_folder(listed)
    names: dict[str, str] = {}
    for record in listed:
        _refuse_all_but_plain_files(record)
        name = _name(record)
        # The receiving systems may ignore case or normalise names: two names must differ on all of them.
        spelt = spelling(name)
        if spelt in names:
            raise MessageRejected(finding(Fault.ZIP_DUPLICATE, file=name))
        names[spelt] = name
    starts = data_starts(stream, listed, directory)
    _refuse_sizes(listed, limits)
    entries = tuple(
        ArchiveEntry(
            *(name, record.size, record.packed, record.crc, record.method == _DEFLATED, start),
            ignored=_is_litter(name) or _goes_with_another(spelt, names),
        )
        for (spelt, name), record, start in zip(names.items(), listed, starts, strict=True)
    )
    return Archive(entries, stream, limits.ratio)


def _is_litter(name: str) -> bool:
    lowered = name.lower()
    return lowered.startswith(_MACOSX) or lowered in _LITTER


def _goes_with_another(spelt: str, names: Collection[str]) -> bool:
    """Whether it is the AppleDouble companion (RFC 1740) of another file of the archive."""
    return spelt.startswith(_APPLE_DOUBLE) and spelt.removeprefix(_APPLE_DOUBLE) in names


def _refuse_one_folder(entries: Sequence[ZipRecord]) -> None:
    names = [name for record in entries if not _is_litter(name := shown(record.name).replace("\\", "/"))]
    folders = {folder if slash else "" for folder, slash, _ in (name.partition("/") for name in names)}
    if len(folders) == 1 and (folder := folders.pop()) not in ("", ".", "..") and ":" not in folder:
        raise MessageRejected(
            finding(
                Fault.ZIP_PATH,
                detail=f" All of it is in the folder {folder}: zip the files in it, not the folder itself.",
                detail_zh=f"全部文件都在文件夹“{folder}”内，请打开该文件夹，选中其中的文件直接压缩，不要压缩文件夹本身。",
                file=folder,
            )
        )


def _refuse_all_but_plain_files(record: ZipRecord) -> None:
    file = shown(record.name)
    kind = stat.S_IFMT(record.mode)
    is_folder = stat.S_ISDIR(kind) or record.dos_attributes & _DOS_DIRECTORY
    if is_folder and not (file.lower().startswith(_MACOSX) and file.endswith("/") and not record.size):
        raise MessageRejected(finding(Fault.ZIP_PATH, file=file))
    if kind and not stat.S_ISREG(kind) and not is_folder:
        raise MessageRejected(finding(Fault.ZIP_SYMLINK, file=file))
    if record.flags & ENCRYPTED or record.method == _AES or record.extras.keys() & _EXTRAS_OF_ENCRYPTION:
        raise MessageRejected(finding(Fault.ZIP_ENCRYPTED, file=file))
    if record.version_needed > _NEWEST_VERSION or record.flags & PATCH:
        detail = f"{record.version_needed / 10}, {record.flags:#x}"
        raise MessageRejected(finding(Fault.ZIP_METHOD, detail=detail, file=file))
    if record.method not in (STORED, _DEFLATED):
        raise MessageRejected(finding(Fault.ZIP_METHOD, detail=str(record.method), file=file))
    if record.method == STORED and record.packed != record.size:
        raise broken("wrong size", "大小不符", file)


def _name(record: ZipRecord) -> str:
    name = _decoded(record)
    if not 0 < len(name) <= LONGEST_NAME or any(map(_is_control, name)):
        raise MessageRejected(finding(Fault.ZIP_NAME, file=name))
    # A Windows system that receives it reads a name with a colon as a drive or an alternate stream.
    flat = name.replace("/", "") if name.lower().startswith(_MACOSX) else name
    if ".." in name.split("/") or flat == "." or any(character in flat for character in "/\\:"):
        raise MessageRejected(finding(Fault.ZIP_PATH, file=name))
    return name


def _decoded(record: ZipRecord) -> str:
    readings = []
    for codec in ("utf-8",) if record.flags & UTF8 else ("utf-8", "gbk"):
        with suppress(UnicodeDecodeError):
            readings.append(record.name.decode(codec))
    # Info-ZIP's Unicode path (APPNOTE 4.6.9) may select one of the readings, but not give another name.
    path = record.extras.get(_EXTRA_UNICODE_PATH)
    if path is not None and path[:5] == b"\x01" + zlib.crc32(record.name).to_bytes(4, "little"):
        readings = [reading for reading in readings if reading.encode() == path[5:]]
    if not readings:
        raise MessageRejected(finding(Fault.ZIP_NAME, file=shown(record.name)))
    return readings[0]


def _is_control(character: str) -> bool:
    # Cf contains the marks that reverse the direction of writing, by which "fdp.exe" is shown as "exe.pdf".
    return (
        unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        or ord(character) & 0xFFFE == 0xFFFE
        or 0xFDD0 <= ord(character) <= 0xFDEF
    )


def _refuse_sizes(entries: Sequence[ZipRecord], limits: ArchiveLimits) -> None:
    size = sum(record.size for record in entries)
    if size > limits.size:
        raise MessageRejected(too_large(Fault.PACKAGE_TOO_LARGE, size, limits.size))
    for record in entries:
        _refuse_ratio(record.size, record.packed, limits.ratio, shown(record.name))
    _refuse_ratio(size, sum(record.packed for record in entries), limits.ratio)


def _refuse_ratio(size: int, packed: int, ratio: int, file: str | None = None) -> None:
    if size >= RATIO_COUNTS_FROM and size > ratio * packed:
        raise _bomb(size, packed, ratio, file)


def _bomb(size: int, packed: int, ratio: int, file: str | None) -> MessageRejected:
    return MessageRejected(
        finding(
            Fault.ZIP_RATIO,
            detail=f"{size}:{packed} > {ratio}:1",
            detail_zh=f"{in_bytes(packed)} 解压为 {in_bytes(size)}，上限 {ratio} 倍",
            file=file,
        )
    )


def _stored(stream: IO[bytes], entry: ArchiveEntry) -> Iterator[bytes]:
    for at in range(0, entry.size, _CHUNK):
        yield read_at(stream, entry.start + at, min(_CHUNK, entry.size - at))


def _inflated(stream: IO[bytes], entry: ArchiveEntry, ratio: int) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    fed = made = 0
    while not inflater.eof:
        data = inflater.unconsumed_tail
        if not data and fed < entry.packed:
            data = read_at(stream, entry.start + fed, min(_CHUNK, entry.packed - fed))
            fed += len(data)
        try:
            chunk = inflater.decompress(data, _CHUNK)
        except zlib.error:
            raise broken("data cannot be inflated", "数据无法解压", entry.name) from None
        made += len(chunk)
        if made > entry.size:
            used = fed - len(inflater.unconsumed_tail)
            if made > ratio * used:
                raise _bomb(made, used, ratio, entry.name)
            raise broken("wrong size", "大小不符", entry.name)
        if not data and not chunk:
            raise broken("data end too early", "数据不完整", entry.name)
        yield chunk
    if fed < entry.packed or inflater.unused_data:
        raise MessageRejected(finding(Fault.ZIP_HIDDEN, file=entry.name))
    if made != entry.size:
        raise broken("wrong size", "大小不符", entry.name)
