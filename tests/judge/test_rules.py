"""Every business rule of DecMessage refuses or warns about its own fault, and about nothing else."""

from dataclasses import replace

import pytest

from gateway.families.schematron import RuleSet
from gateway.model.faults import Severity
from gateway.model.message import Part, Pdf
from gateway.model.policy import DeclarationPolicy, PdfPolicy, Policy
from tests.judge.rule_cases import (
    BROKEN,
    FILES,
    INVOICE_FILE,
    REQUIRED,
    Case,
    Operation,
    everything,
    listed_again,
    text,
)
from tests.support.declarations import Declaration, Document, export, lines
from tests.support.rendering import render
from tests.support.validating import SOUND, at, families, file, findings, take, tree, written

TOO_MANY_LINES = "DEC-006"
ACTIVE_REFUSED = "DEC-619"


def rules() -> RuleSet:
    (declaration,) = (type_ for type_ in families().types if type_.name == "DecMessage")
    assert declaration.rules is not None
    return declaration.rules


@pytest.mark.parametrize("operation", ["C", "D", "G"])
def test_a_declaration_with_every_block_breaks_no_rule(operation: Operation) -> None:
    assert findings(written(everything(operation)), *FILES) == ()


@pytest.mark.parametrize("case", REQUIRED + BROKEN, ids=lambda case: case.rule)
def test_a_value_that_breaks_a_rule_is_reported_under_its_number_at_its_place(case: Case) -> None:
    root = everything(case.operation)
    case.change(root)

    faults = findings(written(root), *case.files)

    assert {finding.rule for finding in faults} == {case.rule, *case.along}
    first = next(finding for finding in faults if finding.rule == case.rule)
    assert (first.code, first.severity.value) == (case.code, case.severity)
    if case.place is None:
        assert first.place.file == case.file
    else:
        expected = f"/DecMessage/{case.place}".rstrip("/").replace("DecList/", "DecList[1]/")
        assert first.place.xpath in (expected, expected.replace("DecLists/DecList", "DecLists/DecList[1]"))
        assert first.place.line is not None


@pytest.mark.parametrize("case", REQUIRED, ids=lambda case: case.rule)
def test_an_absent_element_is_missed_as_an_empty_one_is(case: Case) -> None:
    root = everything(case.operation)
    case.change(root)
    emptied = written(root)
    for element in list(root.iter()):
        parent = element.getparent()
        if parent is not None and not len(element) and not element.text:
            parent.remove(element)

    faults = {finding.rule for finding in findings(written(root), *FILES)}

    assert faults >= {finding.rule for finding in findings(emptied, *FILES)} >= {case.rule}


def test_every_rule_has_a_case() -> None:
    rule_ids = {rule.id for rule in rules().assertions}
    assert rule_ids == {case.rule for case in REQUIRED + BROKEN} | {TOO_MANY_LINES, ACTIVE_REFUSED}


def test_every_rule_speaks_both_languages() -> None:
    for rule in rules().assertions:
        assert any("\u4e00" <= character <= "\u9fff" for character in rule.zh) or rule.zh == "DecSign", (
            rule.id
        )
        assert rule.en.isprintable()
        assert rule.en


@pytest.mark.parametrize(
    "case",
    [case for case in REQUIRED if case.operation == "D" and case.severity == "error"],
    ids=lambda case: case.rule,
)
def test_elements_required_only_at_declaration_may_be_missing_from_a_temporary_save(case: Case) -> None:
    root = everything("G")
    case.change(root)
    assert findings(written(root), *FILES) == ()


def test_more_lines_than_the_policy_allows_are_refused() -> None:
    (finding,) = findings(render(Declaration(lines=lines(51))))
    assert (finding.rule, finding.place.xpath) == (TOO_MANY_LINES, "/DecMessage/DecLists")
    assert (
        findings(render(Declaration(lines=lines(51))), policy=Policy(declaration=DeclarationPolicy(lines=51)))
        == ()
    )


