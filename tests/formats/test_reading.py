"""One notion of blank and one of a number, for schema, characters, rules, facts and authority alike."""

import re
import socket
import sys
from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gateway.formats import xml
from gateway.formats.reading import number, plain, reading
from gateway.model.faults import Fault, Severity
from gateway.model.states import Event
from tests.judge.rule_cases import FILES, everything
from tests.support.declarations import Declaration
from tests.support.harness import Harness
from tests.support.rendering import NAMESPACE, packed
from tests.support.validating import at, families, findings, judged, take, tree, written

DECLARATION = next(kind for kind in families().types if kind.name == "DecMessage")
# All of Unicode's white space that XML can carry: PropList.txt has these, and U+000B and U+000C.
SPACES = [chr(code) for code in (9, 10, 13, *range(32, sys.maxunicode + 1)) if chr(code).isspace()]
XSI = f'xmlns:xsi="{xml.XSI}"'


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with Harness.at(tmp_path_factory.mktemp("reading") / "home") as opened:
        yield opened


def facts(document: bytes) -> dict[str, str]:
    return DECLARATION.facts(reading(xml.parse(document)).root)


def reported(document: bytes) -> list[tuple[str, str | None, str | None]]:
    return [(finding.code, finding.rule, finding.place.xpath) for finding in findings(document, *FILES)]


def leaves(root: etree._Element) -> list[etree._Element]:
    return [element for element in root.iter(etree.Element) if not len(element) and element.text]


def in_head(markup: str) -> bytes:
    """A sound declaration with this element in its head, in place of the one that is there."""
    root = tree(Declaration())
    head = at(root, "DecHead")
    (element,) = etree.fromstring(f'<h xmlns="{NAMESPACE}" {XSI}>{markup}</h>')
    take(head, etree.QName(element).localname)
    head.insert(0, element)
    return written(root)


def blanked(path: str, text: str | None) -> bytes:
    root = everything()
    element = root.find(path)
    assert element is not None
    element.text = text
    return written(root)


PATHS = [str(leaf.getroottree().getelementpath(leaf)) for leaf in leaves(everything())]


def test_there_are_25_white_spaces_of_unicode_and_xml_carries_23() -> None:
    assert len(SPACES) == 23


@pytest.mark.parametrize("space", SPACES, ids=ascii)
def test_fields_of_white_space_alone_are_absent_to_schema_rules_and_facts(space: str) -> None:
    blank, empty = everything(), everything()
    for one, other in zip(leaves(blank), leaves(empty), strict=True):
        one.text, other.text = space * 2, None
    assert reported(written(blank)) == reported(written(empty))
    assert facts(written(blank)) == facts(written(empty))


@pytest.mark.parametrize(
    "path", PATHS, ids=lambda path: path.replace("{http://www.chinaport.gov.cn/dec}", "")
)
def test_any_one_field_of_white_space_alone_is_an_absent_one(path: str) -> None:
    empty = blanked(path, None)
    for text in ("　", "   ", "\n \xa0"):
        assert reported(blanked(path, text)) == reported(empty)
        assert facts(blanked(path, text)) == facts(empty)


@pytest.mark.parametrize("space", SPACES, ids=ascii)
def test_a_trader_of_white_space_makes_no_declaration_the_brokers_own(space: str, harness: Harness) -> None:
    head = {"TradeCode": space, "TradeCoScc": space}
    decision = harness.judged("broker-aa", "a.zip", packed(Declaration(head=head)))
    assert decision.event is Event.REFUSED
    assert {"DEC-123", "DEC-128"} <= {finding.rule for finding in decision.findings}


@pytest.mark.parametrize("space", SPACES, ids=ascii)
def test_white_space_beside_a_code_is_taken_off_by_all_or_refused(space: str) -> None:
    for text in (f"3120980017{space}", f"{space}3120980017"):
        root = tree(Declaration())
        at(root, "DecHead/OwnerCode").text = text
        faults = findings(written(root))
        if space in " \t\r\n":
            assert facts(written(root))["owner_code"] == "3120980017"
        else:
            assert {finding.code for finding in faults} == {"text-characters"}


@pytest.mark.parametrize("between", ["　", "\xa0\n"])
def test_white_space_between_elements_is_none_of_the_documents_content(between: str) -> None:
    document = written(tree(Declaration())).decode()
    spaced = document.replace("<DecHead>", f"<DecHead>{between}").replace(
        "</DecHead>", f"</DecHead>{between}"
    )
    assert judged(spaced.encode()).warnings == judged(document.encode()).warnings


# Every form of 17800 and what lies beside it: XML Schema part 2, 3.2.3.1.
FORMS = ["{}", "+{}", "{}.", "{}.0", "{}.00000", "00{}", "+0{}.0", " {}\n"]


