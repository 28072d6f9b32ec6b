"""What belongs to a dossier, under which names; how it is drawn; how a stored part is read."""

import io
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway.dossier.contents import compiled, safe_name
from gateway.dossier.index import Export, build_index, index_bytes
from gateway.dossier.sampling import count_of, drawn, lot
from gateway.formats.xml import trusted
from gateway.formats.zip_member import opened_part
from gateway.model.dossier import (
    Copy,
    DossierDeclaration,
    DossierReceipt,
    OwedDocuments,
    RecordKind,
    Shelf,
    Stored,
    names_entry,
)
from gateway.model.message import Enclosure, EnclosureKind, Operation, Part, Pdf
from gateway.model.states import CustomsStatus
from tests.support.receipts import faults_of, schema

AT = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
ENTRY = "022020261000000001"
PARTS = (
    Part(name="a.xml", sha256="1" * 64, size=10),
    Part(name="invoice.pdf", sha256="2" * 64, size=20, pdf=Pdf()),
)


def sent(number: int, operation: Operation = Operation.DECLARE, **changes: object) -> DossierDeclaration:
    id_ = f"01K{number:023}"
    made = DossierDeclaration(
        id=id_,
        reference="R-1",
        account="broker-aa",
        operation=operation,
        received_at=AT + timedelta(seconds=number),
        state="closed",
        customs_status=CustomsStatus.RELEASED,
        seq_no="I1",
        entry_id=ENTRY,
        linked="",
        facts={"licences": "LIC-1 LIC-2", "manual_no": "C22010000001"},
        package=Part(name="a.zip", sha256=f"{number:064}", size=100),
        parts=PARTS,
        enclosures=(),
        copies=(Copy(row=number, key=id_, destination="customs", size=5, sha256="3" * 64, at=AT),),
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # fields by name


def receipt_of(row: int, record: RecordKind, name: str, **changes: object) -> DossierReceipt:
    made = DossierReceipt(
        record=record,
        row=row,
        name=name,
        kind="gateway",
        message=f"01X{row:023}",
        size=7,
        sha256=f"{row:064}",
        at=AT + timedelta(minutes=row),
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # fields by name


def paths(*messages: DossierDeclaration, receipts: tuple[DossierReceipt, ...] = ()) -> list[str]:
    return [file.path for file in compiled(ENTRY, messages, receipts, None).leaves]


def test_a_dossier_holds_package_document_attachments_envelope_agreement_receipts_and_answers() -> None:
    enclosures = (
        Enclosure(
            kind=EnclosureKind.ATTACHMENT, name="attachment-1.pdf", sha256="4" * 64, size=1, message="x"
        ),
        Enclosure(
            kind=EnclosureKind.AGREEMENT, name="agreement-notice.xml", sha256="5" * 64, size=1, message=""
        ),
    )
    receipts = (
        receipt_of(1, RecordKind.RECEIPT, "Gateway_a_1.xml"),
        receipt_of(2, RecordKind.ANSWER, "01X-business.xml"),
    )
    assert paths(sent(1, enclosures=enclosures), receipts=receipts) == [
        "declaration/a.zip",
        "declaration/a.xml",
        "documents/invoice.pdf",
        "documents/attachment-1.pdf",
        "agreement/agreement-notice.xml",
        "envelope/01K00000000000000000000001-customs.xml",
        "receipts/Gateway_a_1.xml",
        "customs/01X-business.xml",
    ]


def test_a_bare_declaration_is_its_own_package() -> None:
    package = Part(name="a.xml", sha256="1" * 64, size=10)
    assert paths(sent(1, package=package, parts=(package,))) == [
        "declaration/a.xml",
        "envelope/01K00000000000000000000001-customs.xml",
    ]


def test_names_stay_what_they_are_when_more_comes() -> None:
    correction = sent(2, linked=sent(1).id)
    documents = sent(3, Operation.INFORM, linked=correction.id)
    first = paths(sent(1))
    both = paths(sent(1), correction)
    every = paths(sent(1), correction, documents)
    assert both[: len(first)] == first
    assert every[: len(both)] == both
    assert "documents/invoice-2.pdf" in both
    assert {"documents/a.zip", "documents/a.xml", "documents/invoice-3.pdf"} <= set(every)
    assert len({path.casefold() for path in every}) == len(every)


def test_names_that_a_file_system_confuses_are_made_different() -> None:
    parts = (PARTS[0], *(replace(PARTS[1], name=name) for name in ("A.pdf", "a.PDF", "a.pdf")))
    names = [path for path in paths(sent(1, parts=parts)) if path.startswith("documents/")]
    assert names == ["documents/A.pdf", "documents/a-2.PDF", "documents/a-3.pdf"]


@settings(deadline=None)
@given(st.text(max_size=400))
def test_every_name_is_safe(original: str) -> None:
    name = safe_name(original)
    assert 0 < len(name.encode()) <= 200
    assert name.isprintable()
    assert not set(name) & set('/\\:*?"<>|')
    assert name[0] not in ". "


@pytest.mark.parametrize("text", ["", ".", "..", "a/b", "0202 ", "0" * 33, "０２０２", "0202\n", "%2e%2e"])
def test_a_name_that_is_no_entry_number_names_no_dossier(text: str) -> None:
    assert not names_entry(text)
    assert names_entry(ENTRY)


def test_a_dossier_has_document_requests_and_missing_documents() -> None:
    receipts = (
        receipt_of(1, RecordKind.RECEIPT, "Request_a_1.xml", kind="request"),
        receipt_of(2, RecordKind.RECEIPT, "Request_b_1.xml", kind="request", sha256=f"{1:064}"),
        receipt_of(3, RecordKind.ANSWER, "1-business.xml", status=CustomsStatus.STORED),
        receipt_of(4, RecordKind.ANSWER, "2-business.xml", status=CustomsStatus.PAPER_ASKED, note="纸质单证"),
    )
    owed = OwedDocuments(due="with", documents=("1", "2"), missing=("2",), due_at=None, fulfilled_at=None)
    dossier = compiled(ENTRY, [sent(1)], receipts, owed)
    assert [(request.what, request.note, request.part) for request in dossier.requests] == [
        ("request", "", "receipts/Request_a_1.xml"),
        ("paper_asked", "纸质单证", "customs/2-business.xml"),
    ]
    assert len(dossier.shelf(Shelf.RECEIPTS)) == 1
    assert dossier.licences == (("licence", "LIC-1"), ("licence", "LIC-2"), ("manual", "C22010000001"))
    assert dossier.names == {ENTRY, "I1", sent(1).id}


def test_the_index_is_true_to_its_schema_and_lists_every_part() -> None:
    owed = OwedDocuments(due="with", documents=("1",), missing=("1",), due_at=AT, fulfilled_at=None)
    asked = receipt_of(1, RecordKind.ANSWER, "1-business.xml", status=CustomsStatus.INSPECTION, note="查验")
    dossier = compiled(ENTRY, [sent(1), sent(2, linked=sent(1).id)], (asked,), owed)
    taken = build_index(dossier, Export(at=AT, actor="root", reason="审计"))
    for root in (trusted(index_bytes(dossier)), taken):
        assert faults_of(schema("gateway", "dossier.xsd"), etree.tostring(root)) == []
        listed = [str(part.get("path")) for part in root.iterfind("{*}Parts/{*}Part")]
        assert listed == [file.path for file in dossier.leaves]


def test_the_same_seed_and_entries_give_the_same_sample_in_any_order() -> None:
    entries = [f"02202026100000{number:04}" for number in range(1000)]
    chosen = drawn("2026-11", entries, 50)
    assert drawn("2026-11", reversed(entries), 50) == chosen
    assert drawn("2026-11", entries * 2, 50) == chosen
    assert drawn("2026-12", entries, 50) != chosen
    assert drawn("2026-11", entries, 60)[:50] == chosen
    # What any machine must find: SHA-256 of seed, line break and number.
    assert lot("2026-11", ENTRY) == "72d0aed8398539e6c1399e2d7298ec694dbb99b1a7ef9675f90147a681cb85a1"


def test_a_share_is_rounded_up() -> None:
    assert [count_of("0.05", number) for number in (0, 1, 20, 21, 100)] == [0, 1, 1, 2, 5]
    assert count_of("1", 7) == 7
    for wrong in ("0", "-0.1", "1.01", "a", "", "NaN", "1e999999999"):
        with pytest.raises(ValueError, match="above 0"):
            count_of(wrong, 10)


def stored(body: bytes, how: int) -> dict[str, bytes]:
    out = io.BytesIO()
    with ZipFile(out, "w", how) as archive:
        archive.writestr("a.xml", b"<a/>")
        archive.writestr("b.pdf", body)
    return {"0" * 64: out.getvalue()}


BODY = bytes(range(256)) * 2000


@pytest.mark.parametrize("how", [ZIP_DEFLATED, ZIP_STORED])
@settings(deadline=None)
@given(reads=st.lists(st.tuples(st.integers(0, len(BODY) + 9), st.integers(1, 100_000)), max_size=8))
def test_a_part_is_read_from_anywhere_as_it_is(how: int, reads: list[tuple[int, int]]) -> None:
    blobs = stored(BODY, how)
    with opened_part(Stored("0" * 64, "b.pdf"), lambda sha256: io.BytesIO(blobs[sha256])) as part:
        for offset, length in reads:
            part.seek(offset)
            assert part.read(length) == BODY[offset : offset + length]


def test_a_large_part_is_read_in_little_memory() -> None:
    blobs = stored(b"%PDF-1.4 " * 4_000_000, ZIP_DEFLATED)
    tracemalloc.start()
    with opened_part(Stored("0" * 64, "b.pdf"), lambda sha256: io.BytesIO(blobs[sha256])) as part:
        while part.read(32 * 1024):
            pass
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_damaged_and_missing_parts_are_reported() -> None:
    blobs = stored(BODY, ZIP_DEFLATED)
    whole = blobs["0" * 64]
    at = whole.index(b"b.pdf") + 200
    broken = {"0" * 64: whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :], "1" * 64: b"no zip"}
    with (
        opened_part(Stored("0" * 64, "b.pdf"), lambda sha256: io.BytesIO(broken[sha256])) as part,
        pytest.raises(OSError, match="damaged"),
    ):
        part.read()
    with pytest.raises(OSError, match="damaged"):
        opened_part(Stored("1" * 64, "b.pdf"), lambda sha256: io.BytesIO(broken[sha256]))
    with pytest.raises(KeyError):
        opened_part(Stored("0" * 64, "c.pdf"), lambda sha256: io.BytesIO(blobs[sha256]))
