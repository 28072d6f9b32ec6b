"""What a party is asked as of a day, and the codes that it is known by."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from gateway.families.rule_functions import is_organisation_code, is_scc
from gateway.model.china import china_date
from gateway.model.parties import ClassPeriod, Contract, Party, Period, Role, TraderClass, district_of

DAY = timedelta(days=1)
PARTY = Party(
    code="1207960303",
    scc="91120116MADEM0B11T",
    name="天津虚构进出口贸易有限公司",
    roles=(Role.TRADER,),
    classes=(
        ClassPeriod(trader_class=TraderClass.A, since=date(2012, 1, 1), until=date(2014, 6, 30)),
        ClassPeriod(trader_class=TraderClass.AA, since=date(2014, 7, 1)),
    ),
    contracts=(
        Contract(district="0200", since=date(2012, 8, 1), until=date(2013, 7, 31)),
        Contract(district="2200"),
    ),
    keeps_papers=(Period(since=date(2015, 1, 1), until=date(2015, 12, 31)),),
)


def test_a_class_is_in_force_from_its_first_day_to_its_last() -> None:
    classes = {day: PARTY.class_on(day) for day in (date(2011, 12, 31), date(2012, 1, 1), date(2014, 6, 30))}

    assert list(classes.values()) == [None, TraderClass.A, TraderClass.A]
    assert PARTY.class_on(date(2014, 7, 1)) is TraderClass.AA
    assert PARTY.class_on(date.max) is TraderClass.AA


def test_a_contract_holds_for_its_district_and_its_days() -> None:
    assert not PARTY.has_contract("0200", date(2012, 7, 31))
    assert PARTY.has_contract("0200", date(2012, 8, 1))
    assert PARTY.has_contract("0200", date(2013, 7, 31))
    assert not PARTY.has_contract("0200", date(2013, 8, 1))
    assert PARTY.has_contract("2200", date.min)
    assert not PARTY.has_contract("5200", date(2013, 1, 1))


@pytest.mark.parametrize(("office", "district"), [("0202", "0200"), ("2248", "2200"), ("5200", "5200")])
def test_an_office_is_below_the_district_of_its_first_two_digits(office: str, district: str) -> None:
    assert district_of(office) == district


def test_fitness_to_keep_papers_has_days() -> None:
    days = (date(2014, 12, 31), date(2015, 1, 1), date(2015, 12, 31), date(2016, 1, 1))

    assert [PARTY.keeps_papers_on(day) for day in days] == [False, True, True, False]


def test_two_classes_on_one_day_are_no_party() -> None:
    overlapping = ClassPeriod(trader_class=TraderClass.B, since=date(2014, 6, 30), until=date(2014, 6, 30))

    with pytest.raises(ValueError, match="class: two periods overlap on 2014-06-30"):
        replace(PARTY, classes=(*PARTY.classes, overlapping))


def test_two_contracts_with_one_district_on_one_day_are_no_party() -> None:
    with pytest.raises(ValueError, match="contract with 2200: two periods overlap"):
        replace(PARTY, contracts=(*PARTY.contracts, Contract(district="2200", since=date(2020, 1, 1))))


def test_a_period_without_days_is_none() -> None:
    with pytest.raises(ValueError, match="ends on 2014-06-30, before it begins on 2014-07-01"):
        Period(since=date(2014, 7, 1), until=date(2014, 6, 30))


def test_a_day_in_china_begins_eight_hours_before_it_does_in_utc() -> None:
    midnight = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)

    assert china_date(midnight) == date(2026, 11, 23)
    assert china_date(midnight - timedelta(microseconds=1)) == date(2026, 11, 22)


# GB 32100-2015: 0-9 and capitals without I, O, S, V, Z; the last is the check character.
SOCIAL_CREDIT_CODES = {
    "91350100M000100Y43": True,  # the standard's own example
    "91110000802100433B": True,
    "91440300708461136T": True,
    "91120116MADEM0B11T": True,
    "91120116MADEM0P10U": True,
    "91350100M000100Y44": False,
    "91350100M000100Y4": False,
    "91350100M000100Y430": False,
    "91350100M000100I43": False,
    "91350100m000100y43": False,
    "": False,
}


@pytest.mark.parametrize(("code", "right"), SOCIAL_CREDIT_CODES.items())
def test_the_check_character_of_a_social_credit_code(code: str, right: bool) -> None:
    assert is_scc(code) is right


@pytest.mark.parametrize("position", range(17))
def test_one_wrong_character_in_a_social_credit_code_is_noticed(position: int) -> None:
    code = PARTY.scc
    other = "2" if code[position] == "1" else "1"

    assert not is_scc(code[:position] + other + code[position + 1 :])


# GB 11714: the check character is 0-9 or X for 10.
ORGANISATION_CODES = {
    "D2143569X": True,  # the standard's own example
    "802100433": True,
    "708461136": True,
    "MADEM0B11": True,
    "D21435690": False,
    "802100434": False,
    "80210043": False,
    "8021004333": False,
    "d2143569X": False,
    "D2143569x": False,
    "": False,
}


@pytest.mark.parametrize(("code", "right"), ORGANISATION_CODES.items())
def test_the_check_character_of_an_organisation_code(code: str, right: bool) -> None:
    assert is_organisation_code(code) is right
