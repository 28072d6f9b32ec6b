"""The declarations that other tests and the benchmarks rely on are what they say they are."""

import tomllib
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from importlib import resources
from io import BytesIO
from zipfile import ZipFile

import pikepdf
import pytest

from gateway.formats import xml
from tests.support.declarations import (
    AGREEMENT,
    Declaration,
    Document,
    Line,
    export,
    full,
    large,
    lines,
    middle,
    small,
)
from tests.support.habits import AU3, GX, HABITS, Habit
from tests.support.judging import refused, validated
from tests.support.pdfs import pdf, with_trailer
from tests.support.rendering import NAMESPACE, files, packed, render

_VALUES = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def _tags(data: bytes) -> list[str]:
    return [str(child.tag).removeprefix(f"{{{NAMESPACE}}}") for child in xml.parse(data)]


def _text(data: bytes, path: str) -> str | None:
    steps = "/".join(f"{{{NAMESPACE}}}{step}" for step in path.split("/"))
    return xml.parse(data).findtext(steps)


@pytest.mark.parametrize("habit", HABITS, ids=lambda habit: habit.name)
@pytest.mark.parametrize("make", [Declaration, export, full, small])
def test_every_habit_writes_what_the_parser_reads(make: Callable[[], Declaration], habit: Habit) -> None:
    declaration = make()
    root = xml.parse(render(declaration, habit))
    assert root.tag == f"{{{NAMESPACE}}}DecMessage"
    assert len(root.findall(f"{{{NAMESPACE}}}DecLists/{{{NAMESPACE}}}DecList")) == len(declaration.lines)
    assert declaration.agent.name == root.findtext(f"{{{NAMESPACE}}}DecHead/{{{NAMESPACE}}}AgentName")


@pytest.mark.parametrize("habit", HABITS, ids=lambda habit: habit.name)
@pytest.mark.parametrize("make", [Declaration, export, full, small, middle, large])
def test_every_habit_is_valid_with_its_documents(make: Callable[[], Declaration], habit: Habit) -> None:
    documents = (Document(body=pdf(pages=2)), Document(code=AGREEMENT, number="202611020000001"))
    body = packed(replace(make(), documents=documents), habit)
    warnings = {finding.rule for finding in validated("declaration.zip", body)}
    # One builder sends EdiId 0, which is in no code list.
    assert warnings == ({"DEC-405"} if habit.head.get("EdiId") == "0" and make is not full else set())


def test_a_declaration_with_a_defect_is_refused_for_that_defect_only() -> None:
    for defect, rule in (
        (Declaration(head={"GrossWet": "1"}), "DEC-501"),
        (Declaration(lines=(Line(extra={"DeclTotal": "7"}),)), "DEC-502"),
        (Declaration(head={"DeclareName": None}), "DEC-112"),
    ):
        assert [finding.rule for finding in refused("a.xml", render(defect))] == [rule]


def test_habits_differ_in_order_version_codes_and_dates() -> None:
    declaration = replace(full(), documents=(Document(body=pdf()),))
    written = {habit.name: render(declaration, habit) for habit in HABITS}
    assert _tags(written["CW"])[0] == "DecHead"
    assert _tags(written["CW"])[-1] == "EcoRelation"
    assert _tags(written["ODOO"])[-2:] == ["DecHead", "EdocRealation"]
    assert _tags(written["AU3"])[-1] == "DecLicenseDocus"
    assert [dict(xml.parse(written[name]).attrib) for name in ("CW", "ODOO", "GX", "AU3")] == [
        {},
        {"version": "3.1"},
        {"Version": "4.8"},
        {"version": "5.0"},
    ]
    origin = "DecLists/DecList/OriginCountry"
    assert [_text(written[name], origin) for name in ("GX", "ODOO")] == ["JPN", "116"]
    assert [_text(written[name], "EdocRealation/SignTime") for name in ("CW", "ODOO", "AU3")] == [
        "20261102 09:30:15",
        "20261102093015",
        "20261102 093015250",
    ]
    assert _text(written["ODOO"], "EdocRealation/EdocOwnerCode") == "0202"
    assert b"<ApprNo/>" in written["NEEDS"]
    assert "天津".encode("gbk") in written["NEEDS-GBK"]


