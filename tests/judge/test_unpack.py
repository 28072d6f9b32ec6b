"""Sound packages as broker software really makes them, and how much memory a large one takes."""

import hashlib
import io
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from struct import pack
from struct import unpack as unpack_bytes
from typing import IO

import pytest

from gateway.formats.archive import ArchiveLimits, open_archive
from gateway.judge.unpack import unpack
from gateway.model.faults import Fault, MessageRejected
from gateway.model.message import Package, Pdf
from gateway.model.policy import PackagePolicy, PdfPolicy
from tests.support.pdfs import pdf
from tests.support.zip_bytes import DOCUMENT, Item, archive

MB = 1024 * 1024
LIMIT = 512 * MB
XML = Item(name=b"declaration.xml", data=DOCUMENT)


def unpacked(
    data: bytes, policy: PackagePolicy | None = None, limit: int = LIMIT, name: str = "upload.zip"
) -> Package:
    return unpack(name, lambda: io.BytesIO(data), len(data), policy or PackagePolicy(), PdfPolicy(), limit)


def codes(data: bytes, policy: PackagePolicy | None = None, limit: int = LIMIT) -> list[str]:
    with pytest.raises(MessageRejected) as refusal:
        unpacked(data, policy, limit)
    return [finding.code for finding in refusal.value.findings]


