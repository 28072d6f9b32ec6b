"""What people read in Chinese: times as China has them, sizes with their unit, and no word of ours in it."""

import csv
import re
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pytest

from gateway.families.families import Families
from gateway.formats import xml
from gateway.formats.report import report
from gateway.judge.validate import recognise, validate
from gateway.model.china import moment_zh
from gateway.model.fault_catalogue import Fault
from gateway.model.faults import Finding, MessageRejected, finding, in_bytes, too_large
from gateway.model.message import Package
from gateway.model.policy import DeclarationPolicy, Policy
from gateway.model.trade_words import CURRENCIES_ZH, TRANSPORTS_ZH
from gateway.model.waits import Awaited, waits_for
from tests.support import chinese

ROOT = Path(__file__).parents[2]
XSD = "http://www.w3.org/2001/XMLSchema"

FOUR_IN_THE_NIGHT = datetime(2026, 12, 2, 4, 10, tzinfo=UTC)


def test_a_time_in_chinese_is_that_of_beijing_and_says_so() -> None:
    assert moment_zh(FOUR_IN_THE_NIGHT) == "北京时间2026年12月2日12:10"


@pytest.mark.parametrize(
    ("awaited_text", "text"),
    [
        ("agreement 2026000001", "正在等待委托协议 2026000001，最迟至北京时间2026年12月2日12:10；到达后自动继续，请勿重发。"),
        ("document 1207980011 x.pdf", "正在等待随附单据 x.pdf，最迟"),
        ("declaration 1207980011 x.pdf", "正在等待列明 x.pdf 的报关单，最迟"),
        ("mandate 1 2", "正在等待境内收发货人 1 与申报单位 2 之间的代理报关委托书，最迟"),
    ],
)  # fmt: skip
def test_awaited_things_have_the_names_of_the_trade(awaited_text: str, text: str) -> None:
    awaited = Awaited.read(awaited_text)
    assert awaited is not None
    assert str(awaited) == awaited_text
    assert waits_for(awaited, FOUR_IN_THE_NIGHT).zh.startswith(text)


@pytest.mark.parametrize(
    ("count", "text"),
    [(1, "1 字节"), (1023, "1023 字节"), (400 * 1024, "400 KB"), (600 << 20, "600 MB"), ((512 << 20) + 1, "512.01 MB")],
)  # fmt: skip
def test_a_number_of_bytes_has_a_unit_and_is_never_rounded_down_to_its_limit(count: int, text: str) -> None:
    assert in_bytes(count) == text


def test_a_fault_of_size_has_both_sizes() -> None:
    problem = too_large(Fault.PACKAGE_TOO_LARGE, 600 << 20, 512 << 20)
    assert "（600 MB，上限 512 MB）" in problem.zh


def _called_by_schema() -> set[tuple[str, str]]:
    collected = set()
    for path in (Path("schemas/cn-dec/1/DecMessage.xsd"), Path("schemas/cn-acd/1/ImportAgrRequest.xsd")):
        for element in xml.trusted(ROOT.joinpath(path).read_bytes()).iter(f"{{{XSD}}}element"):
            called = element.findtext(f"{{{XSD}}}annotation/{{{XSD}}}documentation")
            if called:
                collected.add((called, element.get("name", "")))
    return collected


def test_rules_call_a_field_as_its_schema_does() -> None:
    called = [
        (rule, match.groups())
        for rule, text in chinese.rules().items()
        if (match := re.match(r"(\S+)（([A-Z][A-Za-z]+)）(?:申报时|暂存时|为空；暂存时)?必填", text))
    ]
    assert len(called) > 100
    assert [field for field in called if field[1] not in _called_by_schema()] == []


def test_a_limit_in_a_rule_is_that_of_the_policy() -> None:
    types = Families.load(files("schemas")).types
    (rules,) = (type_.rules for type_ in types if type_.name == "DecMessage")
    assert rules is not None
    document = (ROOT / "tests/messages/documents/rules-51-lines.xml").read_bytes()
    package = Package(document=document, document_name="a.xml", parts=(), is_zip=True)
    policy = Policy(declaration=DeclarationPolicy(lines=7))
    (problem,) = (
        finding for finding in rules.check(xml.parse(document), package, policy) if finding.rule == "DEC-006"
    )
    assert problem.zh == "商品项数超过 7 项，请拆分报关单。"


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("DEC-131", "进出口均须填写"),
        ("DEC-133", "进出口均须填写"),
        ("DEC-153", "出口时此元素填原产国（地区）"),
        ("DEC-162", "出口时此元素填最终目的国（地区）"),
    ],
)
def test_a_rule_that_puzzles_who_declares_an_export_says_what_an_export_has_there(
    rule: str, text: str
) -> None:
    assert text in chinese.rules()[rule]


