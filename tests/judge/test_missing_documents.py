"""A demanded document is there or it is not: a line that names one is none."""

from dataclasses import replace
from itertools import product
from typing import Final, Literal, TypeAlias

import pytest

from adapters.store.tables.messages import obligations
from gateway.formats.submission import NAMESPACE
from gateway.model.agreements import Act
from gateway.model.decision import Decision
from gateway.model.faults import Fault
from gateway.model.reform import Due
from gateway.model.states import Event
from tests.support.association import ACCOUNT, agreement, agreement_document, signed_notice
from tests.support.declarations import AGREEMENT, CONTRACT, INVOICE, Declaration, Document, enterprise
from tests.support.harness import Harness
from tests.support.pdfs import pdf
from tests.support.rendering import package, packed, render

GUARANTEE: Final = "10000002"  # known by number alone
NUMBER: Final = "195200016172325"
OTHER_NUMBER: Final = "195200016172326"
Form: TypeAlias = Literal["file", "number"]
FORMS: Final[tuple[Form, ...]] = ("file", "number")
PLAIN_CLASSES: Final = (INVOICE, CONTRACT, "20000011", "50000001", "60000001")


def demand(harness: Harness, *codes: str, due: Due = Due.WITH) -> None:
    """Of every declaration, when it is to be there."""
    reform = harness.rules.policy.reform
    demanded = tuple(row.model_copy(update={"documents": codes}) for row in reform.demand)
    when = tuple(row.model_copy(update={"due": due}) for row in reform.due)
    changed = reform.model_copy(update={"demand": demanded, "due": when})
    harness.rules = replace(harness.rules, policy=harness.rules.policy.model_copy(update={"reform": changed}))


def line(code: str, form: Form, number: str = "A-1") -> Document:
    return Document(code=code, body=pdf()) if form == "file" else Document(code=code, number=number)


def declared(
    harness: Harness, *documents: Document, reference: str = "R-1", agent: str = "broker-aa"
) -> Decision:
    declaration = Declaration(
        reference=reference, documents=documents, agent=enterprise(agent), trader=enterprise("trader-a")
    )
    body = packed(declaration) if any(document.body for document in documents) else render(declaration)
    return harness.judged(agent, f"{reference}.{'zip' if body.startswith(b'PK') else 'xml'}", body)


def followed(harness: Harness, code: str, form: Form, number: str = "A-1") -> Decision:
    """A DocumentPackage for declaration R-1."""
    name = "later.pdf" if form == "file" else number
    kind = "US" if form == "file" else "S"
    xml = (
        f'<DocumentPackage xmlns="{NAMESPACE}"><ClientSeqNo>R-1</ClientSeqNo><Document>'
        f"<EdocID>{name}</EdocID><EdocCode>{code}</EdocCode><EdocFomatType>{kind}</EdocFomatType></Document></DocumentPackage>"
    )
    return harness.judged(
        "broker-aa",
        "later.zip",
        package(xml.encode(), {"later.pdf": pdf()} if form == "file" else {}, "later.xml"),
    )


def missing(harness: Harness, declaration: Decision) -> list[str]:
    assert declaration.event is Event.PASSED, declaration.findings
    (row,) = harness.rows(obligations, message=declaration.message)
    missing = row["missing"]
    assert isinstance(missing, list)
    return missing


def test_a_file_is_there_and_a_line_that_only_names_a_document_is_not(harness: Harness) -> None:
    for number, (code, form) in enumerate(product((*PLAIN_CLASSES, GUARANTEE), FORMS)):
        demand(harness, code)
        decision = declared(harness, line(code, form), reference=f"R-{number}")
        present = form == "file" or code == GUARANTEE
        assert (decision.event is Event.PASSED) is present, (code, form)
        if not present:
            assert Fault.DOCUMENTS_DUE.code in [finding.code for finding in decision.findings]


def test_a_line_without_its_document_is_owed_after_release_and_stays_owed(harness: Harness) -> None:
    demand(harness, INVOICE, CONTRACT, GUARANTEE, due=Due.AFTER_RELEASE)
    declaration = declared(harness, line(INVOICE, "number"), line(GUARANTEE, "number"))
    assert missing(harness, declaration) == [INVOICE, CONTRACT]
    assert followed(harness, INVOICE, "number").event is Event.PASSED
    assert missing(harness, declaration) == [INVOICE, CONTRACT]
    assert followed(harness, INVOICE, "file").event is Event.PASSED
    assert missing(harness, declaration) == [CONTRACT]


def test_a_listed_file_that_is_not_a_document_is_warned_about(harness: Harness) -> None:
    decision = declared(harness, line(INVOICE, "number"))
    assert [(finding.rule, finding.severity.value) for finding in decision.findings] == [
        ("DEC-607", "warning")
    ]


def test_an_agency_agreement_is_there_when_it_covers_the_declaration(harness: Harness) -> None:
    demand(harness, AGREEMENT)
    harness.judged(ACCOUNT, "told.xml", signed_notice(harness.home, agreement(NUMBER), Act.CONFIRMED))
    assert missing(harness, declared(harness, agreement_document(NUMBER), reference="R-2")) == []
    assert declared(harness, agreement_document(OTHER_NUMBER), reference="R-4").event is Event.WAITING
    without = declared(harness, reference="R-3")  # under a mandate, which is no agreement that it shows
    assert [finding.code for finding in without.findings] == [Fault.DOCUMENTS_DUE.code]


def test_a_trader_that_declares_for_itself_has_no_agency_agreement_by_naming_one(harness: Harness) -> None:
    demand(harness, AGREEMENT)
    decision = declared(harness, agreement_document(NUMBER), agent="trader-a")
    assert [finding.code for finding in decision.findings] == [Fault.DOCUMENTS_DUE.code]


def test_a_scan_that_is_listed_as_the_electronic_agreement_is_not_that_agreement(harness: Harness) -> None:
    demand(harness, AGREEMENT)
    decision = declared(harness, line(AGREEMENT, "file"))
    assert Fault.DOCUMENTS_DUE.code in [finding.code for finding in decision.findings]


@pytest.mark.parametrize(("trader", "covers"), [("trader-a", True), ("trader-b", False)])
def test_a_later_agreement_is_there_when_it_covers_the_declaration(
    trader: str, covers: bool, harness: Harness
) -> None:
    demand(harness, AGREEMENT, due=Due.AFTER_RELEASE)
    declaration = declared(harness)
    terms = agreement(NUMBER, trader=enterprise(trader).code)
    harness.judged(ACCOUNT, "told.xml", signed_notice(harness.home, terms, Act.CONFIRMED))
    assert followed(harness, AGREEMENT, "number", OTHER_NUMBER).event is Event.PASSED
    assert missing(harness, declaration) == [AGREEMENT]
    assert followed(harness, AGREEMENT, "number", NUMBER).event is Event.PASSED
    assert missing(harness, declaration) == ([] if covers else [AGREEMENT])
