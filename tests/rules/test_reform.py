"""The reform's tables, cell by cell, as the shipped policy has them (docs/reform.md)."""

from dataclasses import replace
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any, Final

import pytest

from gateway.config.settings import read_policy
from gateway.model.parties import TraderClass
from gateway.model.reform import Due, ReformPolicy, Risk, Traffic
from gateway.rules.documents_due import obligation
from gateway.rules.paperless_eligibility import PaperlessSide, why_not_paperless
from gateway.rules.risk_triage import drawn, triage

TODAY: Final = date(2026, 11, 23)
AA, A_PRODUCING, A, B, C, D = TraderClass
SEA_IMPORT: Final = Traffic(
    paperless=True,
    district="0200",
    direction="I",
    transport="2",
    trade_mode="0110",
    partner="110",
    transit=False,
)


@cache
def shipped() -> ReformPolicy:
    return read_policy("policy.toml", files("config").joinpath("policy.toml").read_text("utf-8")).reform


def side(trader_class: TraderClass | None, *, contract: bool = True) -> PaperlessSide:
    return PaperlessSide(role="trader", code="1", trader_class=trader_class, has_contract=contract)


def codes(traffic: Traffic, day: date, *sides: PaperlessSide) -> list[str]:
    return [refusal.code for refusal in why_not_paperless(traffic, sides, shipped(), day)]


@pytest.mark.parametrize("trader", [AA, A_PRODUCING, A, B])
@pytest.mark.parametrize("broker", [AA, A, B])
def test_classes_down_to_b_may_go_paperless_today(trader: TraderClass, broker: TraderClass) -> None:
    assert codes(SEA_IMPORT, TODAY, side(trader), side(broker)) == []


@pytest.mark.parametrize("trader_class", [C, D, None])
def test_c_and_d_and_unclassed_enterprises_may_not_go_paperless(trader_class: TraderClass | None) -> None:
    (refusal,) = why_not_paperless(SEA_IMPORT, (side(trader_class),), shipped(), TODAY)
    assert refusal.code == "paperless-class"
    assert "GAC 2013 No.19, clause 1(1), since 2013-05-01" in refusal.en
    assert "境内收发货人 1：" in refusal.zh
    assert "海关总署公告2013年第19号第一条第（一）项，自2013年5月1日起施行" in refusal.zh


def test_every_row_names_its_source_in_chinese() -> None:
    reform = shipped()
    tables = (reform.eligible, reform.scope, reform.demand, reform.due, reform.triage, reform.inspection)
    assert all(row.source_zh for table in tables for row in table)


def test_an_enterprise_without_a_class_is_refused_with_that_reason() -> None:
    (refusal,) = why_not_paperless(SEA_IMPORT, (side(None),), shipped(), TODAY)
    assert "trader 1: no class registered" in refusal.en
    assert "网关未登记其企业管理类别，请联系网关值班人员" in refusal.zh


def test_class_b_was_admitted_with_the_second_phase() -> None:
    assert codes(SEA_IMPORT, date(2013, 4, 30), side(B)) == ["paperless-class"]
    assert codes(SEA_IMPORT, date(2013, 5, 1), side(B)) == []


def test_both_sides_need_a_contract_with_the_district() -> None:
    assert codes(SEA_IMPORT, TODAY, side(A, contract=False), side(A)) == ["paperless-contract"]
    both = codes(SEA_IMPORT, TODAY, side(A, contract=False), side(A, contract=False))
    assert both == ["paperless-contract"] * 2


def test_a_paper_entry_is_passed_on_whoever_sends_it() -> None:
    paper = replace(SEA_IMPORT, paperless=False)
    assert codes(paper, TODAY, side(D, contract=False)) == []


# One traffic of each pilot district, and one that the same district did not have (pilot_scope_2012.csv).
PILOT: Final = [
    ("0100", {"transport": "5"}, {"transport": "2"}),
    ("0200", {}, {"direction": "E"}),
    ("2200", {"direction": "E"}, {"transport": "5"}),
    ("2300", {"transport": "Y"}, {}),
    ("2900", {"transit": True}, {}),
    ("3100", {"transit": True}, {}),
    ("3500", {"partner": "TWN"}, {}),
    ("4200", {"direction": "E"}, {}),
    ("5100", {"direction": "E", "transport": "5"}, {}),
    ("5300", {"direction": "E", "transport": "4"}, {"transport": "4"}),
    ("5700", {"transport": "4"}, {"direction": "E", "transport": "4"}),
    ("5200", {"transport": "4", "transit": True}, {"transport": "4"}),
]


@pytest.mark.parametrize(("district", "inside", "outside"), PILOT)
def test_the_pilot_had_one_traffic_in_each_of_twelve_districts(
    district: str, inside: dict[str, Any], outside: dict[str, Any]
) -> None:
    pilot = date(2012, 9, 1)
    assert codes(replace(SEA_IMPORT, district=district, **inside), pilot, side(A)) == []
    refused = codes(replace(SEA_IMPORT, district=district, **outside), pilot, side(A))
    assert refused == ["paperless-scope"]