@pytest.mark.parametrize("form", FORMS, ids=repr)
@pytest.mark.parametrize(("net", "broken"), [(107, False), (108, False), (109, True), (999999, True)])
def test_weights_are_compared_in_every_form_of_a_number(form: str, net: int, broken: bool) -> None:
    root = tree(Declaration())
    at(root, "DecHead/NetWt").text = form.format(net)
    at(root, "DecHead/GrossWet").text = form.format(108)
    assert ("DEC-501" in {finding.rule for finding in findings(written(root))}) is broken
    assert (facts(written(root))["net_weight"], facts(written(root))["gross_weight"]) == (str(net), "108")


@pytest.mark.parametrize("form", FORMS, ids=repr)
@pytest.mark.parametrize(
    ("path", "sound", "wrong", "rule"),
    [
        ("DecLists/DecList/GNo", 1, 2, "DEC-008"),
        ("DecLists/DecList/DeclTotal", 1250, 12500, "DEC-502"),
        ("DecLists/DecList/DeclPrice", None, 99, "DEC-502"),
        ("DecLists/DecList/GQty", None, 99, "DEC-502"),
    ],
)
def test_each_rule_over_numbers_knows_every_form(
    form: str, path: str, sound: int | None, wrong: int, rule: str
) -> None:
    if form not in ("{}", "+{}", "00{}", " {}\n") and path.endswith("GNo"):
        return  # a whole number
    for value, broken in ((sound, False), (wrong, True)):
        root = tree(Declaration())
        if value is not None:
            at(root, path).text = form.format(value)
        assert (rule in {finding.rule for finding in findings(written(root))}) is broken


def test_numbers_are_compared_to_the_last_digit() -> None:
    root = tree(Declaration())
    at(root, "DecHead/GrossWet").text = "99999999999999.00000"
    at(root, "DecHead/NetWt").text = "99999999999999.00001"
    assert [finding.rule for finding in findings(written(root))] == ["DEC-501"]


@given(st.decimals(allow_nan=False, allow_infinity=False, places=5, max_value=10**14, min_value=-(10**14)))
def test_a_number_is_the_same_in_whatever_form_it_is_written(value: Decimal) -> None:
    digits = f"{value:f}"
    signed = digits if digits.startswith("-") else f"+{digits}"
    assert number(digits) == number(signed) == number(f"\n{signed}00 ") == value
    assert number(plain(value)) == value
    assert "e" not in plain(value).lower()


@pytest.mark.parametrize(
    "text", ["", "+", ".", "1e5", "1 2", "１２", "٣", "NaN", "Infinity", "1_0", "--1", "　1"]
)
def test_a_text_that_no_schema_takes_for_a_number_is_none(text: str) -> None:
    assert number(text) is None


@pytest.mark.parametrize(
    "markup",
    ['<ApprNo xsi:nil="true"/>', '<ApprNo xsi:nil="1"> </ApprNo>', '<ApprNo xsi:nil=" true ">　</ApprNo>',
     '<ApprNo xsi:nil="false"/>', '<BillNo xsi:nil="0">DEMO1</BillNo>'],
)  # fmt: skip
def test_an_empty_element_that_says_it_is_nil_is_an_absent_one(markup: str) -> None:
    assert judged(in_head(markup)).warnings == ()
    plain_markup = re.sub(' xsi:nil="[^"]*"', "", markup)
    assert facts(in_head(markup)) == facts(in_head(plain_markup))


@pytest.mark.parametrize("markup", ['<ApprNo xsi:nil="true">1</ApprNo>', '<ApprNo xsi:nil="perhaps"/>'])
def test_a_nil_over_content_is_refused(markup: str) -> None:
    (finding,) = findings(in_head(markup))
    assert (finding.code, finding.place.xpath) == ("schema-attribute", "/DecMessage/DecHead/ApprNo")


@pytest.mark.parametrize("name", ["schemaLocation", "noNamespaceSchemaLocation"])
def test_the_name_of_a_schema_is_not_followed_and_refuses_nothing(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x.xsd"
        document = written(tree(Declaration())).decode()
        where = f"urn:x {address}" if name == "schemaLocation" else address
        document = document.replace("<DecMessage", f'<DecMessage {XSI} xsi:{name}="{where}"', 1)
        (finding,) = judged(document.encode()).warnings
        with pytest.raises(BlockingIOError):
            server.accept()
    assert (finding.code, finding.severity) == (Fault.XML_SCHEMA_LOCATION.code, Severity.WARNING)
    assert (finding.place.file, finding.place.xpath) == ("declaration.xml", "/DecMessage")


def test_usual_documents_are_read_without_a_copy() -> None:
    root = xml.parse(written(everything()))
    assert reading(root).root is root


def test_a_reading_leaves_what_was_signed_as_it_is() -> None:
    document = in_head('<ApprNo xsi:nil="true">　</ApprNo>')
    root = xml.parse(document)
    before = etree.tostring(root, method="c14n")
    assert reading(root).root is not root
    assert etree.tostring(root, method="c14n") == before


def test_lines_are_those_of_the_document_that_was_sent() -> None:
    document = b"<a>\n<b>\xe3\x80\x80</b>\n\n<c>x</c></a>"
    assert [element.sourceline for element in reading(xml.parse(document)).root.iter()] == [1, 2, 4]
