"""What is found in attached files: real PDFs, broken ones, and what only calls itself a PDF."""

import time
import zlib
from collections.abc import Callable
from io import BytesIO

import pikepdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.formats.pdf import begins, inspect
from gateway.model.message import Pdf
from tests.support.pdfs import pdf, with_trailer

NO_HEADER = "there is no %PDF- in its first 1024 bytes"
OTHER_KIND = "it begins as a file of another kind does"
NO_END = "%%EOF is missing in its last 1024 bytes: cut short, or data follow"
PAGE = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Resources << >> >>"
CATALOG = b"<< /Type /Catalog /Pages 2 0 R >>"


def raw_pdf(*objects: bytes, header: bytes = b"%PDF-1.7\n") -> bytes:
    """A PDF of these objects, numbered from 1, the catalog first."""
    out = bytearray(header)
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer << /Root 1 0 R /Size %d >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


def pages(kids: bytes, count: int = 1) -> bytes:
    return b"<< /Type /Pages /Count %d /Kids [%b] >>" % (count, kids)


def with_form(field: str, value: bool) -> bytes:
    file = pikepdf.open(BytesIO(pdf()))
    parent = pikepdf.Dictionary(FT=pikepdf.Name(field), T="Signature")
    kid = pikepdf.Dictionary(T="1")
    if value:
        kid.V = pikepdf.Dictionary(Type=pikepdf.Name.Sig, Filter=pikepdf.Name("/Adobe.PPKLite"))
    parent.Kids = pikepdf.Array([file.make_indirect(kid)])
    file.Root.AcroForm = pikepdf.Dictionary(Fields=pikepdf.Array([file.make_indirect(parent)]))
    out = BytesIO()
    file.save(out, force_version="1.4")
    return out.getvalue()


def encrypted_for_a_reader() -> bytes:
    out = BytesIO()
    pikepdf.open(BytesIO(pdf())).save(out, encryption=pikepdf.Encryption(owner="owner", user="secret"))
    return out.getvalue()


def saved(change: Callable[[pikepdf.Pdf], object]) -> bytes:
    """With what is changed in an object stream, where no search of the bytes finds it."""
    file, out = pikepdf.open(BytesIO(pdf())), BytesIO()
    change(file)
    file.save(out, force_version="1.5", object_stream_mode=pikepdf.ObjectStreamMode.generate)
    return out.getvalue()


def saved_with_object_streams() -> bytes:
    out = BytesIO()
    pikepdf.open(BytesIO(pdf(30))).save(
        out, force_version="1.5", object_stream_mode=pikepdf.ObjectStreamMode.generate
    )
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "facts"),
    [
        pytest.param(pdf(), Pdf(version=14, pages=1), id="1.4"),
        pytest.param(pdf(12, version="1.7"), Pdf(version=17, pages=12), id="1.7 with twelve pages"),
        pytest.param(pdf(version="1.3"), Pdf(version=13, pages=1), id="1.3"),
        pytest.param(saved_with_object_streams(), Pdf(version=15, pages=30), id="object streams"),
        pytest.param(pdf(encrypted=True), Pdf(version=14, pages=1, encrypted=True), id="owner password"),
        pytest.param(with_form("/Sig", True), Pdf(version=14, pages=1, signed=True), id="signed"),
        pytest.param(with_form("/Sig", False), Pdf(version=14, pages=1), id="signature field left empty"),
        pytest.param(with_form("/Tx", True), Pdf(version=14, pages=1), id="text field"),
        pytest.param(
            raw_pdf(CATALOG, pages(b"3 0 R"), PAGE, b"<< /Type /Sig /ByteRange [0 1 2 3] >>"),
            Pdf(version=17, pages=1, signed=True),
            id="byte range",
        ),
        pytest.param(
            raw_pdf(
                b"<< /Type /Catalog /Version /1.6 /Pages 2 0 R >>",
                pages(b"3 0 R"),
                PAGE,
                header=b"%PDF-1.3\n",
            ),
            Pdf(version=16, pages=1),
            id="raised by the catalog",
        ),
        pytest.param(
            raw_pdf(b"<< /Type /Catalog /Version /1.2 /Pages 2 0 R >>", pages(b"3 0 R"), PAGE),
            Pdf(version=17, pages=1),
            id="not lowered by the catalog",
        ),
        pytest.param(
            raw_pdf(CATALOG, pages(b"3 0 R", count=900), PAGE), Pdf(version=17, pages=1), id="count that lies"
        ),
        pytest.param(pdf() + b"\r\n\0", Pdf(version=14, pages=1), id="blanks after the end"),
        pytest.param(pdf() + bytes(300_000), Pdf(version=14, pages=1), id="300 KB of NULs after the end"),
        pytest.param(b"\r\n" + pdf(2), Pdf(version=14, pages=2), id="a line end before the header"),
        pytest.param(
            b"X-Scanner: 1\n".ljust(1023) + b"\n" + pdf(2),
            Pdf(version=14, pages=2),
            id="the header at the last place where readers look",
        ),
        pytest.param(
            saved(
                lambda file: setattr(file.Root, "OpenAction", pikepdf.Dictionary(S=pikepdf.Name.JavaScript))
            ),
            Pdf(version=15, pages=1, active="JavaScript"),
            id="a script that is run when it is opened",
        ),
        pytest.param(
            saved(
                lambda file: setattr(file.pages[0], "AA", pikepdf.Dictionary(O={"/S": pikepdf.Name.Launch}))
            ),
            Pdf(version=15, pages=1, active="Launch"),
            id="a program that is started when a page is opened",
        ),
        pytest.param(
            saved(lambda file: file.attachments.__setitem__("a.exe", b"MZ")),
            Pdf(version=15, pages=1, active="EmbeddedFiles"),
            id="a file inside",
        ),
    ],
)
def test_a_pdf_is_read_for_its_facts(data: bytes, facts: Pdf) -> None:
    assert inspect(data) == facts


