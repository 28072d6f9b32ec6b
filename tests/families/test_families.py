"""A family is a folder: recognised by its roots, asked for facts, known by a digest, and never any code."""

import tomllib
import zipfile
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import pytest
from lxml import etree
from pydantic import ValidationError

from gateway.families.families import Families
from gateway.formats import xml
from gateway.formats.locations import xml_path
from gateway.judge.validate import recognise, validate
from gateway.model.answer import AnswerKind
from gateway.model.faults import MessageRejected
from gateway.model.message import Operation
from gateway.model.policy import Policy
from gateway.model.states import CustomsStatus
from tests.support.declarations import AGREEMENT, Declaration, Document, Line, export, full
from tests.support.habits import GX, HABITS, Habit
from tests.support.rendering import NAMESPACE, render
from tests.support.validating import families, packed, tree

XSD = '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">'
ORDER = {
    "profile.toml": """
        [[type]]
        name = "Order"
        root = "order"
        kind = "declaration"
        schema = "order.xsd"
        senders = ["trader"]
        [type.facts]
        reference = "/order/id"
    """,
    "order.xsd": f"""{XSD}
        <xs:include schemaLocation="types.xsd"/>
        <xs:element name="order"><xs:complexType><xs:sequence>
        <xs:element name="id" type="short"/></xs:sequence></xs:complexType></xs:element></xs:schema>""",
    "types.xsd": f"""{XSD}
        <xs:simpleType name="short"><xs:restriction base="xs:string">
        <xs:maxLength value="3"/></xs:restriction></xs:simpleType></xs:schema>""",
}


def folder(root: Path, files: Mapping[str, str], family: str = "shop", version: str = "1") -> Path:
    place = root / family / version
    place.mkdir(parents=True)
    for name, text in files.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(text.strip(), encoding="utf-8")
    return root


def facts(document: bytes) -> dict[str, str]:
    root = xml.parse(document)
    return families().recognise(root).facts(root)


def test_a_new_family_is_a_folder_and_no_code(tmp_path: Path) -> None:
    loaded = Families.load(folder(tmp_path, ORDER))

    package = packed(b"<order><id> A1 </id></order>")
    with pytest.raises(MessageRejected) as refused:
        validate(recognise(package, loaded, Policy()), package, Policy())
    assert "at most 3 characters" in refused.value.findings[0].en
    package = packed(b"<order><id>A1</id></order>")
    validated = validate(recognise(package, loaded, Policy()), package, Policy())

    kind = validated.type
    assert (kind.family, kind.version, kind.name, kind.kind) == ("shop", "1", "Order", "declaration")
    assert kind.facts(validated.root) == {"reference": "A1"}
    assert kind.operation({}) is Operation.DECLARE
    assert kind.identified_by(validated.root) == []
    assert kind.answer is None


def test_families_are_read_from_a_zip_as_from_a_folder(tmp_path: Path) -> None:
    folder(tmp_path / "folder", ORDER)
    with zipfile.ZipFile(tmp_path / "wheel.zip", "w") as archive:
        for name, text in ORDER.items():
            archive.writestr(f"shop/1/{name}", text.strip())
    zipped: Traversable = zipfile.Path(tmp_path / "wheel.zip")

    loaded = Families.load(zipped)

    assert loaded.digest == Families.load(tmp_path / "folder").digest
    assert [type_.name for type_ in loaded.types] == ["Order"]


def test_any_changed_byte_or_name_changes_the_digest(tmp_path: Path) -> None:
    digests = {Families.load(folder(tmp_path / "a", ORDER)).digest}
    for number, name in enumerate(ORDER):
        changed = ORDER | {name: ORDER[name] + ("\n" if name.endswith("xsd") else "#")}
        changed[name] = changed[name].replace("</xs:schema>", "</xs:schema><!-- -->")
        digests.add(Families.load(folder(tmp_path / str(number), changed)).digest)
    digests.add(Families.load(folder(tmp_path / "b", ORDER, version="2")).digest)
    digests.add(Families.load(folder(tmp_path / "c", ORDER | {"more.csv": "code"})).digest)
    assert len(digests) == len(ORDER) + 3
    assert Families.load(folder(tmp_path / "d", ORDER)).digest in digests


@pytest.mark.parametrize(
    "location", ["../2/types.xsd", "/etc/passwd", "http://localhost/types.xsd", "file:///etc/passwd"]
)
def test_a_schema_includes_nothing_from_outside_its_folder(tmp_path: Path, location: str) -> None:
    outside = ORDER | {"order.xsd": ORDER["order.xsd"].replace("types.xsd", location)}
    root = folder(folder(tmp_path, outside), ORDER, version="2")
    with pytest.raises((etree.XMLSchemaParseError, FileNotFoundError)):
        Families.load(root)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('kind = "declaration"', 'kind = "letter"'),
        ("[type.facts]", "colour = 1\n[type.facts]"),
        ('name = "Order"', ""),
    ],
)
def test_a_profile_with_a_surprise_is_refused(tmp_path: Path, old: str, new: str) -> None:
    wrong = ORDER | {"profile.toml": ORDER["profile.toml"].replace(old, new)}
    with pytest.raises(ValidationError):
        Families.load(folder(tmp_path, wrong))


