"""What people read in Chinese: times as China has them, sizes with their unit, and no word of ours in it."""

import re
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pytest

from gateway import xml
from gateway.awaited import awaited
from gateway.china import moment_zh
from gateway.families import Families
from gateway.fault_catalogue import Fault
from gateway.faults import in_bytes, too_large
from gateway.message import Package
from gateway.policy import DeclarationPolicy, Policy

ROOT = Path(__file__).parent.parent
XSD = "http://www.w3.org/2001/XMLSchema"

FOUR_IN_THE_NIGHT = datetime(2026, 12, 2, 4, 10, tzinfo=UTC)


def test_a_time_in_chinese_is_that_of_beijing_and_says_so() -> None:
    assert moment_zh(FOUR_IN_THE_NIGHT) == "北京时间2026年12月2日12:10"


@pytest.mark.parametrize(
    ("thing", "said"),
    [
        ("agreement 2026000001", "正在等待委托协议 2026000001，最迟至北京时间2026年12月2日12:10；到达后自动继续，请勿重发。"),
        ("document 1207980011 x.pdf", "正在等待随附单据 x.pdf，最迟"),
        ("declaration 1207980011 x.pdf", "正在等待列明 x.pdf 的报关单，最迟"),
        ("mandate 1 2", "正在等待境内收发货人 1 与申报单位 2 之间的代理报关委托书，最迟"),
    ],
)  # fmt: skip
def test_what_is_awaited_is_named_as_the_trade_names_it(thing: str, said: str) -> None:
    assert awaited(thing, FOUR_IN_THE_NIGHT).zh.startswith(said)


@pytest.mark.parametrize(
    ("count", "said"),
    [(1, "1 字节"), (1023, "1023 字节"), (400 * 1024, "400 KB"), (600 << 20, "600 MB"), ((512 << 20) + 1, "512.01 MB")],
)  # fmt: skip
def test_a_number_of_bytes_has_a_unit_and_is_never_rounded_down_to_its_limit(count: int, said: str) -> None:
    assert in_bytes(count) == said


def test_what_is_too_large_is_told_with_both_sizes() -> None:
    found = too_large(Fault.PACKAGE_TOO_LARGE, 600 << 20, 512 << 20)
    assert "（600 MB，上限 512 MB）" in found.zh


def _rules() -> dict[str, str]:
    types = Families.load(files("schemas")).types
    return {each.id: each.zh for type_ in types if type_.rules is not None for each in type_.rules.assertions}


def _called_by_schema() -> set[tuple[str, str]]:
    found = set()
    for path in (Path("schemas/cn-dec/1/DecMessage.xsd"), Path("schemas/cn-acd/1/ImportAgrRequest.xsd")):
        for element in xml.trusted(ROOT.joinpath(path).read_bytes()).iter(f"{{{XSD}}}element"):
            called = element.findtext(f"{{{XSD}}}annotation/{{{XSD}}}documentation")
            if called:
                found.add((called, element.get("name", "")))
    return found


def test_rules_call_a_field_as_its_schema_does() -> None:
    called = [
        (rule, match.groups())
        for rule, text in _rules().items()
        if (match := re.match(r"(\S+)（([A-Z][A-Za-z]+)）(?:申报时|暂存时|为空；暂存时)?必填", text))
    ]
    assert len(called) > 100
    assert [each for each in called if each[1] not in _called_by_schema()] == []


def test_a_limit_in_a_rule_is_that_of_the_policy() -> None:
    types = Families.load(files("schemas")).types
    (rules,) = (type_.rules for type_ in types if type_.name == "DecMessage")
    assert rules is not None
    document = (ROOT / "tests/messages/documents/rules-51-lines.xml").read_bytes()
    package = Package(document=document, document_name="a.xml", parts=(), is_zip=True)
    policy = Policy(declaration=DeclarationPolicy(lines=7))
    (found,) = (each for each in rules.check(xml.parse(document), package, policy) if each.rule == "DEC-006")
    assert found.zh == "商品项数超过 7 项，请拆分报关单。"