def test_every_site_of_every_district_was_admitted_with_the_third_phase() -> None:
    elsewhere = replace(SEA_IMPORT, district="9600", transport="3", transit=True)
    assert codes(elsewhere, date(2012, 9, 1), side(A)) == ["paperless-scope"]
    assert codes(elsewhere, date(2014, 4, 1), side(A)) == []


def test_before_the_pilot_nothing_went_paperless() -> None:
    assert codes(SEA_IMPORT, date(2012, 7, 31), side(AA)) == ["paperless-scope", "paperless-class"]


@pytest.mark.parametrize(
    ("trader", "keeps_papers", "due"),
    [
        (AA, True, Due.KEPT),
        (AA, False, Due.AFTER_RELEASE),
        (A_PRODUCING, False, Due.AFTER_RELEASE),
        (A_PRODUCING, True, Due.AFTER_RELEASE),
        (A, False, Due.WITH),
        (B, False, Due.WITH),
        (C, False, Due.WITH),
        (D, False, Due.WITH),
        (None, True, Due.WITH),
    ],
)
def test_documents_are_due_by_the_traders_class(
    trader: TraderClass | None, keeps_papers: bool, due: Due
) -> None:
    assert obligation(SEA_IMPORT, trader, keeps_papers, shipped(), TODAY).due is due


@pytest.mark.parametrize(
    ("changed", "demanded"),
    [
        ({}, ("00000001", "00000004")),
        ({"trade_mode": "0615"}, ("00000001",)),
        ({"direction": "E"}, ()),
        ({"direction": "E", "trade_mode": "0615"}, ()),
        ({"paperless": False}, ()),
    ],
)
def test_only_what_the_table_demands_is_demanded(changed: dict[str, Any], demanded: tuple[str, ...]) -> None:
    owed = obligation(replace(SEA_IMPORT, **changed), B, False, shipped(), TODAY)
    assert owed.documents == demanded


def test_every_missing_document_is_named() -> None:
    owed = obligation(SEA_IMPORT, B, False, shipped(), TODAY)
    assert owed.missing({"00000002"}) == ("00000001", "00000004")
    assert owed.missing({"00000001", "00000004", "00000002"}) == ()


HIGH, LOW, UNKNOWN = Risk.HIGH, Risk.LOW, Risk.UNKNOWN
TRIAGE: Final = [
    (AA, AA, LOW),
    (AA, A, LOW),
    (AA, B, UNKNOWN),
    (AA, C, HIGH),
    (AA, D, HIGH),
    (A_PRODUCING, AA, LOW),
    (A_PRODUCING, A, LOW),
    (A_PRODUCING, A_PRODUCING, LOW),
    (A_PRODUCING, B, UNKNOWN),
    (A_PRODUCING, C, HIGH),
    (A, AA, UNKNOWN),
    (A, D, UNKNOWN),
    (B, AA, UNKNOWN),
    (B, C, UNKNOWN),
    (C, AA, HIGH),
    (D, AA, HIGH),
    (None, None, UNKNOWN),
]


@pytest.mark.parametrize(("trader", "broker", "risk"), TRIAGE)
def test_risk_follows_the_classes_of_trader_and_broker(
    trader: TraderClass | None, broker: TraderClass | None, risk: Risk
) -> None:
    hint = triage("m", trader, broker, shipped(), TODAY)
    assert hint.risk is risk
    assert hint.reasons[0].startswith(f"{risk}: trader {trader or '-'}, broker {broker or '-'}")


@pytest.mark.parametrize(
    ("trader", "rate"),
    [(AA, "low"), (A_PRODUCING, "low"), (A, "normal"), (B, "normal"), (C, "high"), (D, "high")],
)
def test_the_rate_of_inspection_follows_the_traders_class(trader: TraderClass, rate: str) -> None:
    assert triage("m", trader, AA, shipped(), TODAY).inspection == rate


def test_the_drawn_share_is_that_of_the_policy_and_reproducible() -> None:
    policy = shipped().model_copy(update={"unknown_as_high": 0.2})
    messages = [f"message {number}" for number in range(2000)]
    first = [drawn(message, policy) for message in messages]
    assert first == [drawn(message, policy) for message in messages]
    assert 0.15 < sum(first) / len(first) < 0.25
    other = policy.model_copy(update={"seed": "another"})
    assert first != [drawn(message, other) for message in messages]


def test_only_unknown_risk_is_drawn() -> None:
    everyone = shipped().model_copy(update={"unknown_as_high": 1.0})
    assert triage("m", B, B, everyone, TODAY).treated_as is HIGH
    assert triage("m", AA, AA, everyone, TODAY).treated_as is LOW
