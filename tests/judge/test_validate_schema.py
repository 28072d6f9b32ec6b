"""Every schema fault of a document is told in words, with line and path, and what was found, masked."""

import pytest

from gateway.families.schema_faults import LARGEST_EXPLAINED, schema_faults
from gateway.formats import xml
from gateway.model.faults import Fault, Finding
from tests.support.declarations import Declaration, lines
from tests.support.rendering import NAMESPACE, render
from tests.support.validating import families, findings

SOUND = render(Declaration())
HEAD = "/DecMessage/DecHead"


def damaged(old: str, new: str) -> bytes:
    text = SOUND.decode()
    assert old in text
    return text.replace(old, new, 1).encode()


def in_head(markup: str) -> bytes:
    return damaged("<DecHead>", f"<DecHead>{markup}")


def answer(markup: str) -> bytes:
    return f'<DecImportResponse xmlns="{NAMESPACE}">{markup}</DecImportResponse>'.encode()


@pytest.mark.parametrize(
    ("document", "fault", "path", "zh", "en", "value"),
    [
        (
            in_head("<Foo/>"),
            Fault.SCHEMA_ELEMENT,
            f"{HEAD}/Foo",
            "报关单表头（DecHead）中不应有 Foo，请删去",
            "DecHead has no Foo",
            None,
        ),
        (
            in_head("<NoteS/><NoteS/>"),
            Fault.SCHEMA_ELEMENT,
            f"{HEAD}/NoteS[2]",
            "备注（NoteS）在报关单表头（DecHead）中出现的次数超出允许，请只保留一个",
            "NoteS stands too often in DecHead",
            None,
        ),
        (
            in_head('<NoteS xmlns=""/>'),
            Fault.SCHEMA_ELEMENT,
            f"{HEAD}/NoteS",
            "NoteS 的命名空间不正确",
            "NoteS has the wrong namespace",
            None,
        ),
        (
            in_head("<NoteS><b/></NoteS>"),
            Fault.SCHEMA_ELEMENT,
            f"{HEAD}/NoteS/b",
            "备注（NoteS）只能有文字",
            "NoteS holds text, no elements",
            None,
        ),
        (
            in_head(f"<NoteS>{'好' * 256}</NoteS>"),
            Fault.SCHEMA_VALUE,
            f"{HEAD}/NoteS",
            "最多 255 个字符",
            "NoteS must be at most 255 characters",
            "好" * 79 + "…",
        ),
        (
            in_head("<FeeRate>1,5</FeeRate>"),
            Fault.SCHEMA_VALUE,
            f"{HEAD}/FeeRate",
            "运费／率（FeeRate）应为数字，最多 19 位，其中小数最多 5 位",
            "FeeRate must be a number of at most 19 digits, 5 of them after the point",
            "1,*",
        ),
        (
            damaged("<PackNo>", "<PackNo>-"),
            Fault.SCHEMA_VALUE,
            f"{HEAD}/PackNo",
            "件数（PackNo）应为不小于 0 的整数，最多 9 位",
            "PackNo must be a whole number not below 0 of at most 9 digits",
            "-1",
        ),
        (
            in_head("<DespDate>2024-02-01</DespDate>"),
            Fault.SCHEMA_VALUE,
            f"{HEAD}/DespDate",
            "启运日期（DespDate）应为 8 位日期（yyyyMMdd，如 20261130）",
            "DespDate must be a date, yyyyMMdd",
            "2024-02-01",
        ),
        (
            in_head("<PurpOrgCode>津关</PurpOrgCode>"),
            Fault.SCHEMA_VALUE,
            f"{HEAD}/PurpOrgCode",
            "4 位数字的关区代码",
            "PurpOrgCode must be the four digits of a customs office",
            "津关",
        ),
        (in_head("text"), Fault.SCHEMA_VALUE, HEAD, "元素之间不能有文字", "text between the elements", None),
        (
            in_head('<NoteS lang="zh"/>'),
            Fault.SCHEMA_ATTRIBUTE,
            f"{HEAD}/NoteS",
            "备注（NoteS）的属性 lang",
            "attribute lang of NoteS",
            "zh",
        ),
        (
            damaged("<DecMessage", '<DecMessage Version="12345678901"'),
            Fault.SCHEMA_ATTRIBUTE,
            "/DecMessage",
            "报关单报文（DecMessage）的属性 Version",
            "attribute Version of DecMessage",
            "12345678901",
        ),
    ],
)
def test_a_schema_fault_says_what_was_found_and_what_is_allowed(
    document: bytes, fault: Fault, path: str, zh: str, en: str, value: str | None
) -> None:
    (finding,) = findings(document)
    assert (finding.code, finding.place.xpath, finding.place.file) == (fault.code, path, "declaration.xml")
    assert zh in finding.zh
    assert en in finding.en
    assert finding.value == value
    assert finding.place.line is not None


