"""What goes to customs: the envelope says all that customs must know, and the zip holds the very bytes."""

import hashlib
import io
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, cast

import pytest
from lxml import etree

from gateway.formats.submission import build_envelope, inner_name, read_envelope, write_zip
from gateway.formats.xml import trusted
from gateway.model.faults import Fault, Severity, finding
from gateway.model.message import (
    Arrival,
    ChainLink,
    Facts,
    Key,
    Operation,
    Package,
    Part,
    Pdf,
    Received,
    Submission,
)
from gateway.model.parties import ClassPeriod, Party, Role, TraderClass
from gateway.model.reform import Risk
from gateway.model.risk_hint import Hint

ROOT = Path(__file__).resolve().parents[2]
AT = datetime(2026, 11, 23, 4, 5, 6, 789000, tzinfo=UTC)
DOCUMENT = b"<DecMessage/>"
PAPER = b"%PDF-1.4 invoice"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def values() -> dict[str, Any]:
    """The keyword arguments of `build_envelope` for a declaration with one paper."""
    arrival = Arrival(
        id="01JD9Z0000000000000000000A",
        account="broker-aa",
        channel="sftp",
        name="报关单 1.zip",
        sha256="ab" * 32,
        size=4321,
        received_at=AT,
    )
    return {
        "received": Received(arrival=arrival, attempts=1, link=ChainLink(sequence=7, digest="cd" * 32)),
        "package": Package(
            document=DOCUMENT,
            document_name="报关单.xml",
            is_zip=True,
            parts=(
                Part(name="报关单.xml", sha256=sha(DOCUMENT), size=len(DOCUMENT)),
                Part(name="发票.pdf", sha256=sha(PAPER), size=len(PAPER), pdf=Pdf(pages=2, signed=True)),
            ),
        ),
        "facts": Facts(
            key=Key(party="2200980001", family="cn-dec", type="DecMessage", reference="C-1 & <2>"),
            content="ef" * 32,
            body="01" * 32,
            operation=Operation.DECLARE,
            values={"office": "2248", "goods": "棉 <布>"},
        ),
        "sender": Party(
            code="2200980001",
            scc="91310000MA1FL00001",
            name="上海报关行",
            roles=(Role.BROKER,),
            classes=(ClassPeriod(trader_class=TraderClass.AA),),
        ),
        "findings": (
            finding(Fault.SAME_CONTENT, detail="C-0", severity=Severity.WARNING),
            finding(Fault.RULE, rule="R017", severity=Severity.WARNING),
        ),
        "version": "1",
        "rules": "23" * 32,
        "policy": "45" * 32,
        "created_at": AT,
        "certificate": "67" * 32,
        "linked": "01JD9Z0000000000000000000B",
        "hint": Hint(
            risk=Risk.UNKNOWN,
            treated_as=Risk.HIGH,
            inspection="normal",
            reasons=("unknown: trader B, broker AA", "drawn as high"),
        ),
    }


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    return etree.XMLSchema(trusted((ROOT / "schemas/gateway/1/envelope.xsd").read_bytes()))


def test_customs_reads_from_the_envelope_what_the_gateway_knew(schema: etree.XMLSchema) -> None:
    envelope_values = values()

    root = trusted(etree.tostring(build_envelope(**envelope_values), encoding="UTF-8", xml_declaration=True))
    schema.assertValid(root)
    envelope = read_envelope(root)

    assert envelope.message == envelope_values["received"].arrival.id
    assert envelope.reference == "C-1 & <2>"
    assert envelope.operation is Operation.DECLARE
    assert envelope.linked == envelope_values["linked"]
    assert envelope.sender == {
        "code": "2200980001",
        "scc": "91310000MA1FL00001",
        "name": "上海报关行",
        "role": "broker",
        "class": "AA",
    }
    assert (envelope.received_at, envelope.created_at) == (AT, AT)
    assert (envelope.family, envelope.type, envelope.version) == ("cn-dec", "DecMessage", "1")
    assert (envelope.rules, envelope.policy) == ("23" * 32, "45" * 32)
    assert envelope.package == Part(name="报关单 1.zip", sha256="ab" * 32, size=4321)
    assert envelope.parts == envelope_values["package"].parts
    assert envelope.certificate == "67" * 32
    assert envelope.facts == envelope_values["facts"].values
    assert envelope.warnings == (("same-content", ""), ("business-rule", "R017"))
    assert envelope.hint == envelope_values["hint"]
    assert envelope.link == envelope_values["received"].link