def test_two_types_with_the_same_root_are_refused(tmp_path: Path) -> None:
    root = folder(folder(tmp_path, ORDER), ORDER, version="2")
    with pytest.raises(ValueError, match="same root"):
        Families.load(root)


CURRENCIES = {"codes/unit.csv": "code,iso,name\n502,USD,dollar\n398,,clearing franc\n"}


def translating(fact: str, column: str) -> dict[str, str]:
    profile = (
        ORDER["profile.toml"]
        + f"""
        [type.translate]
        {fact} = "{column}"
    """
    )
    return {**ORDER, **CURRENCIES, "profile.toml": profile}


@pytest.mark.parametrize(("code", "expected"), [("502", "USD"), ("USD", "USD"), ("398", "398"), ("9", "9")])
def test_a_fact_is_translated_by_the_code_list_column_that_the_profile_names(
    tmp_path: Path, code: str, expected: str
) -> None:
    loaded = Families.load(folder(tmp_path, translating("reference", "unit.iso")))
    root = xml.parse(f"<order><id>{code}</id></order>".encode())
    assert loaded.recognise(root).facts(root) == {"reference": expected}


@pytest.mark.parametrize(
    ("fact", "column"), [("office", "unit.iso"), ("reference", "unit.alpha"), ("reference", "none.iso")]
)
def test_a_translation_of_what_is_not_there_is_refused(tmp_path: Path, fact: str, column: str) -> None:
    with pytest.raises((ValidationError, KeyError)):
        Families.load(folder(tmp_path, translating(fact, column)))


@pytest.mark.parametrize("habit", HABITS)
def test_the_fact_of_a_currency_is_the_same_whichever_code_the_sender_uses(habit: Habit) -> None:
    assert facts(render(Declaration(lines=(Line(currency="EUR"),)), habit))["currency"] == "EUR"


def test_every_numeric_currency_has_its_row() -> None:
    for family in ("cn-dec", "cn-acd"):
        codes = files("schemas").joinpath(family, "1", "codes")
        currencies, numeric_currencies = (
            [line.split(",")[0] for line in codes.joinpath(f"{name}.csv").read_text("utf-8").splitlines()]
            for name in ("currency", "currency_numeric")
        )
        assert currencies == numeric_currencies


def test_the_facts_of_a_declaration_are_read() -> None:
    declaration = Declaration(
        lines=(Line(), Line(origin="DEU")),
        documents=(Document(code=AGREEMENT, number="195200016172325"),),
    )
    values = facts(render(declaration, GX))
    assert values["reference"] == declaration.reference
    assert values["agent_code"] == declaration.agent.code
    assert values["trader_scc"] == declaration.trader.scc
    assert values["office"] == "0202"
    assert values["direction"] == "I"
    assert values["lines"] == "2"
    assert values["total"] == "2500"
    assert values["currency"] == "USD"
    assert (values["origin"], values["destination"]) == ("JPN", "CHN")
    assert values["agreement"] == "195200016172325"
    assert "seq_no" not in values


def test_an_export_has_its_origin_and_destination_swapped_back() -> None:
    values = facts(render(export(), GX))
    assert (values["origin"], values["destination"]) == ("CHN", "JPN")


def test_blank_facts_are_absent_and_others_are_stripped() -> None:
    document = (
        render(Declaration())
        .decode()
        .replace("<IEPort>0202</IEPort>", "<IEPort>\n </IEPort><SeqNo> I1 </SeqNo>")
    )
    values = facts(document.encode())
    assert "ie_port" not in values
    assert values["seq_no"] == "I1"


@pytest.mark.parametrize("letter", "ABCDEG")
def test_only_operations_c_and_d_declare(letter: str) -> None:
    (kind,) = (type_ for type_ in families().types if type_.name == "DecMessage")
    expected = Operation.DECLARE if letter in "CD" else Operation.SAVE
    assert kind.operation({"oper_type": letter}) is expected
    assert kind.operation({}) is Operation.SAVE


def test_what_identifies_a_declaration_is_its_signature_block() -> None:
    root = tree(Declaration())
    kind = families().recognise(root)
    assert [element.tag for element in kind.identified_by(root)] == [f"{{{NAMESPACE}}}DecSign"]
    assert set(kind.sender_facts) == {"agent_code", "agent_scc", "keying_code", "keying_scc"}
    agent = kind.element_of("agent_code", root)
    assert agent is not None
    assert xml_path(agent) == "/DecMessage/DecHead/AgentCode"
    assert kind.element_of("seq_no", root) is None
    assert kind.element_of("lines", root) is None