def test_an_export_entry_carries_the_two_countries_swapped() -> None:
    written = render(export(), GX)
    assert _text(written, "DecLists/DecList/OriginCountry") == "JPN"
    assert _text(written, "DecLists/DecList/DestinationCountry") == "CHN"


def test_a_change_replaces_adds_or_leaves_out_one_element() -> None:
    declaration = Declaration(head={"GrossWet": "1", "NoteS": "急件", "IEPort": None})
    written = render(declaration)
    assert _text(written, "DecHead/GrossWet") == "1"
    assert _text(written, "DecHead/NoteS") == "急件"
    assert _text(written, "DecHead/IEPort") is None


@pytest.mark.parametrize(("make", "size"), [(small, 7_000), (middle, 55_000), (large, 530_000)])
def test_sized_declarations_have_about_the_size_they_are_named_for(
    make: Callable[[], Declaration], size: int
) -> None:
    declaration = make()
    assert len(render(declaration)) == pytest.approx(size, rel=0.15)
    assert len(declaration.lines) <= 50


def test_lines_agree_with_their_totals_and_their_field_lengths() -> None:
    for line in lines(50, model=255, texts=2000):
        assert line.total == line.quantity * line.price
        assert line.total == line.total.quantize(Decimal("0.0001"))
        assert len(line.model) == 255


def test_a_package_holds_the_document_and_the_files_that_it_lists() -> None:
    documents = (Document(body=pdf()), Document(code=AGREEMENT, number="202611020000001"))
    declaration = Declaration(documents=documents)
    (name,) = files(declaration)
    assert len(name) == 36
    assert name.startswith("020200000001IM")
    with ZipFile(BytesIO(packed(declaration))) as archive:
        assert archive.namelist() == ["TEST00000000000001.xml", name]
        assert archive.read(name) == pdf()
        assert _text(archive.read("TEST00000000000001.xml"), "EdocRealation/EdocID") == name
    assert packed(declaration) == packed(declaration)
    assert list(files(declaration, AU3)) == ["DEMO_20261102_0930151.pdf"]


def test_pdf_files_have_the_pages_size_version_and_encryption_asked_for() -> None:
    body = pdf(pages=3, size=200 * 1024, version="1.6")
    assert len(body) == 200 * 1024
    with pikepdf.open(BytesIO(body)) as file:
        assert (len(file.pages), file.pdf_version, file.is_encrypted) == (3, "1.6", False)
        assert file.check_pdf_syntax() == []
    with pikepdf.open(BytesIO(pdf(encrypted=True))) as file:
        assert file.is_encrypted


def test_a_trailer_leaves_the_pdf_readable() -> None:
    body = with_trailer(pdf(), name="a.pdf", code="00000001", office="0202", trade_code="1207940101")
    assert len(body) == len(pdf()) + 2048
    with pikepdf.open(BytesIO(body)) as file:
        assert len(file.pages) == 1


def _check(text: str, weights: list[int], modulus: int) -> int:
    return (modulus - sum(_VALUES.index(c) * w for c, w in zip(text, weights, strict=True))) % modulus


def test_shipped_parties_have_codes_with_right_check_characters() -> None:
    shipped = tomllib.loads(resources.files("config").joinpath("parties.toml").read_text("utf-8"))
    assert len(shipped["party"]) == 8
    for party in shipped["party"]:
        # GB 32100-2015: weights are powers of 3 modulo 31.
        assert party["scc"][17] == _VALUES[_check(party["scc"][:17], [pow(3, i, 31) for i in range(17)], 31)]
        # GB 11714-1997, whose letters count from A = 10.
        values = [int(c, 36) for c in party["scc"][8:16]]
        digit = -sum(v * w for v, w in zip(values, (3, 7, 9, 10, 5, 8, 4, 2), strict=True)) % 11
        assert party["scc"][16] == ("X" if digit == 10 else str(digit))
        assert len(party["code"]) == 10
        assert (party["role"] == "broker") == (party["code"][5] == "8")
