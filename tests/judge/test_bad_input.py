"""Bad input gets a clear answer, and nothing else is touched: each file through pipeline and store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.model.decision import Decision
from gateway.model.faults import Fault, Severity
from tests.support import bad_signatures, hostile_zips
from tests.support.bad_messages import BARE, CASES, FOLDER, LARGE, Case, ExpectedFault
from tests.support.declarations import Declaration
from tests.support.harness import Harness
from tests.support.receipts import assert_refusal_is_told
from tests.support.rendering import packed

ACCOUNT = "broker-aa"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    """With one declaration accepted before, which nothing may touch."""
    with Harness.at(tmp_path / "home") as harness:
        harness.judged(ACCOUNT, "before.zip", packed(Declaration(reference="BEFORE")))
        yield harness


def refused(harness: Harness, name: str, body: bytes, account: str = ACCOUNT) -> Decision:
    with harness.nothing_else_touched():
        decision = harness.judged(account, name, body)
    assert_refusal_is_told(harness, decision, name)
    return decision


def errors(
    decision: Decision,
) -> list[tuple[str, str | None, str | None, int | None, str | None, str | None]]:
    return [
        (
            finding.code,
            finding.rule,
            finding.place.file,
            finding.place.line,
            finding.place.xpath,
            finding.value,
        )
        for finding in decision.findings
        if finding.severity is Severity.ERROR
    ]


def expected(
    expected: ExpectedFault,
) -> tuple[str, str | None, str | None, int | None, str | None, str | None]:
    return (expected.fault.code, expected.rule, expected.file, expected.line, expected.xpath, expected.value)


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_with_every_fault_and_its_place(name: str, harness: Harness) -> None:
    case = CASES[name]
    body = (FOLDER / f"{name}.{case.suffix}").read_bytes()
    sent_as = BARE if case.suffix == "xml" else "upload.zip"
    assert errors(refused(harness, sent_as, body)) == [
        expected(expected_fault) for expected_fault in case.faults
    ]


@pytest.mark.parametrize("name", LARGE)
def test_bad_input_that_is_large_is_refused_too(name: str, harness: Harness) -> None:
    case: Case = LARGE[name]
    body = case.make()
    sent_as = BARE if body.startswith(b"<") else "upload.zip"
    assert errors(refused(harness, sent_as, body)) == [
        expected(expected_fault) for expected_fault in case.faults
    ]


@pytest.mark.parametrize("name", hostile_zips.CASES)
def test_a_hostile_zip_is_refused(name: str, harness: Harness) -> None:
    body = (hostile_zips.FOLDER / f"{name}.zip").read_bytes()
    decision = refused(harness, f"{name}.zip", body)
    assert {finding[0] for finding in errors(decision)} == {hostile_zips.CASES[name].fault.code}


def test_the_folder_holds_what_the_cases_make_and_nothing_else() -> None:
    shipped = {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.suffix in (".xml", ".zip")}
    assert shipped == {f"{name}.{case.suffix}": case.make() for name, case in CASES.items()}


# Where the faults that no file above shows are raised.
ELSEWHERE = {
    Fault.XML_SCHEMA_LOCATION: "tests/formats/test_reading.py",
    Fault.ZIP_IGNORED: "tests/judge/test_unpack_habits.py",
    Fault.ALLOWANCE_USED: "tests/receive/test_allowance.py",
    Fault.DISK_RESERVE: "tests/receive/test_allowance.py",
    Fault.ANSWER_SEVERAL: "tests/respond/test_answers_that_disagree.py",
    Fault.AMQP_ENCODING: "tests/system/test_amqp_refused.py",
    Fault.PACKAGE_TOO_COSTLY: "tests/run/test_workers.py",
    Fault.DOCUMENT_AMBIGUOUS: "tests/judge/rule_cases.py",
    Fault.CUSTOMS_UNREACHABLE: "tests/judge/test_receipt.py",
    Fault.ACCOUNT_UNKNOWN: "tests/judge/test_authorise.py",
    Fault.DUPLICATE_REFERENCE: "tests/judge/test_bad_input_duplicates.py",
    Fault.SAME_CONTENT: "tests/judge/test_bad_input_duplicates.py",
    Fault.SIGNATURE_MISSING: "tests/judge/test_bad_input_signatures.py",
    Fault.SIGNATURE_UNWANTED: "tests/judge/test_bad_input_signatures.py",
    Fault.CERTIFICATE_REVOKED: "tests/judge/test_bad_input_signatures.py",
    Fault.PAPERLESS_SCOPE: "tests/rules/test_reform.py",
    Fault.PAPERLESS_CLASS: "tests/rules/test_reform.py",
    Fault.PAPERLESS_CONTRACT: "tests/rules/test_reform.py",
    Fault.DECLARATION_UNKNOWN: "tests/judge/test_match_declaration.py",
    Fault.DECLARATION_ENDED: "tests/judge/test_match_declaration.py",
    Fault.DOCUMENTS_DUE: "tests/judge/test_admit_paperless.py",
    Fault.DOCUMENT_REPLACED: "tests/judge/test_join_attachments.py",
    Fault.AGREEMENT_UNFIT: "tests/model/test_agreements.py",
    Fault.TRADERS_DIFFER: "tests/judge/test_check_agency.py",
    Fault.AGREEMENT_MISSING: "tests/judge/test_check_agency.py",
    Fault.AGREEMENT_ACT: "tests/judge/test_check_agency.py",
    Fault.AGREEMENT_NOTICE: "tests/judge/test_apply_agreement_notice.py",
    Fault.AGREEMENT_CHOSEN: "tests/judge/test_agreement_terms.py",
    Fault.REPLACED: "tests/judge/test_order_of_waiting.py",
    Fault.SENDER_ROLE: "tests/judge/test_who_may_declare.py",
    Fault.TRADER_ROLE: "tests/judge/test_who_may_declare.py",
    Fault.NOT_ASSOCIATION: "tests/judge/test_check_agency.py",
    Fault.AWAITED: "tests/judge/test_check_agency.py",
    Fault.WAIT_EXPIRED: "tests/judge/test_check_agency.py",
    Fault.DISMISSED: "tests/operate/test_service.py",
    Fault.AMQP_USER: "tests/system/test_amqp_refused.py",
    Fault.AMQP_MESSAGE_ID: "tests/system/test_amqp_refused.py",
    Fault.AMQP_UNREADABLE: "tests/system/test_amqp_hostile.py",
    Fault.AMQP_CONTENT_TYPE: "tests/system/test_amqp_refused.py",
    Fault.AMQP_NAME: "tests/system/test_amqp_refused.py",
    Fault.AMQP_SIZE: "tests/system/test_amqp_refused.py",
    Fault.CLAIM_UNREADABLE: "tests/system/test_amqp_refused.py",
    Fault.CLAIM_MISSING: "tests/system/test_amqp_refused.py",
    Fault.CLAIM_OPEN: "tests/system/test_amqp_refused.py",
    Fault.CLAIM_DIFFERS: "tests/system/test_amqp_refused.py",
}


def test_every_fault_of_the_catalogue_is_raised_by_some_test() -> None:
    cases = [*CASES.values(), *LARGE.values()]
    raised = {expected_fault.fault for case in cases for expected_fault in case.faults}
    raised |= {case.fault for case in hostile_zips.CASES.values()}
    raised |= {case.fault for case in bad_signatures.CASES.values()}
    for fault, file in ELSEWHERE.items():
        text = (ROOT / file).read_text("utf-8")
        assert f"Fault.{fault.name}" in text or f'"{fault.code}"' in text
    assert set(Fault) == raised | ELSEWHERE.keys()
    assert not raised & ELSEWHERE.keys()
