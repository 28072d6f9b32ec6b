"""Zips as desktops and pipes make them: what is no part of the message goes on as sent and means nothing."""

import hashlib
import time
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest

from adapters.sandbox.inspection import inspect
from gateway.formats.submission import write_zip
from gateway.model.faults import Fault, MessageRejected, Severity
from gateway.model.parties import RegisteredCertificate
from gateway.model.states import Event
from tests.judge.test_unpack import XML, codes, unpacked
from tests.support.costly_pdfs import in_object_streams
from tests.support.declarations import Declaration, Document
from tests.support.harness import NOW, Harness
from tests.support.pdfs import pdf
from tests.support.receipts import read_gateway_receipt
from tests.support.rendering import packed
from tests.support.zip_bytes import Item, archive

LITTER = {
    "__MACOSX/._declaration.xml": b"\0\5\x16\7",
    "__MACOSX/": b"",
    ".DS_Store": b"Bud1",
    "Thumbs.db": b"\xd0\xcf",
    "desktop.ini": b"[.ShellClassInfo]",
}


def littered(declaration: Declaration) -> bytes:
    out = BytesIO(packed(declaration))
    with ZipFile(out, "a") as zipped:
        for name, body in LITTER.items():
            zipped.writestr(name, body)
    return out.getvalue()


DECLARED = Declaration(documents=(Document(body=pdf()),))


@pytest.mark.parametrize("zeros", [1, 22, 10_240, 60_000])
@pytest.mark.parametrize("comment", [b"", b"made by a pipe"])
def test_zeros_may_follow_the_end_of_a_zip(zeros: int, comment: bytes) -> None:
    package = unpacked(archive([XML], comment=comment, after=bytes(zeros)))
    assert [part.name for part in package.parts] == ["declaration.xml"]


def test_files_that_a_desktop_adds_are_passed_on_and_listed_with_their_digest(
    harness: Harness, tmp_path: Path
) -> None:
    decision = harness.judged("broker-aa", "a.zip", littered(DECLARED))
    assert decision.event is Event.PASSED, decision.findings
    assert {(finding.code, finding.severity, finding.place.file) for finding in decision.findings} == {
        (Fault.ZIP_IGNORED.code, Severity.WARNING, name) for name in LITTER
    }
    gateway_receipt = read_gateway_receipt(harness, decision.receipts[0])
    ignored = {
        element.get("name"): element.get("sha256")
        for element in gateway_receipt.iterfind("{*}Package/{*}Ignored")
    }
    assert ignored == {name: hashlib.sha256(body).hexdigest() for name, body in LITTER.items()}
    assert len(gateway_receipt.findall("{*}Package/{*}Part")) == 2
    (submission,) = decision.submissions
    out = BytesIO()
    write_zip(submission, harness.blobs.open, out)
    own = RegisteredCertificate(pem=harness.home.certificate.read_text())
    envelope = inspect(submission.key, out, (own,), NOW, tmp_path).envelope
    assert {name.name for name in envelope.ignored} == LITTER.keys()
    assert len(envelope.parts) == 2


def test_files_that_a_desktop_adds_are_no_content(harness: Harness) -> None:
    assert harness.judged("broker-aa", "a.zip", packed(DECLARED)).event is Event.PASSED
    assert harness.judged("broker-aa", "b.zip", littered(DECLARED)).event is Event.REPEATED


@pytest.mark.parametrize(
    "items",
    [
        [Item(name="申报/a.xml".encode(), flags=1 << 11), Item(name="申报/b.pdf".encode(), flags=1 << 11)],
        [Item(name="申报\\a.xml".encode(), flags=1 << 11), Item(name=b"__MACOSX/._a")],
        [Item(name="申报/".encode(), data=b"", method=0, mode=0o040755), Item(name="申报/c/a.xml".encode())],
    ],
)
def test_a_zip_with_one_folder_around_everything_is_refused_with_what_to_do(items: list[Item]) -> None:
    with pytest.raises(MessageRejected) as refused:
        unpacked(archive(items))
    (finding,) = refused.value.findings
    assert finding.code == Fault.ZIP_PATH.code
    assert "the folder 申报: zip the files in it" in finding.en
    assert "打开该文件夹" in finding.zh


def test_a_file_that_only_looks_like_a_desktops_own_is_judged_as_any_other() -> None:
    assert codes(archive([XML, Item(name=b"._a.pdf.exe"), Item(name=b"a.pdf")])) == [
        Fault.ZIP_UNEXPECTED.code
    ]
    assert codes(archive([XML, Item(name=b"._other.xml")])) == [Fault.ZIP_MANY_DOCUMENTS.code] * 2
    assert codes(archive([XML, Item(name=b"docs/.DS_Store")])) == [Fault.ZIP_PATH.code]
    assert codes(archive([XML, Item(name=b"__MACOSX/a", crc=1)])) == [Fault.ZIP_BROKEN.code]


def test_files_that_a_mac_adds_may_stand_beside_their_original(harness: Harness) -> None:
    out = BytesIO(packed(DECLARED))
    with ZipFile(out, "a") as zipped:
        beside = {f"._{name}".swapcase() for name in zipped.namelist()}
        assert len(beside) == 2
        for name in beside:
            zipped.writestr(name, b"\0\5\x16\7")
    decision = harness.judged("broker-aa", "a.zip", out.getvalue())
    assert decision.event is Event.PASSED, decision.findings
    assert {(finding.code, finding.place.file) for finding in decision.findings} == {
        (Fault.ZIP_IGNORED.code, name) for name in beside
    }
    assert harness.judged("broker-aa", "b.zip", packed(DECLARED)).event is Event.REPEATED


def test_of_199_files_that_are_too_costly_one_is_read() -> None:
    began = time.process_time()
    costly = in_object_streams(60, 400_000)
    files = [Item(name=b"%d.pdf" % number, data=costly, method=0) for number in range(199)]
    package = unpacked(archive([XML, *files]))
    assert [bool(part.pdf and part.pdf.problem) for part in package.attachments] == [True] + [False] * 198
    assert time.process_time() - began < 20
