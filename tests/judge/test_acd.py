"""ImportAgrRequest and its answer: all fields in any order, every rule with its number, and the facts."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gateway.families.schematron import RuleSet
from gateway.formats import xml
from gateway.model.faults import MessageRejected
from gateway.model.message import Operation
from gateway.model.states import CustomsStatus
from gateway.respond.answer import read
from tests.support.validating import families, findings, judged, packed

OPER: Final = {"CopCusCode": "2200980001", "Sign": "", "OperType": "1"}
IMPORT: Final = {
    "GName": "笔记本电脑",
    "CodeTS": "8471300000",
    "DeclTotal": "1000.5000",
    "IEDate": "20261130",
    "ListNo": "COSU6123456789",
    "TradeMode": "0110",
    "OriCountry": "502",
    "TradeCode": "2200910001",
    "AgentCode": "2200980001",
    "Curr": "502",
    "QtyOrWeight": "100台",
    "PackingCondition": "纸箱",
    "OtherNote": "请尽快办理",
    "ConsignTele": "021-00000001",
    "EntryID": "220120261000000001",
    "ReceiveDate": "20261120",
    "PaperInfo": "1111000",
    "OtherRecInfo": "原产地证",
    "DeclarePrice": "200.00",
    "PromiseNote": "按时完成",
    "DeclTele": "021-00000002",
}
BLOCKS: Final = {"OperInfo": OPER, "ImportInfo": IMPORT}
FIELDS: Final = [(block, name) for block, fields in BLOCKS.items() for name in fields]
REQUIRED: Final = {
    "CopCusCode": "ACD-001",
    "GName": "ACD-003",
    "CodeTS": "ACD-004",
    "DeclTotal": "ACD-005",
    "IEDate": "ACD-006",
    "TradeMode": "ACD-007",
    "OriCountry": "ACD-008",
    "TradeCode": "ACD-009",
    "AgentCode": "ACD-010",
}


def request(blocks: Mapping[str, Mapping[str, str]] = BLOCKS) -> bytes:
    root = etree.Element("ImportAgrRequest")
    for block, fields in blocks.items():
        parent = etree.SubElement(root, block)
        for name, text in fields.items():
            etree.SubElement(parent, name).text = text
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def but(**changed: str) -> bytes:
    return request(
        {
            block: {name: changed.get(name, text) for name, text in fields.items()}
            for block, fields in BLOCKS.items()
        }
    )


def broken(document: bytes) -> list[tuple[str | None, str]]:
    return [(finding.rule, finding.severity.value) for finding in findings(document)]


def rules() -> RuleSet:
    (rule_set,) = (type_.rules for type_ in families().types if type_.name == "ImportAgrRequest")
    assert rule_set is not None
    return rule_set


def test_a_request_has_24_fields_and_breaks_no_rule() -> None:
    assert len(FIELDS) == 24
    validated = judged(request())

    assert validated.warnings == ()
    kind = validated.type
    assert (kind.family, kind.version, kind.name, kind.kind) == (
        "cn-acd",
        "1",
        "ImportAgrRequest",
        "agreement-request",
    )
    assert not kind.signed
    assert kind.sender_facts == ("cop_code",)
    facts = kind.facts(validated.root)
    assert facts == {
        "cop_code": "2200980001",
        "oper_type": "1",
        "trader_code": "2200910001",
        "agent_code": "2200980001",
        "goods_name": "笔记本电脑",
        "goods_code": "8471300000",
        "total": "1000.5",
        "currency": "USD",  # 502
        "ie_date": "20261130",
        "bill_no": "COSU6123456789",
        "trade_mode": "0110",
        "origin": "502",
        "entry_id": "220120261000000001",
        "note": "请尽快办理",
    }
    assert kind.operation(facts) is Operation.SAVE  # finished when it is imported


@given(st.randoms(use_true_random=False))
def test_blocks_and_fields_come_in_any_order(shuffled: random.Random) -> None:
    blocks = {
        block: dict(shuffled.sample([*fields.items()], len(fields))) for block, fields in BLOCKS.items()
    }
    document = request(dict(shuffled.sample([*blocks.items()], len(blocks))))

    validated = judged(document)

    assert validated.warnings == ()
    assert validated.type.facts(validated.root) == validated.type.facts(xml.trusted(request()))


@given(st.sets(st.sampled_from([name for _, name in FIELDS])))
def test_an_empty_field_is_an_absent_one(missing: set[str]) -> None:
    emptied = but(**dict.fromkeys(missing, ""))
    absent = request(
        {
            block: {name: text for name, text in fields.items() if name not in missing}
            for block, fields in BLOCKS.items()
        }
    )

    assert broken(emptied) == broken(absent)


@pytest.mark.parametrize(("block", "name"), FIELDS)
def test_only_required_fields_are_missed(block: str, name: str) -> None:
    expected = [(REQUIRED[name], "error")] if name in REQUIRED else []
    if name == "OperType":
        expected = [("ACD-002", "warning")]

    assert broken(but(**{name: ""})) == expected
    assert broken(but(**{name: " \n "})) == expected


@pytest.mark.parametrize(("block", "name"), FIELDS)
def test_no_field_appears_twice(block: str, name: str) -> None:
    root = xml.trusted(request())
    parent = root.find(block)
    assert parent is not None
    etree.SubElement(parent, name)

    (finding,) = findings(etree.tostring(root))
    assert (finding.code, finding.place.xpath) == ("schema-element", f"/ImportAgrRequest/{block}/{name}[2]")


BROKEN: Final = [
    ("ACD-101", "error", {"CopCusCode": "22009800"}, {"ACD-302"}),
    ("ACD-102", "error", {"TradeCode": "22009100011"}, set()),
    ("ACD-103", "error", {"AgentCode": "22009800AB"}, {"ACD-302"}),
    ("ACD-104", "error", {"CodeTS": "8471.30"}, set()),
    ("ACD-105", "error", {"IEDate": "20261131"}, set()),
    ("ACD-106", "error", {"ReceiveDate": "20260230"}, set()),
    ("ACD-107", "error", {"DeclTotal": "0.00"}, set()),
    ("ACD-107", "error", {"DeclTotal": "-1"}, set()),
    ("ACD-108", "error", {"EntryID": "2201"}, set()),
    ("ACD-109", "error", {"DeclarePrice": "-0.01"}, set()),
    ("ACD-201", "warning", {"OriCountry": "USA"}, set()),
    ("ACD-202", "warning", {"Curr": "USD"}, set()),
    ("ACD-301", "error", {"TradeCode": "2200980001"}, set()),
    ("ACD-302", "error", {"CopCusCode": "2200910009"}, set()),
]


@pytest.mark.parametrize(("rule", "severity", "changed", "along"), BROKEN)
def test_a_value_that_breaks_a_rule_is_reported_under_its_number_at_its_place(
    rule: str, severity: str, changed: dict[str, str], along: set[str]
) -> None:
    faults = findings(but(**changed))

    assert {finding.rule for finding in faults} == {rule, *along}
    (finding,) = (finding for finding in faults if finding.rule == rule)
    assert (finding.code, finding.severity.value) == ("business-rule", severity)
    block = "OperInfo" if "CopCusCode" in changed else "ImportInfo"
    name = "AgentCode" if rule == "ACD-301" else next(iter(changed))
    assert finding.place.xpath == f"/ImportAgrRequest/{block}/{name}"


def test_every_rule_has_a_case() -> None:
    assert {rule.id for rule in rules().assertions} == {
        *REQUIRED.values(),
        "ACD-002",
        *(rule for rule, *_ in BROKEN),
    }


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"DeclTotal": "1,000.00"}, "schema-value"),
        ({"DeclTotal": "0.00001"}, "schema-value"),
        ({"IEDate": "2026-11-30"}, "schema-value"),
        ({"CodeTS": "84713000001"}, "schema-value"),
        ({"ListNo": "A" * 33}, "schema-value"),
        ({"TradeMode": "01100"}, "schema-value"),
        ({"Curr": "0502"}, "schema-value"),
        ({"DeclarePrice": "1.005"}, "schema-value"),
        ({"OperType": "11"}, "schema-value"),
    ],
)
def test_values_that_are_none_are_refused_by_the_schema(changed: dict[str, str], code: str) -> None:
    (finding,) = findings(but(**changed))
    assert finding.code == code
    assert finding.place.xpath == f"/ImportAgrRequest/{_block(changed)}/{next(iter(changed))}"


def _block(changed: dict[str, str]) -> str:
    return next(block for block, name in FIELDS if name in changed)


@pytest.mark.parametrize(
    ("markup", "code"),
    [
        ("<OperInfo/>", "schema-missing"),
        ("<ImportInfo/>", "schema-missing"),
        ("<OperInfo/><ImportInfo/><Foo/>", "schema-element"),
        ("<OperInfo/><ImportInfo><Foo/></ImportInfo>", "schema-element"),
    ],
)
def test_blocks_that_are_missing_or_unknown_are_refused(markup: str, code: str) -> None:
    with pytest.raises(MessageRejected) as refused:
        judged(f"<ImportAgrRequest>{markup}</ImportAgrRequest>".encode())
    assert code in {finding.code for finding in refused.value.findings}


def answer(markup: str) -> bytes:
    return f"<ImportAgrResponse>{markup}</ImportAgrResponse>".encode()


NUMBER: Final = "<ConsignNo>195200016172325</ConsignNo>"


@pytest.mark.parametrize(
    ("markup", "status"),
    [
        (f"<ResponseInfo><ResponseCode>0</ResponseCode></ResponseInfo>{NUMBER}", CustomsStatus.IMPORTED),
        (f"<ResponseInfo><ResponseCode>1</ResponseCode></ResponseInfo>{NUMBER}", CustomsStatus.IMPORTED),
        (
            f"{NUMBER}<ResponseInfo><ResponseMessage>导入成功</ResponseMessage></ResponseInfo>",
            CustomsStatus.IMPORTED,
        ),
        (f"<ResponseInfo/>{NUMBER}", CustomsStatus.IMPORTED),
        ("<ResponseInfo><ResponseCode>0</ResponseCode></ResponseInfo>", CustomsStatus.REFUSED),
        ("<ResponseInfo><ResponseCode>1</ResponseCode></ResponseInfo><ConsignNo/>", CustomsStatus.REFUSED),
        (
            "<ResponseInfo><ResponseCode>-1</ResponseCode></ResponseInfo><ConsignNo> </ConsignNo>",
            CustomsStatus.REFUSED,
        ),
        ("<ResponseInfo><ResponseMessage>失败</ResponseMessage></ResponseInfo>", CustomsStatus.REFUSED),
    ],
)
def test_a_number_says_that_an_agreement_was_imported_whatever_the_code(
    markup: str, status: CustomsStatus
) -> None:
    root = xml.parse(answer(markup))
    assert families().recognise(root).schema.validate(root)

    assert read(answer(markup), families()).status is status


def test_an_answer_is_not_taken_as_a_message_of_a_party() -> None:
    with pytest.raises(MessageRejected):
        judged(answer(f"<ResponseInfo/>{NUMBER}"))


def test_lists_that_two_families_have_are_the_same() -> None:
    schemas = Path(__file__).parents[2] / "schemas"
    own = schemas / "cn-dec/1"
    for copy in (
        "cn-acd/1/codes/country.csv",
        "cn-acd/1/codes/currency.csv",
        "gateway/1/codes/edoc_code.csv",
    ):
        assert (schemas / copy).read_bytes() == (own / "codes" / Path(copy).name).read_bytes()
    for family in ("cn-acd", "gateway"):
        assert (schemas / family / "1/xmldsig.xsd").read_bytes() == (own / "xmldsig.xsd").read_bytes()


def test_a_request_may_be_signed_and_then_its_schema_still_holds() -> None:
    root = xml.trusted(request())
    etree.SubElement(root, "{http://www.w3.org/2000/09/xmldsig#}Signature")
    assert families().recognise(root).schema.validate(root)
    assert packed(etree.tostring(root)).attachments == ()