def test_elements_that_do_not_apply_are_absent(schema: etree.XMLSchema) -> None:
    envelope_values = values() | {"certificate": None, "linked": None, "findings": ()}
    envelope_values["sender"] = replace(envelope_values["sender"], classes=())

    root = build_envelope(**envelope_values)
    schema.assertValid(root)
    envelope = read_envelope(root)

    assert envelope.certificate is None
    assert envelope.linked is None
    assert envelope.warnings == ()
    assert "class" not in envelope.sender


@pytest.mark.parametrize("name", ["decl.zip", "decl.xml", "报关单 1.zip", "a..b.zip", "x" * 96 + ".zip"])
def test_a_harmless_name_is_left_as_it_is(name: str) -> None:
    assert inner_name(name) == name


@pytest.mark.parametrize(
    ("name", "inner"),
    [
        ("envelope.xml", "package.xml"),
        ("Envelope.XML", "package.xml"),
        ("../up.zip", "package.zip"),
        ("a/b.xml", "package.xml"),
        ("a\\b.zip", "package.zip"),
        ("C:x.zip", "package.zip"),
        (".hidden.zip", "package.zip"),
        ("..", "package.zip"),
        ("", "package.zip"),
        ("new\nline.zip", "package.zip"),
        ("right-to-left\u202epiz.zip", "package.zip"),
        ("x" * 97 + ".zip", "package.zip"),
    ],
)
def test_a_name_that_could_do_harm_is_replaced(name: str, inner: str) -> None:
    assert inner_name(name) == inner
    assert inner_name(inner) == inner


def test_the_zip_holds_envelope_and_package_byte_for_byte_and_not_compressed() -> None:
    body = bytes(range(256)) * 5000
    out = io.BytesIO()
    package = io.BytesIO(body)
    package.seek(99)

    write_zip(submission("envelope.xml"), lambda _sha256: package, out)

    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == ["envelope.xml", "package.xml"]
        assert archive.read("envelope.xml") == b"<envelope/>"
        assert archive.read("package.xml") == body
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


def test_the_same_submission_is_the_same_zip() -> None:
    first, second = io.BytesIO(), io.BytesIO()

    write_zip(submission("单.zip"), lambda _sha256: io.BytesIO(PAPER), first)
    write_zip(submission("单.zip"), lambda _sha256: io.BytesIO(PAPER), second)

    assert first.getvalue() == second.getvalue()


def submission(name: str) -> Submission:
    return Submission(
        key="01",
        destination="customs",
        envelope=b"<envelope/>",
        package_sha256="00" * 32,
        package_name=name,
        package_size=0,
    )


class Zeros(io.RawIOBase):
    """A file of `size` zeros that takes no memory, and remembers the largest single read."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.at = 0
        self.largest = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.at = offset if whence == io.SEEK_SET else self.size + offset
        return self.at

    def read(self, size: int = -1) -> bytes:
        self.largest = max(self.largest, self.size if size < 0 else size)
        data = bytes(min(size, self.size - self.at))
        self.at += len(data)
        return data


def test_a_package_of_any_size_is_read_piece_by_piece(tmp_path: Path) -> None:
    package = Zeros(40 << 20)

    with (tmp_path / "out.zip").open("wb") as out:
        write_zip(submission("big.zip"), lambda _sha256: cast(IO[bytes], package), out)

    assert package.largest <= 1 << 20
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.getinfo("big.zip").file_size == 40 << 20