RESULT = (
    "<DEC_RESULT><CUS_CIQ_NO>I20240001243258893</CUS_CIQ_NO><ENTRY_ID>900120241000000851</ENTRY_ID>"
    "<NOTICE_DATE>2024-04-17T09:15:03</NOTICE_DATE><CHANNEL>K</CHANNEL><NOTE>报关单担保放行</NOTE>"
    "<CUSTOM_MASTER>9001</CUSTOM_MASTER><I_E_DATE>{}</I_E_DATE><D_DATE>{}</D_DATE></DEC_RESULT>"
)
IMPORTED = (
    f'<DecImportResponse xmlns="{NAMESPACE}"><ResponseCode>0</ResponseCode><ErrorMessage/>'
    "<ClientSeqNo>客户端-1</ClientSeqNo>{}</DecImportResponse>"
)


def answered(document: str) -> tuple[AnswerKind, dict[str, str], CustomsStatus | None]:
    root = xml.parse(document.encode())
    kind = families().recognise(root)
    assert kind.schema.validate(root), kind.schema.error_log
    assert kind.answer is not None
    assert kind.kind == "answer"
    values = kind.facts(root)
    return kind.answer.kind, values, kind.answer.codes.status(values["status"])


@pytest.mark.parametrize("day", ["20240417", "2024-04-17", "2024-04-17T00:00:00", ""])
def test_a_business_receipt_is_read_whatever_shape_its_dates_have(day: str) -> None:
    kind, values, status = answered(RESULT.format(day, day))
    assert kind is AnswerKind.BUSINESS
    assert status is CustomsStatus.RELEASED
    assert values == {
        "seq_no": "I20240001243258893",
        "entry_id": "900120241000000851",
        "status": "K",
        "text": "报关单担保放行",
        "time": "2024-04-17T09:15:03",
        "office": "9001",
    }


def test_a_wrapped_business_receipt_has_its_text_beside_it() -> None:
    bare = RESULT.format("", "").replace("<NOTE>报关单担保放行</NOTE>", "")
    kind, values, _ = answered(f"<DEC_DATA>{bare}<RESULT_INFO>担保放行</RESULT_INFO></DEC_DATA>")
    assert kind is AnswerKind.BUSINESS
    assert (values["text"], values["status"]) == ("担保放行", "K")


@pytest.mark.parametrize("more", ["", "<SeqNo/><TrnPreId/>", "<SeqNo>I20240001243258893</SeqNo>"])
def test_a_technical_answer_is_read_with_and_without_its_number(more: str) -> None:
    kind, values, status = answered(IMPORTED.format(more))
    assert kind is AnswerKind.TECHNICAL
    assert status is CustomsStatus.IMPORTED
    assert values["reference"] == "客户端-1"
    assert values.get("seq_no") == ("I20240001243258893" if "I2024" in more else None)


def test_a_failure_of_the_import_client_is_a_refusal() -> None:
    kind, values, status = answered(
        "<Root><resultFlag><Type>1</Type><Value>0</Value></resultFlag><failCode version='1'>C134</failCode>"
        '<failInfo><![CDATA[["读卡器错误 50200"]]]></failInfo><retData/></Root>'
    )
    assert kind is AnswerKind.FAILURE
    assert status is CustomsStatus.REFUSED
    assert "50200" in values["text"]


@pytest.mark.parametrize("family", [None, "cn-dec", "unknown"])
def test_a_refusal_is_what_the_schema_of_the_answer_says(family: str | None) -> None:
    written = families().refusal(family).replace("$text", "缺少表头").replace("$reference", "A-1")
    kind, values, status = answered(written)
    assert kind is AnswerKind.TECHNICAL
    assert status is CustomsStatus.REFUSED
    assert (values["reference"], values["text"], values["status"]) == ("A-1", "缺少表头", "1")


@pytest.mark.parametrize("habit", HABITS, ids=lambda habit: habit.name)
def test_a_fact_is_what_libxml2_finds_by_its_xpath(habit: Habit) -> None:
    profile = tomllib.loads(files("schemas").joinpath("cn-dec/1/profile.toml").read_text("utf-8"))
    paths = next(type_["facts"] for type_ in profile["type"] if type_["name"] == "DecMessage")
    root = xml.parse(render(full(), habit))
    kind = families().recognise(root)
    facts = kind.facts(root)
    for name, path in paths.items():
        element = etree.XPath(path, namespaces=profile["namespaces"])(root)
        if isinstance(element, list):
            first = element[0] if element else ""
            text = first.text if isinstance(first, etree._Element) else first
            value = (text or "").strip()
            assert facts.get(name, "") == kind.translated(name, value), name


@pytest.mark.parametrize("name", ["DocumentPackage", "AgreementNotice"])
def test_a_type_without_answers_only_informs_and_is_finished_when_taken(name: str) -> None:
    (kind,) = (type_ for type_ in families().types if type_.name == name)
    assert kind.operation({}) is Operation.INFORM
