"""What a notice of the association changes, and who is told of it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.store.tables.messages import agreement_acts, agreements
from gateway.model.agreements import PROPOSED, Act, Agreement, AgreementKind, AgreementState, Told
from gateway.model.faults import Fault
from gateway.model.message import ReceiptKind
from gateway.model.parties import ReceiptForm
from gateway.model.states import Event, State
from tests.support.association import ACCOUNT, agreement, signed_notice
from tests.support.declarations import enterprise
from tests.support.desk import NOW, Desk

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


NOBODY = "9999999999"
OWN = enterprise("broker-aa").code


@pytest.mark.parametrize("act", [PROPOSED, Act.CONFIRMED, Act.AMENDED, Act.TERMINATED])
@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({"valid_from": date(2026, 2, 2), "valid_until": date(2026, 2, 1)}, "valid until 2026-02-01"),
        ({"trader": OWN}, "is trader and broker"),
        ({"trader": NOBODY, "broker": "9999999998"}, "neither 9999999999 nor 9999999998 is registered"),
    ],
    ids=["ends before it begins", "one party", "nobody here"],
)
def test_a_notice_that_makes_no_sense_is_refused_whatever_it_tells(
    desk: Desk, terms: dict[str, Any], told: str, act: Told
) -> None:
    decision = desk.judged(ACCOUNT, "n.xml", signed_notice(desk.home, agreement(NUMBER, **terms), act))
    (found,) = decision.findings
    assert (decision.event, found.code) == (Event.REFUSED, Fault.AGREEMENT_NOTICE.code)
    assert told in found.en
    assert desk.rows(agreements, number=NUMBER) == []


@pytest.mark.parametrize(("ahead", "kept"), [(timedelta(minutes=9), True), (timedelta(minutes=11), False)])
def test_a_notice_may_be_issued_ten_minutes_ahead_of_its_coming(
    desk: Desk, ahead: timedelta, kept: bool
) -> None:
    decision = desk.judged(ACCOUNT, "n.xml", signed_notice(desk.home, agreement(NUMBER), at=NOW + ahead))
    assert (decision.event is Event.KEPT) is kept


def test_a_validity_that_begins_later_is_sound(desk: Desk) -> None:
    later = agreement(NUMBER, valid_from=date(2027, 1, 1))
    assert desk.judged(ACCOUNT, "n.xml", signed_notice(desk.home, later)).event is Event.KEPT


def test_a_second_confirmation_with_other_terms_is_refused_and_with_the_same_is_known(desk: Desk) -> None:
    of = agreement(NUMBER, goods=("8482", "8483"))
    desk.judged(ACCOUNT, "1.xml", signed_notice(desk.home, of))
    same = signed_notice(desk.home, replace(of, goods=("8483", "8482")), id="same")
    other = signed_notice(desk.home, replace(of, goods=("8471",)), id="other")

    known, refused = desk.judged(ACCOUNT, "2.xml", same), desk.judged(ACCOUNT, "3.xml", other)

    assert known.event is Event.KEPT
    assert [found.code for found in refused.findings] == [Fault.AGREEMENT_ACT.code]
    (row,) = desk.rows(agreements, number=NUMBER)
    assert (row["record"]["goods"], row["revision"]) == (["8482", "8483"], 1)


def test_an_agreement_that_is_unused_is_amended(desk: Desk) -> None:
    of = agreement(NUMBER, goods=("8482",))
    desk.judged(ACCOUNT, "1.xml", signed_notice(desk.home, of))
    other = replace(of, goods=("8471",))

    amended = desk.judged(ACCOUNT, "2.xml", signed_notice(desk.home, other, Act.AMENDED))
    again = desk.judged(ACCOUNT, "3.xml", signed_notice(desk.home, other, Act.AMENDED, id="again"))

    assert (amended.event, again.event) == (Event.KEPT, Event.KEPT)
    assert ReceiptKind.AGREEMENT in {each.kind for each in amended.receipts}
    assert [row["act"] for row in desk.rows(agreement_acts, number=NUMBER)] == [Act.CONFIRMED, Act.AMENDED]
    (row,) = desk.rows(agreements, number=NUMBER)
    assert row["record"]["goods"] == ["8471"]


def test_an_agreement_that_is_only_proposed_is_amended_and_stays_so(desk: Desk) -> None:
    of = agreement(NUMBER, goods=("8482",))
    other = replace(of, goods=("8471",))
    acts: list[tuple[Told, Agreement]] = [(PROPOSED, of), (Act.AMENDED, other), (Act.AMENDED, other)]
    for id_, (act, terms) in enumerate(acts):
        decision = desk.judged(ACCOUNT, f"{id_}.xml", signed_notice(desk.home, terms, act, id=f"N{id_}"))
        assert decision.event is Event.KEPT

    (row,) = desk.rows(agreements, number=NUMBER)
    assert (row["state"], row["record"]["goods"], row["revision"]) == ("proposed", ["8471"], 2)
    desk.judged(ACCOUNT, "c.xml", signed_notice(desk.home, other))
    (row,) = desk.rows(agreements, number=NUMBER)
    assert (row["state"], row["record"]["goods"], row["revision"]) == ("in_force", ["8471"], 3)


@pytest.mark.parametrize("ended", [Act.USED, Act.REFUSED, Act.WITHDRAWN, Act.TERMINATED])
def test_what_is_used_or_ended_has_its_terms_for_good(desk: Desk, ended: Act) -> None:
    of = agreement(NUMBER, goods=("8482",))
    desk.judged(ACCOUNT, "1.xml", signed_notice(desk.home, of, ended))
    amended = desk.judged(
        ACCOUNT, "2.xml", signed_notice(desk.home, replace(of, goods=("8471",)), Act.AMENDED)
    )
    assert [found.code for found in amended.findings] == [Fault.AGREEMENT_ACT.code]
    (row,) = desk.rows(agreements, number=NUMBER)
    assert row["record"]["goods"] == ["8482"]