def test_a_pdf_that_needs_a_password_is_encrypted_and_no_problem() -> None:
    facts = inspect(encrypted_for_a_reader())
    assert (facts.encrypted, facts.pages, facts.problem) == (True, 0, "")


def test_a_pdf_encrypted_for_certificates_is_encrypted_and_no_problem() -> None:
    data = raw_pdf(
        CATALOG, pages(b"3 0 R"), PAGE, b"<< /Filter /Adobe.PubSec /SubFilter /adbe.pkcs7.s5 /V 4 >>"
    )
    data = data.replace(b"/Root 1 0 R", b"/Root 1 0 R /Encrypt 4 0 R /ID [<00><00>]")
    facts = inspect(data)
    assert (facts.encrypted, facts.problem) == (True, "")


def test_a_broken_cross_reference_table_is_repaired_as_viewers_do() -> None:
    data = pdf(3).replace(b"startxref\n", b"startxref\n9")
    assert inspect(data) == Pdf(version=14, pages=3)


def test_a_scan_of_four_megabytes_with_a_broken_table_is_repaired() -> None:
    data = pdf(3, size=4_000_000).replace(b"startxref\n", b"startxref\n9")
    assert inspect(data) == Pdf(version=14, pages=3)


class TestTrailer:
    """The data block that one builder appends to a PDF."""

    DATA = with_trailer(pdf(2), name="0200.pdf", code="00000001", office="0200", trade_code="4403180001")

    def test_a_trailer_is_recognised_and_the_pdf_before_it_is_read(self) -> None:
        assert self.DATA.endswith(b" ")
        assert inspect(self.DATA) == Pdf(
            version=14, pages=2, trailer=True, trailer_name="0200.pdf", trailer_code="00000001"
        )

    def test_a_longer_one_without_blanks_in_gbk_is_recognised(self) -> None:
        block = '<?xml version="1.0" encoding="GBK"?><DataInfo xmlns="http://www.w3.org/2000/09/xmldsig#">'
        block += "发票" * 3000 + "</DataInfo>"
        assert inspect(pdf() + block.encode("gbk")) == Pdf(version=14, pages=1, trailer=True)

    @pytest.mark.parametrize(
        "block",
        [
            b"<DataInfo xmlns='http://www.w3.org/2000/09/xmldsig#'>",
            b"<DataInfo xmlns='urn:other'/>",
            b"<!DOCTYPE DataInfo><DataInfo xmlns='http://www.w3.org/2000/09/xmldsig#'/>",
            b"<html><body>404</body></html>",
        ],
    )
    def test_other_blocks_are_no_trailer(self, block: bytes) -> None:
        assert inspect(pdf() + block) == Pdf(version=14, pages=1)
        assert inspect(pdf() + block + b"-" * 2048).problem == NO_END


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", NO_HEADER),
        (b"invoice", NO_HEADER),
        (b"<html><body>invoice</body></html>", NO_HEADER),
        (b"PK\x03\x04" + pdf(), OTHER_KIND),
        (b"\xef\xbb\xbf\r\n<script>alert(1)</script>" + pdf(), OTHER_KIND),
        (b"\n" * 1025 + pdf(), NO_HEADER),
        (b"\x89PNG\r\n\x1a\n", NO_HEADER),
        (pdf(size=100_000)[:60_000], NO_END),
        (pdf() + b"PK\x03\x04" + b"-" * 3000, NO_END),
        (b"%PDF-1.4\n%%EOF\n", "unable to find trailer dictionary while recovering damaged file"),
        (raw_pdf(CATALOG, pages(b"", count=0)), "no pages found"),
    ],
)
def test_an_unreadable_pdf_has_a_problem_in_both_languages(data: bytes, problem: str) -> None:
    facts = inspect(data)
    assert facts.problem == problem
    assert facts.problem_zh
    assert begins(data) is (problem not in (NO_HEADER, OTHER_KIND))


