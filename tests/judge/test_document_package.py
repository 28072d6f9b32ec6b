"""DocumentPackage: later documents of a declaration, with one of its numbers, each file listed and there."""

from typing import Final

import pytest

from gateway.families.schematron import RuleSet
from gateway.formats.submission import NAMESPACE
from gateway.model.faults import MessageRejected
from gateway.model.message import Part, Pdf
from tests.support.validating import SOUND, families, file, findings, judged

INVOICE: Final = "invoice-1.pdf"
PACKING: Final = "packing-list.pdf"
FILES: Final = (file(INVOICE), file(PACKING))


def document(name: str, code: str = "00000001", form: str = "US") -> str:
    return (
        f"<Document><EdocFomatType>{form}</EdocFomatType><EdocID>{name}</EdocID>"
        f"<EdocCode>{code}</EdocCode></Document>"
    )


def package(
    number: str = "<ClientSeqNo>C-1</ClientSeqNo>",
    documents: str = document(INVOICE)
    + document("packing-list", "00000002")
    + document("LIC-1", "10000002", "S"),
    note: str = "<Note>补交单证</Note>",
) -> bytes:
    return f'<DocumentPackage xmlns="{NAMESPACE}">{number}{documents}{note}</DocumentPackage>'.encode()


@pytest.mark.parametrize(
    ("number", "fact"),
    [
        ("<ClientSeqNo>C-1</ClientSeqNo>", {"client_reference": "C-1"}),
        ("<SeqNo>I20260000000000001</SeqNo>", {"seq_no": "I20260000000000001"}),
        ("<EntryId>220120261000000001</EntryId>", {"entry_id": "220120261000000001"}),
    ],
)
def test_documents_follow_a_declaration_by_one_of_its_numbers(number: str, fact: dict[str, str]) -> None:
    validated = judged(package(number), *FILES)

    assert validated.warnings == ()
    assert (validated.type.family, validated.type.kind) == ("gateway", "documents")
    assert not validated.type.signed
    assert validated.type.facts(validated.root) == fact | {
        "documents": "3",
        "note": "补交单证",
        "codes": "00000001 00000002 10000002",
    }


@pytest.mark.parametrize(
    "wrong",
    [
        package(number=""),
        package(number="<ClientSeqNo/>"),
        package(number="<SeqNo>I20260000000000001</SeqNo><EntryId>220120261000000001</EntryId>"),
        package(documents=""),
        package(documents=document("")),
        package(documents=document(INVOICE, code="")),
        package(documents=document(INVOICE, form="PDF")),
        package(documents=f"<Document><EdocID>{INVOICE}</EdocID></Document>"),
        package(note="<Note>1</Note><Note>2</Note>"),
    ],
)
def test_an_invalid_document_package_is_refused_by_its_schema(wrong: bytes) -> None:
    with pytest.raises(MessageRejected) as refused:
        judged(wrong, *FILES)
    codes = {finding.code for finding in refused.value.findings}
    assert codes & {"schema-missing", "schema-element", "schema-value"}
    # Files that no Document lists are told beside it where nothing of the lists is faulty.
    assert codes <= {"schema-missing", "schema-element", "schema-value", "document-unlisted"}


BROKEN: Final[list[tuple[str, str, bytes, tuple[Part, ...]]]] = [
    ("PKG-601", "business-rule", package(documents=document(INVOICE, "99999999")), (file(INVOICE),)),
    ("PKG-605", "document-missing", package(), FILES[:1]),
    ("PKG-606", "document-unlisted", package(), (*FILES, file("more.pdf"))),
    ("PKG-606", "document-unlisted", package(), (*FILES, file("LIC-1.pdf"))),
    ("PKG-607", "business-rule", package(documents=document("INV-1", form="S")), ()),
    (
        "PKG-608",
        "business-rule",
        package(documents=document(INVOICE) + document("invoice-1", "00000004")),
        FILES[:1],
    ),
    ("PKG-609", "business-rule", package(documents=document("Invoice-1.PDF")), FILES[:1]),
    (
        "PKG-610",
        "document-ambiguous",
        package(documents=document("A.pdf")),
        (file("a.pdf"), file("a.pdf.pdf")),
    ),
    *(
        (rule, "pdf-unfit", package(documents=document("wrong.pdf")), (wrong,))
        for rule, wrong in {
            "PKG-611": file("wrong.pdf", pdf=Pdf(problem="no PDF")),
            "PKG-612": file("wrong.pdf", pdf=Pdf(version=17, pages=2, encrypted=True)),
            "PKG-613": file("wrong.pdf", pdf=Pdf(version=11, pages=2)),
            "PKG-614": file("wrong.pdf", size=5 * 1024 * 1024, pdf=Pdf(version=17, pages=1000)),
            "PKG-618": file("wrong.pdf", pdf=Pdf(version=17, pages=2, active="EmbeddedFiles")),
            "PKG-615": file("wrong.pdf", size=1024 * 1024, pdf=Pdf(version=17, pages=1)),
        }.items()
    ),
    ("PKG-616", "pdf-unfit", package(documents=document("a" * 64)), (file("a" * 64 + ".pdf"),)),
]


@pytest.mark.parametrize(("rule", "code", "wrong", "files"), BROKEN)
def test_a_document_that_breaks_a_rule_is_reported_under_its_number(
    rule: str, code: str, wrong: bytes, files: tuple[Part, ...]
) -> None:
    assert [(finding.rule, finding.code) for finding in findings(wrong, *files)] == [(rule, code)]


def test_every_rule_has_a_case_and_speaks_as_that_of_declarations_does() -> None:
    own, declaration = _rules("DocumentPackage"), _rules("DecMessage")
    refused_by_policy = {"PKG-619"}
    assert {assertion.id for assertion in own.assertions} == {rule for rule, *_ in BROKEN} | refused_by_policy
    theirs = {assertion.id: assertion for assertion in declaration.assertions}
    for rule in own.assertions:
        like = theirs[rule.id.replace("PKG", "DEC")]
        assert (rule.fault, rule.severity) == (like.fault, like.severity)
        if rule.id != "PKG-606":
            assert (rule.zh, rule.en) == (like.zh, like.en)


def _rules(name: str) -> RuleSet:
    (rule_set,) = (type_.rules for type_ in families().types if type_.name == name)
    assert rule_set is not None
    return rule_set


def test_a_class_that_many_documents_have_is_listed_once() -> None:
    files = tuple(file(f"{number}.pdf", pdf=SOUND) for number in range(200))
    validated = judged(package(documents="".join(document(file.name) for file in files)), *files)
    facts = validated.type.facts(validated.root)
    assert (facts["documents"], facts["codes"]) == ("200", "00000001")
