"""What the reference customs does with a declaration whose reference forces nothing (docs/sandbox.md)."""

from datetime import date
from decimal import Decimal

import pytest

from adapters.sandbox.customs.courses import WaitReason
from adapters.sandbox.customs.customs import ReferenceCustoms
from adapters.sandbox.customs.decisions import OfficerAct
from adapters.sandbox.customs.ledger import Ledger
from adapters.sandbox.customs.proceedings import let_go_what_is_paid
from adapters.sandbox.customs.records import CustomsRecord, Duty, Kind, Licence, Manifest, Manual, Payment
from adapters.sandbox.customs.reviews import decide
from gateway.model.delivery import Outcome
from gateway.model.message import Operation
from gateway.model.reform import Risk
from tests.support.submissions import BROKER, NOW, TRADER, Subject, given_answers, sent, values

DOCUMENTS = Subject("gateway", "DocumentPackage", {"codes": "00000001"})
NOTICE = Subject("gateway", "AgreementNotice", {"number": "A-1", "act": "withdrawn"})


def answers_of(customs: ReferenceCustoms) -> str:
    return " ".join(values(answer).get("CHANNEL", "technical") for answer in given_answers(customs))


def notes(customs: ReferenceCustoms) -> list[str]:
    return [values(answer).get("NOTE", "") for answer in given_answers(customs)]


def waits(ledger: Ledger) -> list[WaitReason]:
    return [declaration.waits for declaration in ledger.waiting()]


def enter(ledger: Ledger, kind: Kind, *records: CustomsRecord) -> None:
    with ledger.transaction():
        ledger.records.enter(kind, records, "clerk", NOW)
        if kind is Kind.PAYMENTS:
            let_go_what_is_paid(ledger, NOW)


def duty(tariff: str, *, rate: str | None = None, amount: str | None = None) -> Duty:
    return Duty.model_validate({"tariff": tariff, "rate": rate, "amount": amount})


def payment(entry: str, amount: str, number: str = "P-1") -> Payment:
    return Payment(payment=number, entry=entry, amount=Decimal(amount))


def entry_of(customs: ReferenceCustoms) -> str:
    return values(given_answers(customs)[1])["ENTRY_ID"]


@pytest.mark.parametrize("entry_type", ["M", "W", "D", "0", ""])
@pytest.mark.parametrize("risk", [Risk.LOW, Risk.UNKNOWN])
def test_a_declaration_without_high_risk_is_released_automatically_paperless_or_not(
    customs: ReferenceCustoms, risk: Risk, entry_type: str
) -> None:
    sent("C-1", risk=risk, entry_type=entry_type).to(customs)
    assert answers_of(customs) == "technical L J P R"


def test_a_high_risk_waits_for_a_person_and_only_the_queue_says_why(
    customs: ReferenceCustoms, ledger: Ledger
) -> None:
    waiting = sent("C-1", risk=Risk.HIGH)
    waiting.to(customs)

    assert answers_of(customs) == "technical L"
    assert notes(customs)[-1].endswith("：转人工审单")
    (queued,) = ledger.waiting()
    assert (queued.waits, queued.reason) == (WaitReason.REVIEW, "high")

    decide(ledger, waiting.key, OfficerAct.RELEASE, actor="officer", reason="单证相符", now=NOW)
    assert answers_of(customs) == "technical L P R"


def test_a_save_of_high_risk_is_saved(customs: ReferenceCustoms, ledger: Ledger) -> None:
    sent("C-1", Operation.SAVE, risk=Risk.HIGH).to(customs)
    assert answers_of(customs) == "technical"
    assert waits(ledger) == []


LICENCE = Licence(licence="26-01", trader=TRADER, until=date(2026, 11, 23))


@pytest.mark.parametrize(
    ("held", "course", "reason"),
    [
        ((LICENCE,), "technical L J P R", None),
        ((LICENCE.model_copy(update={"tariff": "8482"}),), "technical L J P R", None),
        ((), "technical L", "licence 26-01 is not one of the trader's"),
        (
            (LICENCE.model_copy(update={"trader": BROKER}),),
            "technical L",
            "licence 26-01 is not one of the trader's",
        ),
        (
            (LICENCE.model_copy(update={"until": date(2026, 11, 22)}),),
            "technical L",
            "licence 26-01 ended on 2026-11-22",
        ),
        (
            (LICENCE.model_copy(update={"tariff": "84821"}),),
            "technical L",
            "licence 26-01 is for other goods (84821)",
        ),
    ],
)
def test_a_licence_matches_by_trader_day_and_goods(
    customs: ReferenceCustoms, ledger: Ledger, held: tuple[Licence, ...], course: str, reason: str | None
) -> None:
    enter(ledger, Kind.LICENCES, *held)
    sent("C-1", licences="26-01", goods="8482200000 7326909000", trader_code=TRADER).to(customs)

    assert answers_of(customs) == course
    assert [declaration.reason for declaration in ledger.waiting()] == ([] if reason is None else [reason])


