"""What a notice of the association changes, and who is told of it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.stores.tables import agreement_acts, agreements
from gateway.agreements import PROPOSED, Act, AgreementKind, AgreementState
from gateway.message import ReceiptKind
from gateway.parties import ReceiptForm
from gateway.states import Event, State
from tests.association import ACCOUNT, agreement, signed_notice
from tests.desk import Desk

NUMBER = "195200016172325"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk.at(tmp_path / "home") as opened:
        yield opened


@pytest.mark.parametrize("forms", [(ReceiptForm.SINGLE_WINDOW,), (ReceiptForm.GATEWAY,)])
def test_both_sides_are_told_whichever_receipts_they_chose(
    desk: Desk, forms: tuple[ReceiptForm, ...]
) -> None:
    for account in ("trader-a", "broker-aa"):
        desk.change_account(account, receipts=forms)
    body = signed_notice(desk.home, agreement(NUMBER))

    decision = desk.judged(ACCOUNT, "confirmed.xml", body)

    own, *others = decision.receipts
    assert (own.account, own.final) == (ACCOUNT, True)
    assert {each.account for each in others} == {"trader-a", "broker-aa"}
    assert {(each.kind, each.body, each.final) for each in others} == {(ReceiptKind.AGREEMENT, body, False)}


def test_a_side_without_an_account_is_told_nothing(desk: Desk) -> None:
    desk.change("trader-a", account=None)

    decision = desk.judged(ACCOUNT, "confirmed.xml", signed_notice(desk.home, agreement(NUMBER)))

    assert [each.account for each in decision.receipts] == [ACCOUNT, "broker-aa"]


def test_a_notice_that_tells_what_is_known_is_accepted_and_told_to_nobody(desk: Desk) -> None:
    desk.judged(ACCOUNT, "confirmed.xml", signed_notice(desk.home, agreement(NUMBER)))

    # Overtaken on its way by the confirmation.
    late = desk.judged(ACCOUNT, "late.xml", signed_notice(desk.home, agreement(NUMBER), PROPOSED))

    assert (late.event, late.submissions) == (Event.KEPT, ())
    assert [each.account for each in late.receipts] == [ACCOUNT]
    assert desk.message(late.message)["state"] == State.CLOSED
    assert [row["act"] for row in desk.rows(agreement_acts, number=NUMBER)] == [Act.CONFIRMED]


def test_the_number_of_a_notice_is_taken_also_where_it_goes_to_nobody_else(desk: Desk) -> None:
    of = agreement(NUMBER)
    once = desk.judged(ACCOUNT, "once.xml", signed_notice(desk.home, of))

    other = replace(of, goods=("8471",))
    decision = desk.judged(ACCOUNT, "other.xml", signed_notice(desk.home, other, id=f"{NUMBER}-confirmed"))

    assert once.event is Event.KEPT
    assert [found.code for found in decision.findings] == ["duplicate-reference"]
    (row,) = desk.rows(agreements, number=NUMBER)
    assert row["state"] == AgreementState.IN_FORCE


def test_a_long_term_mandate_stays_in_force_when_the_association_tells_that_it_was_used(desk: Desk) -> None:
    mandate = agreement("20269000001", kind=AgreementKind.LONG_TERM)
    for act in (Act.CONFIRMED, Act.USED):
        desk.judged(ACCOUNT, f"{act}.xml", signed_notice(desk.home, mandate, act))
    (row,) = desk.rows(agreements, number=mandate.number)
    assert (row["state"], row["revision"]) == (AgreementState.IN_FORCE, 1)
    unknown = agreement("20269000002", kind=AgreementKind.LONG_TERM)
    desk.judged(ACCOUNT, "used.xml", signed_notice(desk.home, unknown, Act.USED))
    (row,) = desk.rows(agreements, number=unknown.number)
    assert row["state"] == AgreementState.IN_FORCE


def test_a_party_that_is_both_sides_of_an_agreement_is_told_once(desk: Desk) -> None:
    code = desk.party("broker-aa").code
    body = signed_notice(desk.home, agreement("20269000003", trader=code, broker=code))
    decision = desk.judged(ACCOUNT, "both.xml", body)
    assert [r.account for r in decision.receipts if r.kind is ReceiptKind.AGREEMENT] == ["broker-aa"]
