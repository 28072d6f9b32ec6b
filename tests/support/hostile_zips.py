"""Packages with one defect each, and the fault that each must be refused as.

Run as a script it writes `tests/messages/packages/` anew, with its README.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from struct import pack
from typing import Final

from gateway.model.faults import Fault
from tests.support.zip_bytes import DOCUMENT, PDF, Item, archive, deflate

FOLDER: Final = Path(__file__).parents[1] / "messages" / "packages"

_SYMLINK: Final = 0o120777
_FIFO: Final = 0o010644
_DIRECTORY: Final = 0o040755


XML: Final = Item(name=b"declaration.xml", data=DOCUMENT)
INVOICE: Final = Item(name=b"invoice.pdf")


def with_xml(*items: Item) -> bytes:
    return archive([XML, *items])


def quoted_overlap(files: int = 4, size: int = 300_000) -> bytes:
    """Fifield's construction: each entry's data quote the next local header in a stored block and run on into
    the data behind it, so that all share one kernel and every checksum is right."""
    kernel = b"\x00" * size
    items = [Item(name=b"%03d.pdf" % files, data=kernel)]
    for number in range(files - 1, 0, -1):
        quoted = items[0].local()
        block = b"\x00" + pack("<2H", len(quoted), len(quoted) ^ 0xFFFF)
        body = block + quoted + items[0].body
        items.insert(0, Item(name=b"%03d.pdf" % number, data=quoted + items[0].data, packed_data=body))
    out = XML.local() + XML.body
    directory = XML.central(0)
    for item in items:
        directory += item.central(len(out))
        out += item.local() + (b"" if item is items[-1] else item.body[:5])
    out += items[-1].body
    end = pack("<4s4H2IH", b"PK\x05\x06", 0, 0, files + 1, files + 1, len(directory), len(out), 0)
    return out + directory + end


def _unicode_path(name: bytes, says: str) -> bytes:
    body = b"\x01" + pack("<I", zlib.crc32(name)) + says.encode()
    return pack("<2H", 0x7075, len(body)) + body


_SAME_PLACE: Final = len(XML.local()) + len(XML.body)
_ZEROS: Final = bytes(10_000_000)


@dataclass(frozen=True)
class Case:
    fault: Fault
    defect: str
    make: Callable[[], bytes]


CASES: Final[dict[str, Case]] = {
    # names that lead somewhere
    "name-with-folder": Case(
        Fault.ZIP_PATH, "an entry in a folder", lambda: with_xml(Item(name=b"docs/invoice.pdf"))
    ),
    "name-absolute": Case(
        Fault.ZIP_PATH, "an absolute name", lambda: with_xml(Item(name=b"/etc/invoice.pdf"))
    ),
    "name-of-parent": Case(
        Fault.ZIP_PATH, "a name that begins with ../", lambda: with_xml(Item(name=b"../a.pdf"))
    ),
    "name-dot-dot": Case(Fault.ZIP_PATH, "the name ..", lambda: with_xml(Item(name=b".."))),
    "name-with-backslash": Case(
        Fault.ZIP_PATH, "a folder in the manner of Windows", lambda: with_xml(Item(name=b"..\\a.pdf"))
    ),
    "name-with-drive": Case(Fault.ZIP_PATH, "a drive letter", lambda: with_xml(Item(name=b"C:a.pdf"))),
    "name-of-directory": Case(
        Fault.ZIP_PATH, "an entry for a folder", lambda: with_xml(Item(name=b"docs/", data=b"", method=0))
    ),
    "mode-of-directory": Case(
        Fault.ZIP_PATH, "a folder named like a file", lambda: with_xml(Item(name=b"a.pdf", mode=_DIRECTORY))
    ),
    "one-folder": Case(
        Fault.ZIP_PATH,
        "one folder around everything",
        lambda: archive(
            [
                Item(name=b"docs/", data=b"", method=0, mode=_DIRECTORY),
                Item(name=b"docs/a.xml", data=DOCUMENT),
            ]
        ),
    ),
    "litter-that-leads-out": Case(
        Fault.ZIP_PATH, "a name that leads out of __MACOSX", lambda: with_xml(Item(name=b"__MACOSX/../a.pdf"))
    ),
    "litter-201": Case(
        Fault.ZIP_TOO_MANY,
        "more entries than a package may have, of a desktop's own",
        lambda: with_xml(*(Item(name=b"__MACOSX/%d" % number, data=b"") for number in range(200))),
    ),
    "zeros-and-more": Case(
        Fault.ZIP_BROKEN,
        "zeros after the end record, and more",
        lambda: archive([XML], after=bytes(500) + b"\x01"),
    ),
    # special files
    "symlink": Case(
        Fault.ZIP_SYMLINK,
        "a symbolic link",
        lambda: with_xml(Item(name=b"a.pdf", data=b"/etc/passwd", mode=_SYMLINK)),
    ),
    "fifo": Case(Fault.ZIP_SYMLINK, "a named pipe", lambda: with_xml(Item(name=b"a.pdf", mode=_FIFO))),
    # encryption
    "encrypted": Case(Fault.ZIP_ENCRYPTED, "flag bit 0", lambda: with_xml(Item(name=b"a.pdf", flags=1))),
    "encrypted-strongly": Case(
        Fault.ZIP_ENCRYPTED, "flag bits 0 and 6", lambda: with_xml(Item(name=b"a.pdf", flags=1 | 1 << 6))
    ),
    "encrypted-headers": Case(
        Fault.ZIP_ENCRYPTED,
        "flag bit 13, masked headers",
        lambda: with_xml(Item(name=b"a.pdf", flags=1 << 13)),
    ),
    "encrypted-aes": Case(
        Fault.ZIP_ENCRYPTED,
        "WinZip AES without the flag",
        lambda: with_xml(
            Item(name=b"a.pdf", method=99, extra=pack("<2HH2sBH", 0x9901, 7, 2, b"AE", 3, 8), packed_data=PDF)
        ),
    ),
    # entries that meet
    "name-twice": Case(Fault.ZIP_DUPLICATE, "one name twice", lambda: with_xml(INVOICE, INVOICE)),
    "name-twice-but-case": Case(
        Fault.ZIP_DUPLICATE, "names that differ in case", lambda: with_xml(INVOICE, Item(name=b"Invoice.PDF"))
    ),
    "name-twice-but-form": Case(
        Fault.ZIP_DUPLICATE,
        "names that differ in Unicode normalisation",
        lambda: with_xml(
            Item(name="é.pdf".encode(), flags=1 << 11), Item(name="e\u0301.pdf".encode(), flags=1 << 11)
        ),
    ),
    "overlap-full": Case(
        Fault.ZIP_OVERLAP,
        "two entries over the same data",
        lambda: with_xml(INVOICE, Item(name=b"other.pdf", offset=_SAME_PLACE)),
    ),
    "overlap-quoted": Case(Fault.ZIP_OVERLAP, "Fifield's bomb: local headers quoted in data", quoted_overlap),
    "overlap-directory": Case(
        Fault.ZIP_OVERLAP,
        "data that run into the directory",
        lambda: with_xml(Item(name=b"a.pdf", packed=60)),
    ),
    "offset-outside": Case(
        Fault.ZIP_OVERLAP,
        "an offset behind the end of the file",
        lambda: with_xml(Item(name=b"a.pdf", offset=1 << 30)),
    ),
    # two headers, two stories
    "local-name-differs": Case(
        Fault.ZIP_BROKEN,
        "another name in the local header",
        lambda: with_xml(Item(name=b"a.pdf", local_name=b"a.xml")),
    ),
    "local-method-differs": Case(
        Fault.ZIP_BROKEN,
        "another method in the local header",
        lambda: with_xml(Item(name=b"a.pdf", local_method=0)),
    ),
    "local-flags-differ": Case(
        Fault.ZIP_BROKEN,
        "encrypted by the local header only",
        lambda: with_xml(Item(name=b"a.pdf", local_flags=1)),
    ),
    "local-size-differs": Case(
        Fault.ZIP_BROKEN,
        "another size in the local header",
        lambda: with_xml(Item(name=b"a.pdf", local_size=5)),
    ),
    "local-checksum-differs": Case(
        Fault.ZIP_BROKEN,
        "another checksum in the local header",
        lambda: with_xml(Item(name=b"a.pdf", local_crc=5)),
    ),
    # data that are not what was declared
    "checksum-wrong": Case(
        Fault.ZIP_BROKEN, "a wrong checksum", lambda: with_xml(Item(name=b"a.pdf", crc=5))
    ),
    "size-declared-small": Case(
        Fault.ZIP_BROKEN, "more data than declared", lambda: with_xml(Item(name=b"a.pdf", size=len(PDF) - 1))
    ),
    "size-declared-large": Case(
        Fault.ZIP_BROKEN, "less data than declared", lambda: with_xml(Item(name=b"a.pdf", size=len(PDF) + 1))
    ),
    "size-of-stored-differs": Case(
        Fault.ZIP_BROKEN, "stored, yet of two sizes", lambda: with_xml(Item(name=b"a.pdf", method=0, size=5))
    ),
    "deflate-garbage": Case(
        Fault.ZIP_BROKEN,
        "data that cannot be inflated",
        lambda: with_xml(Item(name=b"a.pdf", packed_data=b"\xff" * 20)),
    ),
    "deflate-unfinished": Case(
        Fault.ZIP_BROKEN,
        "deflate data without their end",
        lambda: with_xml(Item(name=b"a.pdf", packed_data=deflate(PDF)[:-3])),
    ),
    "descriptor-wrong": Case(
        Fault.ZIP_BROKEN,
        "a data descriptor with another checksum",
        lambda: with_xml(
            Item(name=b"a.pdf", flags=1 << 3, descriptor=replace(INVOICE, crc=5).sound_descriptor())
        ),
    ),
    "descriptor-missing": Case(
        Fault.ZIP_BROKEN,
        "no data descriptor though flagged",
        lambda: with_xml(Item(name=b"a.pdf", flags=1 << 3)),
    ),
    # structure
    "cut-short": Case(Fault.ZIP_BROKEN, "the upload broke off", lambda: with_xml(INVOICE)[:-30]),
    "bytes-at-end": Case(
        Fault.ZIP_BROKEN, "bytes after the end record", lambda: archive([XML], after=b"\x01" * 16)
    ),
    "several-volumes": Case(Fault.ZIP_BROKEN, "a part of a split archive", lambda: archive([XML], disk=1)),
    "count-too-low": Case(
        Fault.ZIP_BROKEN, "more entries than the end record says", lambda: archive([XML, INVOICE], count=1)
    ),
    "count-too-high": Case(
        Fault.ZIP_BROKEN, "fewer entries than the end record says", lambda: archive([XML, INVOICE], count=3)
    ),
    "zip64-end-wrong": Case(
        Fault.ZIP_BROKEN,
        "a zip64 locator that leads nowhere",
        lambda: archive([XML], before_end=pack("<4sIQI", b"PK\x06\x07", 0, 3, 1)),
    ),
    "extra-field-overruns": Case(
        Fault.ZIP_BROKEN,
        "an extra field longer than it can be",
        lambda: with_xml(Item(name=b"a.pdf", extra=b"\x01\x00\xff\x00")),
    ),
    # bytes of no entry
    "hidden-first": Case(
        Fault.ZIP_HIDDEN,
        "an entry that the directory leaves out, first",
        lambda: archive([XML], first=INVOICE.local() + INVOICE.body),
    ),
    "hidden-between": Case(
        Fault.ZIP_HIDDEN,
        "bytes between two entries",
        lambda: archive([Item(name=b"a.xml", gap=PDF), INVOICE]),
    ),
    "hidden-last": Case(
        Fault.ZIP_HIDDEN,
        "an entry that the directory leaves out, last",
        lambda: archive([XML], last=INVOICE.local() + INVOICE.body),
    ),
    "hidden-before-end": Case(
        Fault.ZIP_HIDDEN,
        "bytes between directory and end record",
        lambda: archive([XML], before_end=b"\x00" * 32),
    ),
    "hidden-in-comment": Case(
        Fault.ZIP_HIDDEN, "an archive in the comment", lambda: archive([XML], comment=with_xml(INVOICE))
    ),
    "hidden-after-deflate": Case(
        Fault.ZIP_HIDDEN,
        "bytes after the end of the deflate data",
        lambda: with_xml(Item(name=b"a.pdf", packed_data=deflate(PDF) + PDF)),
    ),
    # too much
    "entries-201": Case(
        Fault.ZIP_TOO_MANY,
        "201 entries",
        lambda: with_xml(*(Item(name=b"%03d.pdf" % n, data=b"", method=0) for n in range(200))),
    ),
    "bomb": Case(Fault.ZIP_RATIO, "10 MB of zeros", lambda: with_xml(Item(name=b"a.pdf", data=_ZEROS))),
    "bomb-in-many": Case(
        Fault.ZIP_RATIO,
        "30 entries of 900 KB of zeros",
        lambda: with_xml(*(Item(name=b"%02d.pdf" % n, data=_ZEROS[:900_000]) for n in range(30))),
    ),
    "bomb-that-lies": Case(
        Fault.ZIP_RATIO,
        "10 MB of zeros, declared as 1 KB",
        lambda: with_xml(Item(name=b"a.pdf", data=_ZEROS, size=1024)),
    ),
    "size-declared-4-gb": Case(
        Fault.PACKAGE_TOO_LARGE, "declares 4 GB", lambda: with_xml(Item(name=b"a.pdf", size=0xFFFFFFFE))
    ),
    # names that cannot be read in one way
    "name-not-utf8": Case(
        Fault.ZIP_NAME,
        "flagged as UTF-8, but GBK",
        lambda: with_xml(Item(name="发票.pdf".encode("gbk"), flags=1 << 11)),
    ),
    "name-not-gbk": Case(
        Fault.ZIP_NAME, "neither UTF-8 nor GBK", lambda: with_xml(Item(name=b"\xff\xfe.pdf"))
    ),
    "name-with-control": Case(
        Fault.ZIP_NAME, "a NUL in a name", lambda: with_xml(Item(name=b"a.pdf\x00.xml"))
    ),
    "name-turned-round": Case(
        Fault.ZIP_NAME,
        "a right-to-left mark in a name",
        lambda: with_xml(Item(name="a\u202efdp.pdf".encode(), flags=1 << 11)),
    ),
    "name-too-long": Case(
        Fault.ZIP_NAME, "a name of 256 characters", lambda: with_xml(Item(name=b"a" * 252 + b".pdf"))
    ),
    "name-empty": Case(Fault.ZIP_NAME, "an empty name", lambda: with_xml(Item(name=b""))),
    "name-of-two-kinds": Case(
        Fault.ZIP_NAME,
        "a Unicode path that gives another name",
        lambda: with_xml(Item(name=b"a.pdf", extra=_unicode_path(b"a.pdf", "b.xml"))),
    ),
    # content
    "method-bzip2": Case(
        Fault.ZIP_METHOD, "packed with bzip2", lambda: with_xml(Item(name=b"a.pdf", method=12))
    ),
    "method-deflate64": Case(
        Fault.ZIP_METHOD, "packed with Deflate64", lambda: with_xml(Item(name=b"a.pdf", method=9))
    ),
    "version-unknown": Case(
        Fault.ZIP_METHOD,
        "needs a version of the format that there is not",
        lambda: with_xml(Item(name=b"a.pdf", version_needed=99)),
    ),
    "data-patched": Case(
        Fault.ZIP_METHOD, "flag bit 5, patch data", lambda: with_xml(Item(name=b"a.pdf", flags=1 << 5))
    ),
    "no-document": Case(Fault.ZIP_NO_DOCUMENT, "a PDF alone", lambda: archive([INVOICE])),
    "no-entries": Case(Fault.ZIP_NO_DOCUMENT, "an empty zip", lambda: archive([])),
    "two-documents": Case(
        Fault.ZIP_MANY_DOCUMENTS, "two XML files", lambda: with_xml(Item(name=b"b.XML", data=DOCUMENT))
    ),
    "program": Case(
        Fault.ZIP_UNEXPECTED, "a file that is neither XML nor PDF", lambda: with_xml(Item(name=b"a.pdf.exe"))
    ),
    "zip-in-zip": Case(
        Fault.ZIP_UNEXPECTED,
        "an archive in the archive",
        lambda: with_xml(Item(name=b"a.zip", data=with_xml(INVOICE))),
    ),
    "self-extractor": Case(
        Fault.PACKAGE_UNREADABLE, "a program before the zip", lambda: archive([XML], first=b"MZ" * 64)
    ),
    "empty": Case(Fault.PACKAGE_UNREADABLE, "no bytes at all", lambda: b""),
}


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    lines = [
        "# Hostile packages",
        "",
        "Each file has one defect. Made by `python -m tests.support.hostile_zips`.",
        "",
        "| file | defect | refused as |",
        "|---|---|---|",
    ]
    for name, case in CASES.items():
        (FOLDER / f"{name}.zip").write_bytes(case.make())
        lines.append(f"| `{name}.zip` | {case.defect} | `{case.fault.code}` |")
    (FOLDER / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