def test_every_licence_must_match_and_the_declarant_reads_which_does_not(
    customs: ReferenceCustoms, ledger: Ledger
) -> None:
    enter(ledger, Kind.LICENCES, LICENCE)
    sent("C-1", licences="26-01 26-02 26-03", trader_code=TRADER).to(customs)

    assert answers_of(customs) == "technical L"
    assert "26-02" in notes(customs)[-1]
    assert "26-03" in notes(customs)[-1]
    assert "26-01" not in notes(customs)[-1]


def test_a_licence_that_comes_later_ends_no_review_that_a_person_has(
    customs: ReferenceCustoms, ledger: Ledger
) -> None:
    sent("C-1", licences="26-01", trader_code=TRADER).to(customs)
    enter(ledger, Kind.LICENCES, LICENCE)

    assert waits(ledger) == [WaitReason.REVIEW]
    sent("C-2", licences="26-01", trader_code=TRADER).to(customs)
    assert answers_of(customs) == "technical L technical L J P R"


def test_unpaid_duty_alone_is_asked_for_and_a_payment_releases(
    customs: ReferenceCustoms, ledger: Ledger
) -> None:
    enter(ledger, Kind.DUTIES, duty("84", rate="8"))
    sent("C-1", goods="8482102000", total="1250").to(customs)
    assert answers_of(customs) == "technical L J T"
    assert notes(customs)[-1] == "需交税费：合计 100.00（按申报币制计）"
    (queued,) = ledger.waiting()
    assert (queued.waits, queued.due) == (WaitReason.DUTY, Decimal("100.00"))

    enter(ledger, Kind.PAYMENTS, payment("another", "500"))
    enter(ledger, Kind.PAYMENTS, payment(entry_of(customs), "99.99", "P-2"))
    assert waits(ledger) == [WaitReason.DUTY]
    enter(ledger, Kind.PAYMENTS, payment(entry_of(customs), "0.01", "P-3"))
    assert answers_of(customs) == "technical L J T P R"
    assert waits(ledger) == []


@pytest.mark.parametrize(
    ("duties", "due"),
    [
        ((), "0.00"),
        ((duty("9999", rate="10"),), "0.00"),
        ((duty("84", rate="10"),), "100.00"),
        ((duty("84", rate="10"), duty("848210", rate="0.5")), "5.00"),
        ((duty("84", rate="3"), duty("73", rate="7")), "70.00"),
        ((duty("8482", amount="12.5"), duty("73", rate="1")), "22.50"),
    ],
)
def test_duty_is_by_the_longest_prefix_of_each_tariff_code_and_the_highest_rate(
    customs: ReferenceCustoms, ledger: Ledger, duties: tuple[Duty, ...], due: str
) -> None:
    enter(ledger, Kind.DUTIES, *duties)
    sent("C-1", goods="8482102000 7326909000", total="1000").to(customs)

    owed = [f"{declaration.due}" for declaration in ledger.waiting()]
    assert (owed or ["0.00"]) == [due]


@pytest.mark.parametrize("name", ["seq_no", "reference"])
def test_duty_that_is_paid_before_is_not_asked_for(
    customs: ReferenceCustoms, ledger: Ledger, name: str
) -> None:
    enter(ledger, Kind.DUTIES, duty("84", amount="30"))
    sent("C-1", Operation.SAVE).to(customs)
    saved = values(given_answers(customs)[0])
    enter(ledger, Kind.PAYMENTS, payment({"seq_no": saved["SeqNo"], "reference": "C-1"}[name], "30"))

    sent("C-1", goods="8482102000").to(customs)
    assert answers_of(customs) == "technical technical L J P R"


def test_doubt_and_unpaid_duty_wait_for_a_person_who_asks_for_the_duty(
    customs: ReferenceCustoms, ledger: Ledger
) -> None:
    enter(ledger, Kind.DUTIES, duty("84", amount="30"))
    waiting = sent("C-1", goods="8482102000", licences="26-01", trader_code=TRADER)
    waiting.to(customs)
    enter(ledger, Kind.PAYMENTS, payment("C-1", "10"))
    assert waits(ledger) == [WaitReason.REVIEW]

    decide(ledger, waiting.key, OfficerAct.DUTY, actor="officer", reason="请补缴", now=NOW)
    assert [declaration.due for declaration in ledger.waiting()] == [Decimal(30)]
    enter(ledger, Kind.PAYMENTS, payment("C-1", "20", "P-2"))
    assert answers_of(customs) == "technical L T P R"


def test_duty_that_a_reference_forces_is_paid_with_any_payment(
    customs: ReferenceCustoms, ledger: Ledger
) -> None:
    sent("DUTY-1").to(customs)
    enter(ledger, Kind.PAYMENTS, payment("DUTY-1", "0"))
    assert waits(ledger) == [WaitReason.DUTY]

    enter(ledger, Kind.PAYMENTS, payment("DUTY-1", "1"))
    assert answers_of(customs) == "technical L J T P R"


def test_a_payment_that_is_corrected_or_read_in_again_counts_once(
    customs: ReferenceCustoms, ledger: Ledger
) -> None:
    for amount in ("10", "10", "15"):
        enter(ledger, Kind.PAYMENTS, payment("C-1", amount))
    assert ledger.records.paid(("C-1", "", "")) == 15