@pytest.mark.parametrize(
    ("markup", "fault", "zh", "en"),
    [
        (
            "<SeqNo/>",
            Fault.SCHEMA_MISSING,
            "DecImportResponse 中的 ResponseCode，请补填",
            "lacks ResponseCode",
        ),
        (
            "<ResponseCode>0 1</ResponseCode>",
            Fault.SCHEMA_VALUE,
            "1 至 10 个字符，不含空白",
            "1 to 10 characters without",
        ),
    ],
)
def test_what_an_answer_lacks_or_misspells_is_reported(markup: str, fault: Fault, zh: str, en: str) -> None:
    root = xml.parse(answer(markup))
    schema = families().recognise(root).schema
    assert not schema.validate(root)
    (finding,) = [fault.finding for fault in schema_faults(schema, root, 100, set()).faults]
    assert finding.code == fault.code
    assert zh in finding.zh
    assert en in finding.en


def test_all_faults_of_a_document_are_reported_with_their_lines() -> None:
    document = render(Declaration(lines=lines(3)), indent=True).decode()
    document = document.replace("<GNo>2</GNo>", "<GNo>two</GNo>").replace(
        "<GNo>3</GNo>", "<GNo>3</GNo><Bar/>"
    )
    document = document.replace("<DecSign>", "<Baz/>\n<DecSign>")

    faults = findings(document.encode())

    document_lines = document.split("\n")
    assert {finding.place.xpath for finding in faults} == {
        "/DecMessage/DecLists/DecList[2]/GNo",
        "/DecMessage/DecLists/DecList[3]/Bar",
        "/DecMessage/Baz",
    }
    for finding in faults:
        assert finding.place.line is not None
        assert str(finding.place.xpath).rsplit("/", 1)[-1] in document_lines[finding.place.line - 1]


def test_rules_on_valid_elements_are_reported_beside_schema_errors() -> None:
    document = in_head("<Foo/>").replace(b"<IEFlag>I", b"<IEFlag>X")
    assert [finding.rule for finding in findings(document)] == [None, "DEC-401"]


def assert_told_from_the_log(faults: tuple[Finding, ...], path: str, code: str) -> None:
    (only,) = faults
    assert (only.place.xpath, only.code, only.value) == (path, code, None)
    assert only.place.line is not None


def test_a_very_large_document_is_explained_by_line_and_path_alone() -> None:
    padded = in_head("<Foo/>").decode().replace("<DecHead>", "<DecHead>" + " " * LARGEST_EXPLAINED, 1)
    assert_told_from_the_log(findings(padded.encode()), f"{HEAD}/Foo", "schema-element")


@pytest.mark.parametrize(
    ("markup", "code", "path"),
    [
        ("<GNo>x</GNo>", "schema-value", "/DecMessage/DecLists/DecList/GNo"),
        ("<GNo a='1'>1</GNo>", "schema-attribute", "/DecMessage/DecLists/DecList/GNo"),
    ],
)
def test_a_document_of_very_many_elements_is_explained_by_line_and_path_alone(
    markup: str, code: str, path: str
) -> None:
    relations = "<EcoRelation><CertType/><DecGNo/><EcoCertNo/><EcoGNo/></EcoRelation>" * 1900
    document = SOUND.decode().replace("<GNo>1</GNo>", markup).replace("<DecSign>", relations + "<DecSign>")
    assert_told_from_the_log(findings(document.encode()), path, code)


def test_no_more_than_two_hundred_faults_are_reported() -> None:
    assert len(findings(in_head("<Foo/>" * 1000))) == 200


def test_a_list_ends_where_the_schema_says() -> None:
    document = SOUND.decode().replace("</DecLists>", "<DecList/>" * 1000 + "</DecLists>")
    assert [finding.place.xpath for finding in findings(document.encode())] == [
        "/DecMessage/DecLists/DecList[1001]"
    ]