@pytest.mark.parametrize(
    ("total", "sound"), [("1262.50", True), ("1237.50", True), ("1262.60", False), ("1237.40", False)]
)
def test_a_total_may_differ_by_the_tolerance_of_the_policy(total: str, sound: bool) -> None:
    root = tree(Declaration())
    text("DecLists/DecList/DeclTotal", total)(root)
    assert (findings(written(root)) == ()) is sound


def test_the_limits_of_pdf_files_are_policy() -> None:
    policy = Policy(pdf=PdfPolicy(version=18, size=1000, page_size=400, name=10))
    faults = findings(written(everything()), file(INVOICE_FILE, size=1001), policy=policy)
    assert {finding.rule for finding in faults} == {"DEC-613", "DEC-614", "DEC-615", "DEC-616"}


def test_active_content_is_refused_where_the_policy_says_so() -> None:
    policy = Policy(pdf=PdfPolicy(active_content="refuse"))
    (finding,) = findings(
        written(everything()), file(INVOICE_FILE, pdf=replace(SOUND, active="Launch")), policy=policy
    )
    assert (finding.rule, finding.severity) == (ACTIVE_REFUSED, Severity.ERROR)
    assert "(Launch)" in finding.en


@pytest.mark.parametrize(
    ("part", "zh", "en"),
    [
        (
            file("a.pdf", pdf=Pdf(problem="no pages found", problem_zh="文件结构已损坏")),
            "（文件结构已损坏）",
            ": no pages found.",
        ),
        (
            file("a.pdf", pdf=replace(SOUND, version=11)),
            "1.1 过低，请另存为 PDF 1.4",
            "1.1; it must be 1.4 at",
        ),
        (
            file("a.pdf", size=(4 << 20) + 1, pdf=replace(SOUND, pages=99)),
            "4.01 MB，超过 4 MB",
            "4194305 bytes; at",
        ),
        (
            file("a.pdf", size=(800 << 10) + 2),
            "每页 400.01 KB（共 2 页），超过 400 KB",
            "819202 bytes on 2 pages; at",
        ),
        (file(f"{'x' * 61}.pdf"), "65 个字符，超过 64 个", "65 characters; at most 64."),
    ],
)
def test_a_pdf_that_exceeds_a_limit_is_refused_with_its_value_and_the_limit(
    part: Part, zh: str, en: str
) -> None:
    root = everything()
    text("EdocRealation/EdocID", part.name[:-4])(root)
    (finding,) = findings(written(root), part)
    assert zh in finding.zh
    assert en in finding.en


@pytest.mark.parametrize(
    "pdf", [replace(SOUND, trailer=True), replace(SOUND, signed=True), replace(SOUND, signed=False)]
)
def test_a_trailer_and_a_signature_of_a_pdf_are_not_judged(pdf: object) -> None:
    assert isinstance(pdf, type(SOUND))
    assert findings(written(everything()), file(INVOICE_FILE, pdf=pdf)) == ()


@pytest.mark.parametrize(
    ("name", "code", "sound"),
    [
        (INVOICE_FILE, "00000001", True),
        (INVOICE_FILE.removesuffix(".pdf"), "", True),
        ("", "", True),
        (INVOICE_FILE, "00000004", False),
        ("other.pdf", "00000001", False),
    ],
)
def test_the_block_after_a_pdf_must_name_what_the_declaration_lists(
    name: str, code: str, sound: bool
) -> None:
    pdf = replace(SOUND, trailer=True, trailer_name=name, trailer_code=code)
    faults = findings(written(everything()), file(INVOICE_FILE, pdf=pdf))
    assert [(finding.rule, finding.severity) for finding in faults] == (
        [] if sound else [("DEC-617", Severity.WARNING)]
    )


def test_a_file_may_be_listed_without_its_extension() -> None:
    root = everything()
    text("EdocRealation/EdocID", INVOICE_FILE.removesuffix(".pdf"))(root)
    assert findings(written(root), *FILES) == ()


@pytest.mark.parametrize("name", [f"x{INVOICE_FILE}", INVOICE_FILE[1:]])
def test_a_file_of_another_name_is_neither_the_listed_one_nor_listed(name: str) -> None:
    faults = findings(written(everything()), file(name))
    assert [finding.code for finding in faults] == ["document-missing", "document-unlisted"]