def test_a_manual_is_looked_at_once_the_ledger_holds_any(customs: ReferenceCustoms, ledger: Ledger) -> None:
    sent("C-1", manual_no="B1", trader_code=TRADER).to(customs)
    enter(ledger, Kind.MANUALS, Manual(manual="B2", trader=TRADER, until=date(2026, 12, 31)))
    sent("C-2", manual_no="B1", trader_code=TRADER).to(customs)
    sent("C-3", manual_no="B2", trader_code=TRADER).to(customs)
    sent("C-4", trader_code=TRADER).to(customs)

    assert [(declaration.submission.reference, declaration.reason) for declaration in ledger.waiting()] == [
        ("C-2", "manual B1 is not one of the trader's")
    ]


def test_a_manifest_is_looked_at_once_the_ledger_holds_any(customs: ReferenceCustoms, ledger: Ledger) -> None:
    sent("C-1", bill_no="BL1", packages="10", gross_weight="108.00").to(customs)
    enter(ledger, Kind.MANIFESTS, Manifest(bill="BL2", packages=10, gross_weight=Decimal(108)))
    sent("C-2", bill_no="BL1", packages="10", gross_weight="108.00").to(customs)
    sent("C-3", bill_no="BL2", packages="10", gross_weight="108.00").to(customs)
    sent("C-4", bill_no="BL2", packages="9", gross_weight="108").to(customs)
    sent("C-5", packages="10", gross_weight="108.00").to(customs)

    assert [(declaration.submission.reference, declaration.reason) for declaration in ledger.waiting()] == [
        ("C-2", "there is no manifest for BL1"),
        ("C-4", "the manifest of BL2 says 10 packages, 108 kg"),
    ]


def test_documents_that_were_asked_for_release_the_declaration(customs: ReferenceCustoms) -> None:
    declared = sent("SUPPLEMENT-1")
    declared.to(customs)
    package = sent("D-1", subject=DOCUMENTS, entry_id=entry_of(customs))

    assert package.to(customs) == (Outcome.TAKEN, "")
    assert answers_of(customs) == "technical L Sp1 P R"
    assert {answer.key for answer in given_answers(customs)} == {declared.key}
    assert package.to(customs) == (Outcome.TAKEN, "taken before")
    assert answers_of(customs) == "technical L Sp1 P R"


@pytest.mark.parametrize("number", ["entry_id", "seq_no", "client_reference", "linked"])
def test_documents_find_their_declaration_by_each_of_its_numbers(
    customs: ReferenceCustoms, number: str
) -> None:
    declared = sent("SUPPLEMENT-1", trader_code=TRADER)
    declared.to(customs)
    answer = values(given_answers(customs)[-1])
    numbers = {
        "entry_id": answer["ENTRY_ID"],
        "seq_no": answer["CUS_CIQ_NO"],
        "client_reference": "SUPPLEMENT-1",
    }
    named = Subject(DOCUMENTS.family, DOCUMENTS.type, {number: numbers.get(number, "")})
    linked = declared.key if number == "linked" else None
    sent("D-1", subject=named, party=TRADER, linked=linked).to(customs)
    assert answers_of(customs) == "technical L Sp1 P R"


def test_documents_of_a_stranger_do_not_find_a_declaration_by_its_reference(
    customs: ReferenceCustoms, ledger: Ledger
) -> None:
    sent("SUPPLEMENT-1").to(customs)
    sent("D-1", subject=DOCUMENTS, party="5301980009", client_reference="SUPPLEMENT-1").to(customs)
    assert waits(ledger) == [WaitReason.SUPPLEMENT]


def test_documents_go_to_a_person_where_the_reference_says_so(
    customs: ReferenceCustoms, ledger: Ledger
) -> None:
    sent("SUPPLEMENT-HAND-1").to(customs)
    sent("D-1", subject=DOCUMENTS, client_reference="SUPPLEMENT-HAND-1").to(customs)

    assert answers_of(customs) == "technical L Sp1"
    assert [(declaration.waits, declaration.reason) for declaration in ledger.waiting()] == [
        (WaitReason.REVIEW, "the documents that were asked for have come")
    ]


@pytest.mark.parametrize("reference", ["C-1", "INSPECT-1", "DUTY-1"])
def test_documents_that_nobody_asked_for_are_stored_and_change_nothing(
    customs: ReferenceCustoms, ledger: Ledger, reference: str
) -> None:
    declared = sent(reference)
    declared.to(customs)
    before = given_answers(customs), waits(ledger)
    package = sent("D-1", subject=DOCUMENTS, client_reference=reference)

    assert package.to(customs)[0] is Outcome.TAKEN
    assert (given_answers(customs), waits(ledger)) == before
    assert ledger.papers.has(package.key)


def test_agreement_notices_are_taken_and_stored_and_not_answered(
    customs: ReferenceCustoms, ledger: Ledger
) -> None:
    notice = sent("N-1", subject=NOTICE)

    assert notice.to(customs) == (Outcome.TAKEN, "")
    assert ledger.papers.has(notice.key)
    assert given_answers(customs) == []