class OneWay(io.RawIOBase):
    """A stream that cannot seek, so that `zipfile` must write data descriptors."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]  # zipfile writes bytes only
        self.data += data
        return len(data)


@contextmanager
def memory_peak_below(bound: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < bound


def test_parts_are_the_document_and_then_the_attachments_in_the_order_of_the_zip() -> None:
    b, a = pdf(2), pdf(3, version="1.7")
    package = unpacked(
        archive(
            [Item(name=b"b.pdf", data=b), Item(name=b"D.XML", data=DOCUMENT), Item(name=b"a.PDF", data=a)]
        )
    )
    assert package.is_zip
    assert (package.document, package.document_name) == (DOCUMENT, "D.XML")
    assert [(part.name, part.sha256, part.size) for part in package.parts] == [
        (name, hashlib.sha256(data).hexdigest(), len(data))
        for name, data in (("D.XML", DOCUMENT), ("b.pdf", b), ("a.PDF", a))
    ]
    assert [part.pdf for part in package.parts] == [
        None,
        Pdf(version=14, pages=2),
        Pdf(version=17, pages=3),
    ]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_data_descriptors_and_zip64_are_read(method: int) -> None:
    body = pdf(1)
    out = OneWay()
    with zipfile.ZipFile(out, "w", method) as target:
        target.writestr("declaration.xml", DOCUMENT)
        with target.open(zipfile.ZipInfo("list.pdf"), "w", force_zip64=True) as entry:
            entry.write(body)
    assert [part.size for part in unpacked(bytes(out.data)).parts] == [len(DOCUMENT), len(body)]


@pytest.mark.parametrize("form", ["<3I", "<I2Q"])
@pytest.mark.parametrize("signature", [b"", b"PK\x07\x08"])
def test_every_form_of_data_descriptor_is_read(form: str, signature: bytes) -> None:
    item = Item(name=b"a.pdf", data=pdf(), flags=1 << 3)
    crc, packed, size = item.numbers()
    streamed = Item(
        name=b"a.pdf",
        data=item.data,
        flags=1 << 3,
        local_crc=0,
        local_size=0,
        descriptor=signature + pack(form, crc, packed, size),
    )
    assert unpacked(archive([streamed, XML])).parts[1].size == size


def test_a_zip64_end_record_is_read() -> None:
    plain = archive([XML])
    at = plain.index(b"PK\x05\x06")
    _, _, _, _, count, size, start, _ = unpack_bytes("<4s4H2IH", plain[at:])
    end64 = pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, start)
    locator = pack("<4sIQI", b"PK\x06\x07", 0, at, 1)
    end = pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    assert unpacked(plain[:at] + end64 + locator + end).document == DOCUMENT


@pytest.mark.parametrize(
    ("raw", "flags", "name"),
    [
        ("发票.pdf".encode(), 1 << 11, "发票.pdf"),
        ("发票.pdf".encode(), 0, "发票.pdf"),
        ("发票.pdf".encode("gbk"), 0, "发票.pdf"),
        # The second byte of 乗 in GBK is a backslash, and is none.
        ("乗.pdf".encode("gbk"), 0, "乗.pdf"),
        ("发 票（１）　a..b.pdf".encode("gbk"), 0, "发 票（１）　a..b.pdf"),
    ],
)
def test_names_are_read_as_utf8_or_gbk(raw: bytes, flags: int, name: str) -> None:
    package = unpacked(archive([XML, Item(name=raw, data=pdf(), flags=flags)]))
    assert package.parts[1].name == name


def test_a_unicode_path_says_which_of_two_readings_is_meant() -> None:
    raw = "卢.pdf".encode("gbk")  # in UTF-8 this is "¬.pdf"
    path = b"\x01" + pack("<I", zlib.crc32(raw)) + "卢.pdf".encode()
    item = Item(name=raw, data=pdf(), extra=pack("<2H", 0x7075, len(path)) + path)
    assert unpacked(archive([XML, item])).parts[1].name == "卢.pdf"


def test_a_comment_and_padding_of_extra_fields_do_no_harm() -> None:
    data = archive(
        [Item(name=b"a.xml", data=DOCUMENT, extra=b"\x00" * 3)], comment="来自客户端".encode("gbk")
    )
    assert unpacked(data).document == DOCUMENT


@pytest.mark.parametrize(
    "document",
    [
        DOCUMENT,
        b"\xef\xbb\xbf" + DOCUMENT,
        b"\r\n " + DOCUMENT,
        DOCUMENT.decode().encode("utf-16"),
        DOCUMENT.decode().encode("utf-16-be"),
        DOCUMENT.decode().encode("utf-32"),
    ],
)
def test_a_bare_document_is_passed_on_byte_for_byte_whatever_its_encoding(document: bytes) -> None:
    package = unpacked(document, name="I_1.xml")
    assert not package.is_zip
    assert (package.document, package.document_name) == (document, "I_1.xml")
    assert package.parts[0].sha256 == hashlib.sha256(document).hexdigest()
    assert package.attachments == ()


@pytest.mark.parametrize(
    "data", [b"", b" \n", b"Rar!\x1a\x07\x00", b"%PDF-1.4", b"\x1f\x8b\x08", b"UNA:+.? '"]
)
def test_a_file_that_is_neither_zip_nor_xml_is_refused(data: bytes) -> None:
    assert codes(data) == [Fault.PACKAGE_UNREADABLE.code]


def test_the_document_is_bounded_in_a_zip_and_bare() -> None:
    policy = PackagePolicy(document_size=1024)
    large = b"<a>" + bytes(range(256)) * 4 + b"</a>"
    assert codes(archive([Item(name=b"a.xml", data=large)]), policy) == [Fault.DOCUMENT_TOO_LARGE.code]
    assert codes(large, policy) == [Fault.DOCUMENT_TOO_LARGE.code]


def test_the_account_bounds_both_what_was_sent_and_what_it_unpacks_to() -> None:
    data = archive([XML, Item(name=b"a.pdf", data=bytes(5000))])
    assert codes(data, limit=len(data) - 1) == [Fault.PACKAGE_TOO_LARGE.code]
    assert codes(data, limit=5000) == [Fault.PACKAGE_TOO_LARGE.code]
    assert unpacked(data, limit=5000 + len(DOCUMENT)).is_zip


def test_the_ratio_counts_for_an_entry_and_for_all_together() -> None:
    def stream(*sizes: int) -> IO[bytes]:
        items = [Item(name=b"%d.pdf" % number, data=bytes(size)) for number, size in enumerate(sizes)]
        return io.BytesIO(archive(items))

    limits = ArchiveLimits(entries=10, ratio=100, size=LIMIT)
    assert len(open_archive(stream(999_999), limits).entries) == 1
    for sizes in ((1_000_000,), (500_000, 500_000)):
        with pytest.raises(MessageRejected) as refusal:
            open_archive(stream(*sizes), limits)
        assert refusal.value.findings[0].code == Fault.ZIP_RATIO.code


def test_as_many_entries_as_the_policy_allows_are_taken() -> None:
    items = [XML, *(Item(name=b"%d.pdf" % number) for number in range(199))]
    assert len(unpacked(archive(items)).parts) == 200


def test_data_come_in_bounded_chunks() -> None:
    data = bytes(range(256)) * 2000
    stream = io.BytesIO(archive([Item(name=b"a.pdf", data=data)]))
    opened_archive = open_archive(stream, ArchiveLimits(entries=1, ratio=1000, size=LIMIT))
    chunks = list(opened_archive.open(opened_archive.entries[0]))
    assert b"".join(chunks) == data
    assert max(map(len, chunks)) <= 64 * 1024


def test_the_stream_is_closed_after_a_package_and_after_a_refusal() -> None:
    opened: list[IO[bytes]] = []

    def blob_of(data: bytes) -> IO[bytes]:
        opened.append(io.BytesIO(data))
        return opened[-1]

    good, bad = archive([XML]), archive([XML])[:-5]
    unpack("a.zip", lambda: blob_of(good), len(good), PackagePolicy(), PdfPolicy(), LIMIT)
    with pytest.raises(MessageRejected):
        unpack("a.zip", lambda: blob_of(bad), len(bad), PackagePolicy(), PdfPolicy(), LIMIT)
    assert [stream.closed for stream in opened] == [True, True]


def test_a_pdf_over_its_size_is_digested_but_not_looked_into() -> None:
    body = pdf(1, size=PdfPolicy().size + 1)
    part = unpacked(archive([XML, Item(name=b"a.pdf", data=body, method=0)])).parts[1]
    assert (part.sha256, part.size, part.pdf) == (hashlib.sha256(body).hexdigest(), len(body), Pdf())


def test_memory_does_not_grow_with_the_package(tmp_path: Path) -> None:
    path = tmp_path / "large.zip"
    body = pdf(20, size=4 * MB)
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("declaration.xml", DOCUMENT)
        for number in range(16):
            target.writestr(f"{number}.pdf", body)
        with target.open("large.pdf", "w") as entry:
            for _ in range(32):
                entry.write(body)
    with memory_peak_below(16 * MB):
        package = unpack(
            "large.zip", lambda: path.open("rb"), path.stat().st_size, PackagePolicy(), PdfPolicy(), LIMIT
        )
    assert [part.pdf for part in package.attachments] == [Pdf(version=14, pages=20)] * 16 + [Pdf()]


@pytest.mark.parametrize("form", ["bare", "zip"])
def test_300_mb_of_one_element_are_refused_without_being_held(tmp_path: Path, form: str) -> None:
    path = tmp_path / "large"
    size = 300 * MB
    with path.open("wb") as file:
        item = Item(name=b"a.xml", data=b"", method=0, size=size, packed=size)
        start = file.write(item.local() if form == "zip" else b"<a>")
        file.truncate(start + size)
        file.seek(0, 2)
        if form == "zip":
            end = archive([item])[len(item.local()) :]
            at = end.index(b"PK\x05\x06") + 16
            file.write(end[:at] + pack("<I", start + size) + end[at + 4 :])
    with memory_peak_below(MB), pytest.raises(MessageRejected) as refusal:
        unpack("a", lambda: path.open("rb"), path.stat().st_size, PackagePolicy(), PdfPolicy(), LIMIT)
    assert refusal.value.findings[0].code == Fault.DOCUMENT_TOO_LARGE.code