def test_a_file_that_is_listed_as_structured_is_not_listed() -> None:
    root = everything()
    text("EdocRealation/EdocFomatType", "S")(root)
    assert [finding.rule for finding in findings(written(root), *FILES)] == ["DEC-607", "DEC-606"]


def test_a_file_may_be_listed_twice_for_one_class() -> None:
    root = everything()
    listed_again("00000001")(root)
    assert findings(written(root), *FILES) == ()


@pytest.mark.parametrize(
    ("listed", "names", "rules"),
    [
        ("Rechnung-Köln.pdf", ["Rechnung-Köln.pdf"], []),
        ("Rechnung-Köln", ["Rechnung-Köln.pdf"], []),
        ("Rechnung-Köln.pdf", ["Rechnung-Ko\u0308ln.pdf"], ["DEC-609"]),
        ("RECHNUNG-KÖLN.PDF", ["Rechnung-Ko\u0308ln.pdf"], ["DEC-609"]),
        ("rechnung-köln", ["Rechnung-Köln.PDF"], ["DEC-609"]),
        ("发票１.pdf", ["发票1.pdf"], ["DEC-605", "DEC-606"]),
        ("A.pdf", ["a.pdf", "a.pdf.pdf"], ["DEC-610"]),
        ("A.pdf", ["a.pdf", "A.pdf"], ["DEC-606"]),
        ("a", ["a.pdf", "A.PDF"], ["DEC-606"]),
    ],
)
def test_a_name_means_the_file_of_that_name_else_the_one_that_is_spelt_alike(
    listed: str, names: list[str], rules: list[str]
) -> None:
    root = everything()
    text("EdocRealation/EdocID", listed)(root)
    assert [finding.rule for finding in findings(written(root), *map(file, names))] == rules


def test_a_bare_document_that_lists_a_file_is_refused_since_the_file_is_missing() -> None:
    declaration = Declaration(documents=(Document(name="invoice.pdf", body=b"."),))
    (finding,) = findings(render(declaration))
    assert finding.code == "document-missing"


def test_an_export_is_sound_with_its_countries_swapped() -> None:
    assert findings(render(export())) == ()


def test_an_export_whose_countries_were_not_swapped_is_warned_about() -> None:
    root = tree(export())
    text("DecLists/DecList/OriginCountry", "CHN")(root)
    text("DecLists/DecList/DestinationCountry", "JPN")(root)
    assert [finding.rule for finding in findings(written(root))] == ["DEC-504"]


@pytest.mark.parametrize("type_", ["", " ", "SD", "  0   Z"])
def test_a_blank_type_is_an_ordinary_entry(type_: str) -> None:
    root = tree(Declaration())
    text("DecHead/Type", type_)(root)
    assert findings(written(root)) == ()


def test_an_absent_type_and_an_empty_signature_are_sound_at_declaration() -> None:
    root = tree(Declaration())
    take(at(root, "DecHead"), "Type")
    text("DecSign/Sign", "")(root)
    text("DecSign/Certificate", "")(root)
    assert findings(written(root)) == ()


@pytest.mark.parametrize("office", ["0299", "2249", "5398"])
def test_an_office_that_is_not_listed_passes_in_a_district_that_is(office: str) -> None:
    root = tree(Declaration())
    text("DecHead/CustomMaster", office)(root)
    assert findings(written(root)) == ()


def test_a_code_is_shown_as_it_is_and_a_price_by_its_form() -> None:
    root = tree(Declaration())
    text("DecHead/TradeCoScc", "91120116MADEM0A15J")(root)
    text("DecLists/DecList/DeclTotal", "9999.5")(root)
    assert [finding.value for finding in findings(written(root))] == ["9***.*", "91120116MADEM0A15J"]


def test_of_a_thousand_faults_two_hundred_are_reported() -> None:
    root = tree(Declaration(lines=lines(50)))
    for line in list(at(root, "DecLists")):
        for child in line:
            child.text = None
    assert len(findings(written(root))) == 200