TEXTS = {
    "faults": lambda: chinese.catalogue().items(),
    "rules": lambda: chinese.rules().items(),
    "code": chinese.written_in_code,
    "configuration": chinese.configured,
    "schemas": chinese.in_schemas,
    "documents": chinese.documents,
}
# Says what is to be done, whoever has to do it.
TO_DO = re.compile("请|应|须|必填|只能|只填|不得|勿")
# Their sentence is only the beginning: what is to be done follows in the detail, whose tests are below.
IN_THE_DETAIL = {
    *("schema-element", "schema-value", "business-rule", "documents-due", "pdf-unfit"),
    *("document-missing", "document-ambiguous", "document-unlisted"),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_no_text_uses_a_word_that_the_trade_does_not(kind: str) -> None:
    read = list(TEXTS[kind]())
    assert len(read) > 20
    assert [f"{where}: {word}" for where, text in read for word in chinese.misused(text)] == []


@pytest.mark.parametrize(
    "text",
    ["经营单位 1207", "最迟至 04:10 UTC", "报文包,过大", "后端中断", "第一法定数量", "已被接受过", "…连续编号。；再见", "贵方帐号", "error 在此"],
)  # fmt: skip
def test_terms_that_the_trade_does_not_use_are_found(text: str) -> None:
    assert chinese.misused(text)


def test_every_fault_says_what_to_do() -> None:
    texts = {code: zh for code, zh in chinese.catalogue().items() if code not in IN_THE_DETAIL}
    assert [code for code, zh in texts.items() if not TO_DO.search(zh)] == []


def test_every_rule_says_what_to_do() -> None:
    types = Families.load(files("schemas")).types
    rule_set = {
        rule.id: rule.fault.zh.replace("{detail}", rule.zh)
        for type_ in types
        if type_.rules is not None
        for rule in type_.rules.assertions
    }
    assert [rule for rule, zh in rule_set.items() if not TO_DO.search(zh)] == []


def _told(package: Package, families: Families) -> tuple[Finding, ...]:
    try:
        return validate(recognise(package, families, Policy()), package, Policy()).warnings
    except MessageRejected as refused:
        return refused.findings


def test_faults_of_a_document_use_the_terms_of_the_trade_and_say_what_to_do() -> None:
    loaded = Families.load(files("schemas"))
    collected = []
    for path in sorted((ROOT / "tests/messages/documents").glob("*.xml")):
        package = Package(document=path.read_bytes(), document_name=path.name, parts=(), is_zip=True)
        collected += [(path.name, fault.code, fault.zh) for fault in _told(package, loaded)]
    assert len(collected) > 40
    assert [fault for fault in collected if not TO_DO.search(fault[2]) or chinese.misused(fault[2])] == []


def test_no_fault_has_an_english_detail_in_its_chinese_sentence() -> None:
    assert list(chinese.english_in_chinese()) == []


def test_codes_are_called_as_in_the_lists_that_they_are_taken_from() -> None:
    lists = files("schemas") / "cn-dec" / "1" / "codes"

    def named(name: str, column: str) -> dict[str, str]:
        rows = csv.DictReader((lists / f"{name}.csv").read_text("utf-8").splitlines())
        return {row["code"]: row[column] for row in rows}

    assert named("duty_mode", "name_zh")["5"] == "随征免性质"
    assert named("transport_mode", "name_zh") == TRANSPORTS_ZH
    called = named("currency", "name_zh")
    numeric = [code for code in CURRENCIES_ZH if code.isdigit()]
    assert {code: called[code] for code in numeric} == {code: CURRENCIES_ZH[code] for code in numeric}
    assert len({CURRENCIES_ZH[code] for code in numeric}) == len(numeric) == len(CURRENCIES_ZH) / 2


def test_a_value_that_is_too_long_for_a_report_says_so() -> None:
    short, long = (finding(Fault.SCHEMA_VALUE, detail="x", value=value) for value in ("字" * 80, "字" * 81))
    assert "只列前" not in report("a.xml", "", [short]).decode()
    assert "…（过长，只列前 79 个字符）" in report("a.xml", "", [long]).decode()
