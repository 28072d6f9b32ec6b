"""Agency mandates and agreements: what may happen to them, and what they cover."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.agreements import (
    LIFE,
    Act,
    Agreement,
    AgreementKind,
    AgreementState,
    IllegalAct,
    RegisteredAgreement,
    after,
)
from gateway.rules.agency_coverage import Shipment, covering, refusal, why_not

DAY: Final = date(2026, 11, 2)
AGREEMENT: Final = Agreement(
    number="195200016172325",
    kind=AgreementKind.PER_SHIPMENT,
    trader="1207940101",
    broker="1207980011",
    state=AgreementState.IN_FORCE,
    valid_from=DAY - timedelta(days=10),
    valid_until=DAY + timedelta(days=10),
    goods=("8471",),
    offices=("0202",),
    direction="I",
    value=Decimal(1000),
    currency="USD",
)
SHIPMENT: Final = Shipment(
    message="M1",
    trader="1207940101",
    broker="1207980011",
    goods=("8471300000", "9018909919"),
    direction="I",
    office="0202",
    value=Decimal(1000),
    currency="USD",
    day=DAY,
)


def reasons(agreement: Agreement, shipment: Shipment) -> list[str]:
    return [reason.en for reason in why_not(agreement, shipment)]


def test_an_agreement_covers_what_it_was_made_for() -> None:
    assert reasons(AGREEMENT, SHIPMENT) == []


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"trader": "1207940102"}, "other parties"),
        ({"broker": "1207980012"}, "other parties"),
        ({"goods": ("9018909919",)}, "goods 8471"),
        ({"direction": "E"}, "direction I"),
        ({"office": "0203"}, "customs office 0202"),
        ({"value": Decimal("1000.01")}, "value 1000 USD"),
        ({"value": None}, "value 1000 USD"),
        ({"currency": "EUR"}, "value 1000 USD"),
        ({"day": DAY - timedelta(days=11)}, "not before 2026-10-23"),
        ({"day": DAY + timedelta(days=11)}, "until 2026-11-12"),
    ],
)
def test_a_shipment_outside_the_agreement_is_refused_with_the_reason(
    changed: dict[str, Any], reason: str
) -> None:
    assert reasons(AGREEMENT, replace(SHIPMENT, **changed)) == [reason]


@pytest.mark.parametrize("edge", [-10, 10])
def test_the_first_and_the_last_day_are_inside(edge: int) -> None:
    assert reasons(AGREEMENT, replace(SHIPMENT, day=DAY + timedelta(days=edge))) == []


def test_what_an_agreement_leaves_open_is_unrestricted() -> None:
    silent = replace(AGREEMENT, goods=(), offices=(), direction="", value=None, valid_until=None)
    far = replace(SHIPMENT, goods=("0101",), office="9601", direction="E", value=Decimal(10**9))
    assert reasons(silent, replace(far, day=DAY + timedelta(days=9999))) == []


@pytest.mark.parametrize(
    "state", sorted(set(AgreementState) - {AgreementState.IN_FORCE, AgreementState.USED})
)
def test_only_what_is_in_force_covers(state: AgreementState) -> None:
    assert reasons(replace(AGREEMENT, state=state), SHIPMENT) == [state.value]


def test_a_used_agreement_covers_only_the_declaration_that_used_it() -> None:
    used = replace(AGREEMENT, state=AgreementState.USED, used_by="M1")
    assert reasons(used, SHIPMENT) == []
    assert reasons(used, replace(SHIPMENT, message="M2")) == ["used by another declaration"]


def test_the_reason_why_an_agreement_does_not_cover_is_given_in_chinese_too() -> None:
    elsewhere = replace(SHIPMENT, office="0203", direction="E", goods=("0101",))
    problem = refusal(AGREEMENT, why_not(AGREEMENT, elsewhere))
    assert "（限进口；限 0202 海关申报；限商品编号 8471" in problem.zh
    assert "(direction I; customs office 0202; goods 8471" in problem.en


def test_without_a_named_agreement_a_long_term_mandate_suffices() -> None:
    mandate = replace(AGREEMENT, kind=AgreementKind.LONG_TERM, number="1")
    one, other = (
        RegisteredAgreement(agreement=covered, revision=1, message="", name="", sha256="", size=0)
        for covered in (AGREEMENT, mandate)
    )
    assert covering([one, other], SHIPMENT) == other
    assert covering([one], SHIPMENT) is None


def test_a_refusal_names_every_reason() -> None:
    problem = refusal(AGREEMENT, why_not(AGREEMENT, replace(SHIPMENT, office="0203", direction="E")))
    assert problem.code == "agreement-unfit"
    assert "direction I; customs office 0202" in problem.en


def test_every_pair_that_the_table_leaves_out_is_refused() -> None:
    for state in AgreementState:
        for act in Act:
            if act in LIFE[state]:
                assert after(state, act) is LIFE[state][act]
            else:
                with pytest.raises(IllegalAct):
                    after(state, act)


@given(acts=st.lists(st.sampled_from(Act), max_size=30))
def test_no_path_uses_an_agreement_twice_without_freeing_it(acts: list[Act]) -> None:
    state, uses = AgreementState.PROPOSED, 0
    for act in acts:
        try:
            state = after(state, act)
        except IllegalAct:
            continue
        uses += {Act.USED: 1, Act.FREED: -1 if state is AgreementState.IN_FORCE else 0}.get(act, 0)
        assert uses in (0, 1)


@given(acts=st.lists(st.sampled_from(Act), max_size=30), days=st.integers(-40, 40))
def test_no_path_covers_a_shipment_outside_its_dates(acts: list[Act], days: int) -> None:
    state = AgreementState.PROPOSED
    for act in acts:
        if act in LIFE[state]:
            state = LIFE[state][act]
    shipment = replace(SHIPMENT, day=DAY + timedelta(days=days))
    if not reasons(replace(AGREEMENT, state=state, used_by="M1"), shipment):
        assert -10 <= days <= 10
        assert state in (AgreementState.IN_FORCE, AgreementState.USED)
