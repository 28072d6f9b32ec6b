"""The rule language: what a rule set may say, what its functions answer, and what is refused at loading."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from lxml import etree

from gateway.families.schematron import RuleSet
from gateway.formats import xml
from gateway.model.faults import Finding
from gateway.model.message import Package
from gateway.model.policy import PdfPolicy, Policy
from tests.support.validating import SOUND, file, packed

LISTS = {"unit": frozenset({"035", "007"}), "more": frozenset({"X"})}
SENTENCE = '<span class="zh">不行</span><span class="en">no</span>'
DOCUMENT = b"<order><n>1</n><n>2</n><unit> 035 </unit><unit>999</unit><unit/><unit>X</unit></order>"


def schema(patterns: str, lets: str = "") -> bytes:
    return (
        '<schema xmlns="http://purl.oclc.org/dsdl/schematron"><title>t</title>'
        f'<ns prefix="gw" uri="urn:gateway:rules"/>{lets}{patterns}</schema>'
    ).encode()


def pattern(context: str, *checks: str) -> str:
    return f'<pattern><title>t</title><rule context="{context}">{"".join(checks)}</rule></pattern>'


def check(test: str, more: str = "", kind: str = "assert", rule: str = "T-1") -> str:
    return f'<{kind} id="{rule}" test="{test}" {more}>{SENTENCE}</{kind}>'


def findings(
    rules: bytes, document: bytes = DOCUMENT, package: Package | None = None, policy: Policy | None = None
) -> list[Finding]:
    compiled = RuleSet(rules, LISTS)
    return compiled.check(xml.trusted(document), package or packed(document), policy or Policy())


def holds(test: str, package: Package | None = None, policy: Policy | None = None) -> bool:
    return not findings(schema(pattern("/order", check(test))), package=package, policy=policy)


def test_an_assertion_that_fails_is_a_finding_at_its_node() -> None:
    (each,) = findings(schema(pattern("/order/n", check(". = 1"))))
    assert (each.rule, each.code, each.severity.value) == ("T-1", "business-rule", "error")
    assert (each.place.xpath, each.place.line, each.value) == ("/order/n[2]", 1, "2")
    assert each.zh.endswith("不行")
    assert each.en.endswith("no")


def test_a_report_that_holds_is_a_finding() -> None:
    (each,) = findings(schema(pattern("/order/n", check(". = 1", 'role="warning"', kind="report"))))
    assert (each.place.xpath, each.severity.value) == ("/order/n[1]", "warning")


def test_each_node_of_the_subject_is_a_finding_of_its_own() -> None:
    rules = schema(pattern("/order", check("false()", 'subject="n" flag="schema-element"')))
    assert [(finding.place.xpath, finding.code) for finding in findings(rules)] == [
        ("/order/n[1]", "schema-element"),
        ("/order/n[2]", "schema-element"),
    ]


def test_variables_are_set_in_their_order_for_each_document() -> None:
    lets = '<let name="first-n" value="/order/n[1]"/><let name="sum" value="$first-n + 1"/>'
    rules = RuleSet(schema(pattern("/order", check("$sum = 2 and count($first-n) = 1")), lets), LISTS)
    for number, sound in ((b"1", True), (b"2", False), (b"1", True)):
        root = xml.trusted(b"<order><n>" + number + b"</n></order>")
        assert (rules.check(root, packed(b""), Policy()) == []) is sound


def test_codes_are_looked_up_in_the_lists() -> None:
    assert holds("gw:code('unit', unit)")
    assert holds("gw:code('unit more', 'X')")
    assert not holds("gw:code('unit', 'X')")
    assert not holds("gw:code('unit', /order/none)")
    assert holds("count(gw:unlisted('unit', unit)) = 2")
    assert holds("gw:unlisted('unit more', unit) = '999'")


def test_a_list_that_does_not_exist_is_our_own_fault() -> None:
    with pytest.raises(KeyError):
        holds("gw:code('none', 'X')")


def test_a_value_is_among_nodes_whatever_white_space_is_around_them() -> None:
    assert holds("gw:among('035', unit)")
    assert not holds("gw:among('03', unit)")


@pytest.mark.parametrize(
    ("day", "exists"),
    [
        ("20240229", True),
        ("20230229", False),
        ("20240229 12:00", True),
        ("2024022", False),
        ("00000101", False),
        ("", False),
    ],
)
def test_only_days_that_exist_are_days(day: str, exists: bool) -> None:
    assert holds(f"gw:date('{day}')") is exists


@pytest.mark.parametrize(
    ("text", "all_there"),
    [
        ("1", True),
        ("1,3", True),
        ("1, 3", True),
        ("4", False),
        ("0", False),
        ("", False),
        ("1,,2", False),
        ("-1", False),
        ("１", False),
    ],
)
def test_numbers_are_between_one_and_the_last(text: str, all_there: bool) -> None:
    assert holds(f"gw:numbers('{text}', 3)") is all_there


@pytest.mark.parametrize(
    ("code", "right"),
    [
        ("91350100M000100Y43", True),  # the example of GB 32100-2015
        ("91350100M000100Y44", False),
        ("91350100M00010OY43", False),
        ("NO", False),
    ],
)
def test_a_social_credit_code_has_its_check_character(code: str, right: bool) -> None:
    assert holds(f"gw:scc('{code}')") is right


def test_policy_and_package_are_those_of_the_evaluation() -> None:
    package = packed(DOCUMENT, file("a.pdf", 5), file("b\x0b.pdf", 6))
    assert holds("count(gw:package()) = 2 and gw:package()/@size = 6", package)
    assert holds("gw:package()[@name = 'a.pdf']/@encrypted = 'false'", package)
    assert holds(f"gw:package()[1]/@pages = {SOUND.pages} and gw:package()[1]/@version = 17", package)
    assert holds("not(gw:package())")
    assert holds("gw:policy('pdf.size') = 7", policy=Policy(pdf=PdfPolicy(size=7)))


def test_threads_do_not_see_each_others_package_or_policy() -> None:
    test = "count(gw:package()) = gw:policy('pdf.pages')".replace("pages", "name")
    rules = schema(pattern("/order", check(test)))

    def sound(count: int) -> bool:
        package = packed(DOCUMENT, *(file(f"{number}.pdf") for number in range(count)))
        policy = Policy(pdf=PdfPolicy(name=count))
        compiled = RuleSet(rules, LISTS)
        root = xml.trusted(DOCUMENT)
        return all(not compiled.check(root, package, policy) for _ in range(50))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(sound, range(1, 9)))


def test_a_fault_of_a_file_names_the_file() -> None:
    rules = schema(
        pattern("$files", check("@size &lt; 5", 'flag="pdf-unfit"')),
        '<let name="files" value="gw:package()"/>',
    )
    (each,) = findings(rules, package=packed(DOCUMENT, file("big.pdf", 5), file("small.pdf", 4)))
    assert (each.code, each.place.file, each.place.line, each.place.xpath) == (
        "pdf-unfit",
        "big.pdf",
        None,
        None,
    )


def test_findings_come_in_the_order_of_the_rule_set_however_many_rules_there_are() -> None:
    patterns = "".join(pattern("/order", check("false()", rule=f"T-{number:02}")) for number in range(20))
    assert [finding.rule for finding in findings(schema(patterns))] == [
        f"T-{number:02}" for number in range(20)
    ]


@pytest.mark.parametrize(
    "rules",
    [
        schema("<phase/>"),
        schema("<pattern><title>t</title><let name='a' value='1'/></pattern>"),
        schema(
            f"<pattern><rule context='/a'>{check('1')}</rule><rule context='/b'>{check('1')}</rule></pattern>"
        ),
        schema(pattern("/a", f"<assert id='T-1' test='1'>{SENTENCE}<value-of/></assert>")),
        schema(pattern("/a", check("1"), check("2"))),
    ],
    ids=["phase", "let in a pattern", "two rules", "value-of", "one number twice"],
)
def test_a_rule_that_is_not_understood_is_refused_when_it_is_loaded(rules: bytes) -> None:
    with pytest.raises(ValueError, match=r"not understood|unpack|twice"):
        RuleSet(rules, LISTS)


def test_an_expression_that_is_no_xpath_is_refused_when_it_is_loaded() -> None:
    with pytest.raises(etree.XPathSyntaxError):
        RuleSet(schema(pattern("/a", check("1 +"))), LISTS)


def test_a_rule_with_an_unknown_fault_is_refused_when_it_is_loaded() -> None:
    with pytest.raises(KeyError):
        RuleSet(schema(pattern("/a", check("1", 'flag="no-such-fault"'))), LISTS)


def test_of_very_many_unlisted_nodes_no_more_are_returned_than_can_be_reported() -> None:
    document = b"<order>" + b"<unit>Q</unit>" * 1000 + b"</order>"
    assert not findings(schema(pattern("/order", check("count(gw:unlisted('unit', unit)) = 200"))), document)


def test_rules_that_fail_at_different_places_are_each_reported() -> None:
    rules = schema(
        pattern("/order/n", check(". = 1", rule="T-1"))
        + pattern("/order/unit", check(". != 'X'", rule="T-2"))
    )
    assert [(finding.rule, finding.place.xpath) for finding in findings(rules)] == [
        ("T-1", "/order/n[2]"),
        ("T-2", "/order/unit[4]"),
    ]