def bomb_in_an_object_stream() -> bytes:
    catalog, tree = CATALOG, pages(b"3 0 R " * 4_000_000)
    head = b"1 0 2 %d " % (len(catalog) + 1)
    packed = zlib.compress(head + catalog + b" " + tree, 9)
    out = bytearray(b"%PDF-1.7\n")
    places = [len(out)]
    out += b"3 0 obj\n" + PAGE + b"\nendobj\n"
    places.append(len(out))
    out += b"4 0 obj\n<< /Type /ObjStm /N 2 /First %d /Length %d" % (len(head), len(packed))
    out += b" /Filter /FlateDecode >>\nstream\n" + packed + b"\nendstream\nendobj\n"
    places.append(len(out))
    rows = [(0, 0, 0), (2, 4, 0), (2, 4, 1), *((1, place, 0) for place in places)]
    table = b"".join(bytes([kind]) + place.to_bytes(4, "big") + bytes([last]) for kind, place, last in rows)
    out += b"5 0 obj\n<< /Type /XRef /Size 6 /W [1 4 1] /Root 1 0 R /Length %d >>\nstream\n" % len(table)
    out += table + b"\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % places[-1]
    return bytes(out)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(raw_pdf(CATALOG, pages(b"2 0 R")), id="page tree that is its own child"),
        pytest.param(
            raw_pdf(CATALOG, *(pages(b"%d 0 R %d 0 R" % (n, n)) for n in range(3, 40)), PAGE),
            id="page tree that doubles at each level",
        ),
        pytest.param(
            raw_pdf(CATALOG, *(pages(b"%d 0 R" % n) for n in range(3, 20_000)), PAGE), id="deep page tree"
        ),
        pytest.param(raw_pdf(CATALOG, pages(b"3 0 R " * 600_000), PAGE), id="one page 600,000 times"),
        pytest.param(raw_pdf(CATALOG, b"[" * 1_000_000), id="a million open brackets"),
        pytest.param(
            b"%PDF-1.4\n" + b"\n1 0 obj<</Type/XRef>>\nstream" * 100_000 + b"\n%%EOF", id="no table"
        ),
        pytest.param(b"%PDF-1.4\n" + b"trailer<<" * 400_000 + b"\n%%EOF", id="trailers without end"),
        pytest.param(bomb_in_an_object_stream(), id="object stream that unfolds"),
        pytest.param(raw_pdf(b"42"), id="catalog that is a number"),
    ],
)
def test_a_hostile_pdf_is_a_problem_soon(data: bytes) -> None:
    started = time.process_time()
    assert inspect(data).problem
    assert time.process_time() - started < 3


def test_very_many_short_lines_cost_little() -> None:
    data = b"%PDF-1.4\n" + b"true\n" * 790_000 + b"startxref\n9\n%%EOF\n"
    started = time.process_time()
    assert inspect(data).problem
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize("times", [2, 90_000])
def test_a_form_whose_field_is_its_own_kid_does_not_hide_the_facts(times: int) -> None:
    fields = b"4 0 R " * times
    form = b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [" + fields + b"] >> >>"
    data = raw_pdf(form, pages(b"3 0 R"), PAGE, b"<< /T (a) /Kids [" + fields + b"] >>")

    started = time.process_time()
    assert inspect(data) == Pdf(version=17, pages=1)
    assert time.process_time() - started < 3


def test_nothing_is_written_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    inspect(pdf().replace(b"startxref\n", b"startxref\n9"))
    inspect(b"%PDF-1.4\n%%EOF\n")
    assert capfd.readouterr() == ("", "")


SOUND = [pdf(2), pdf(encrypted=True), with_form("/Sig", True), saved_with_object_streams()]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(SOUND),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(max_size=6)), min_size=1, max_size=8),
)
def test_any_bytes_give_facts(data: bytes, edits: list[tuple[int, bytes]]) -> None:
    changed = bytearray(data)
    for at, some in edits:
        place = at % len(changed)
        changed[place : place + len(some)] = some
    facts = inspect(bytes(changed))
    assert facts.pages > 0 or facts.problem or facts.encrypted
