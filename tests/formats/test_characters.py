"""Codes, numbers and references hold nothing that cannot be seen; free text holds what it likes."""

import unicodedata
from importlib import resources

import pytest
from lxml import etree

from gateway.formats import xml
from gateway.formats.characters import first_strange
from gateway.formats.locations import xml_path
from gateway.model.shown import mask
from tests.judge.rule_cases import FILES, everything
from tests.support.declarations import Declaration, Line
from tests.support.validating import at, families, findings, tree, written

TYPES = [kind for kind in families().types if kind.answer is None]
DECLARATION = next(kind for kind in TYPES if kind.name == "DecMessage")
UNSEEN = [
    *("\x7f", "\x85", "\xad", "\u034f", "\u061c", "\u115f", "\u180e", "\u200b", "\u200c", "\u200d"),
    *("\u200e", "\u202e", "\u2028", "\u2060", "\u2066", "\u3164", "\ufe0f", "\ufeff", "\ufff9"),
    *("\U000e0041", "\U000e0100"),
]


def test_every_control_and_format_character_is_one_that_cannot_be_seen() -> None:
    for code in range(0x110000):
        character = chr(code)
        if unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") or (
            character.isspace() and character != " "
        ):
            assert first_strange(f"A{character}B") == f"U+{code:04X}"
    assert all(first_strange(text) is None for text in ("A B", "津A-1", "é", "（1）", "𠀀", " A\n"))


@pytest.mark.parametrize("character", UNSEEN, ids=ascii)
@pytest.mark.parametrize(
    "path", ["DecSign/ClientSeqNo", "DecHead/ManualNo", "DecHead/TradeCode", "DecHead/BillNo"]
)
def test_a_code_or_reference_with_one_is_refused_at_its_place(character: str, path: str) -> None:
    root = tree(Declaration(head={"ManualNo": "B12345678901"}))
    at(root, path).text = f"12{character}3"
    faults = [finding for finding in findings(written(root)) if finding.code == "text-characters"]
    assert [finding.place.xpath for finding in faults] == [f"/DecMessage/{path}"]
    assert f"U+{ord(character):04X}" in faults[0].zh
    assert f"U+{ord(character):04X}" in faults[0].en


@pytest.mark.parametrize("character", [*UNSEEN, "\n", "\u3000"], ids=ascii)
def test_an_attribute_with_one_is_refused_at_its_place(character: str) -> None:
    root = tree(Declaration())
    root.set("Version", f"3{character}.1")
    faults = [finding for finding in findings(written(root)) if finding.code == "text-characters"]
    assert [finding.place.xpath for finding in faults] == ["/DecMessage/@Version"]
    assert f"U+{ord(character):04X}" in faults[0].zh
    assert f"U+{ord(character):04X}" in faults[0].en


@pytest.mark.parametrize("space", ["\t", "\n", "\r", "\u3000", "\xa0", "\u2003"], ids=ascii)
def test_within_a_reference_the_only_white_space_is_the_plain_one(space: str) -> None:
    root = tree(Declaration())
    at(root, "DecSign/ClientSeqNo").text = f"A{space}1"
    assert [finding.code for finding in findings(written(root))] == ["text-characters"]
    at(root, "DecSign/ClientSeqNo").text = " A  1 "
    assert findings(written(root)) == ()


@pytest.mark.parametrize("character", [*UNSEEN, "\n", "\u3000"], ids=ascii)
def test_free_text_holds_what_it_likes(character: str) -> None:
    root = everything()
    for element in root.iter(etree.Element):
        if etree.QName(element).localname in DECLARATION.free and not len(element) and element.text:
            element.text = element.text[:1] + character
    assert "text-characters" not in {finding.code for finding in findings(written(root), *FILES)}


def test_every_other_field_of_a_declaration_is_compared() -> None:
    root = everything()
    leaves = [element for element in root.iter(etree.Element) if not len(element) and element.text]
    compared = [leaf for leaf in leaves if etree.QName(leaf).localname not in DECLARATION.free]
    for element in compared:
        element.text = f"{element.text}\u200b"
    assert len(compared) > 60
    faults = {finding.place.xpath for finding in findings(written(root), *FILES)}
    assert {xml_path(element) for element in compared} <= faults


def test_the_elements_that_a_profile_names_exist_in_the_schema() -> None:
    for kind in TYPES:
        files = resources.files("schemas").joinpath(kind.family, kind.version)
        names = {
            str(element.get("name"))
            for file in files.iterdir()
            if file.name.endswith(".xsd")
            for element in xml.trusted(file.read_bytes()).iter("{*}element")
        }
        assert (kind.free | kind.private) <= names, kind.name


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
def test_persons_phones_and_prices_are_private_as_the_schema_describes_them(kind: object) -> None:
    source = resources.files("schemas").joinpath("cn-dec", "1", "DecMessage.xsd").read_text("utf-8")
    personal = (
        "姓名",
        "电话",
        "联系方式",
        "联系人",
        "IC卡号",
        "录入员",
        "单价",
        "总价",
        "运费／率",
        "保险费／率",
        "工缴费",
        "证号）",
    )
    for line in source.splitlines():
        described = line.partition("<!-- ")[2]
        if any(word in described for word in personal) and "币制" not in described:
            assert line.split('name="')[1].split('"')[0] in DECLARATION.private, line


def test_a_private_value_shows_its_form_and_no_more() -> None:
    assert [mask(value) for value in ("12 500", "王芳", "13800001111", "1", "")] == [
        "1* ***",
        "王*",
        "1**********",
        "*",
        "",
    ]


def test_private_values_are_masked_and_others_are_not_by_schema_and_rules_alike() -> None:
    root = tree(Declaration(lines=(Line(), Line())))
    line = at(root, "DecLists/DecList[2]")
    at(line, "DeclTotal").text = "12 500"
    at(root, "DecHead/InputerName").text = "王" + "芳" * 32
    at(root, "DecHead/TypistNo").text = "8600000123456" * 3
    at(root, "DecHead/CustomMaster").text = "天津"
    at(root, "DecHead/IEDate").text = "2026-01-01"
    at(root, "DecHead/TradeCode").text = "31\u200b22280022"
    shown = {finding.place.xpath: finding.value for finding in findings(written(root))}
    assert shown["/DecMessage/DecLists/DecList[2]/DeclTotal"] == "1* ***"
    assert shown["/DecMessage/DecHead/InputerName"] == "王" + "*" * 32
    assert shown["/DecMessage/DecHead/TypistNo"] == "8" + "*" * 38
    assert shown["/DecMessage/DecHead/CustomMaster"] == "天津"
    assert shown["/DecMessage/DecHead/IEDate"] == "2026-01-01"
    assert shown["/DecMessage/DecHead/TradeCode"] == "31\\u{200b}22280022"
