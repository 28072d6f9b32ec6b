"""Every hostile package of `tests/messages/packages/` is refused by the fault that names its defect."""

import hashlib
import io
import tracemalloc
import zipfile
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.judge.unpack import unpack
from gateway.model.faults import Fault, MessageRejected
from gateway.model.message import Package
from gateway.model.policy import PackagePolicy, PdfPolicy
from tests.support.hostile_zips import CASES, FOLDER, XML, with_xml
from tests.support.pdfs import pdf, with_trailer
from tests.support.zip_bytes import Item, archive

LIMIT = 512 * 1024 * 1024


def unpacked(data: bytes) -> Package:
    return unpack("upload.zip", lambda: io.BytesIO(data), len(data), PackagePolicy(), PdfPolicy(), LIMIT)


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_package_is_refused_as_what_it_is(name: str) -> None:
    data = (FOLDER / f"{name}.zip").read_bytes()
    with pytest.raises(MessageRejected) as refusal:
        unpacked(data)
    assert {finding.code for finding in refusal.value.findings} == {CASES[name].fault.code}


@pytest.mark.parametrize("name", CASES)
def test_a_shipped_hostile_package_is_small_and_in_the_list(name: str) -> None:
    assert (FOLDER / f"{name}.zip").stat().st_size < 100_000
    assert f"| `{name}.zip` | {CASES[name].defect} | `{CASES[name].fault.code}` |" in (
        FOLDER / "README.md"
    ).read_text("utf-8")


def test_the_folder_holds_no_package_that_no_case_explains() -> None:
    assert {path.stem for path in FOLDER.glob("*.zip")} == set(CASES)


def test_every_fault_of_zips_has_a_hostile_package() -> None:
    only_warned_of = {Fault.ZIP_IGNORED}
    assert {fault for fault in Fault if fault.name.startswith("ZIP_")} - only_warned_of <= {
        case.fault for case in CASES.values()
    }


def test_a_refusal_names_every_unexpected_file_as_it_is_called() -> None:
    with pytest.raises(MessageRejected) as refusal:
        unpacked(with_xml(Item(name=b"a.exe"), Item(name="箱单.docx".encode("gbk"))))
    assert [finding.place.file for finding in refusal.value.findings] == ["a.exe", "箱单.docx"]


def test_an_entry_is_named_as_its_sender_knows_it_even_when_it_is_not_opened() -> None:
    with pytest.raises(MessageRejected) as refusal:
        unpacked(with_xml(Item(name="发票.pdf".encode("gbk"), flags=1)))
    assert refusal.value.findings[0].place.file == "发票.pdf"


def test_entries_that_are_small_may_pack_well() -> None:
    package = unpacked(with_xml(Item(name=b"a.pdf", data=bytes(900_000))))
    assert package.parts[1].size == 900_000


def test_a_bomb_that_lies_is_refused_without_unfolding_it() -> None:
    data = (FOLDER / "bomb-that-lies.zip").read_bytes()
    tracemalloc.start()
    try:
        with pytest.raises(MessageRejected):
            unpacked(data)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def honest_packages() -> Iterator[bytes]:
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as target:
            target.writestr("declaration.xml", XML.data)
            target.writestr("发票.pdf", pdf(2))
            body = with_trailer(pdf(), name="x", code="00000001", office="0200", trade_code="4403180001")
            with target.open(zipfile.ZipInfo("list.pdf"), "w", force_zip64=True) as entry:
                entry.write(body)
            target.comment = b"from the broker"
        yield out.getvalue()
    item = Item(name=b"a.pdf", flags=1 << 3)
    yield archive([XML, Item(name=b"a.pdf", flags=1 << 3, descriptor=item.sound_descriptor())])
    yield b'<?xml version="1.0"?><DecMessage/>'


HONEST = list(honest_packages())
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["set", "cut", "insert", "repeat"]), st.integers(0, 1 << 16), st.binary(max_size=8)
    ),
    min_size=1,
    max_size=6,
)


def mutated(data: bytes, edits: list[tuple[str, int, bytes]]) -> bytes:
    out = bytearray(data)
    for kind, at, some in edits:
        # From the end, where the directory is and most can go wrong, as often as from the start.
        place = at % (len(out) + 1) if at % 2 else max(0, len(out) - at % 300)
        if kind == "set":
            out[place : place + len(some)] = some
        elif kind == "insert":
            out[place:place] = some
        elif kind == "cut":
            del out[place : place + len(some)]
        else:
            out[place:place] = out[place : place + 64]
    return bytes(out)


def digests_by_zipfile(data: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(data)) as other:
        return sorted(hashlib.sha256(other.read(info)).hexdigest() for info in other.infolist())


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(HONEST), EDITS)
def test_any_bytes_give_a_package_or_a_refusal(honest: bytes, edits: list[tuple[str, int, bytes]]) -> None:
    data = mutated(honest, edits)
    with suppress(MessageRejected):
        package = unpacked(data)
        if package.is_zip:
            assert digests_by_zipfile(data) == sorted(part.sha256 for part in package.parts)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"PK\x03\x04", b"PK\x05\x06", b""]))
def test_noise_is_refused(noise: bytes, magic: bytes) -> None:
    with suppress(MessageRejected):
        assert not unpacked(magic + noise).is_zip
