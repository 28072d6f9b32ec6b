"""What is said of a party, one thing after another, and the history that it leaves."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.home.ssh_keys import make_ed25519
from gateway.model.parties import (
    Account,
    ClassPeriod,
    Contract,
    Party,
    Period,
    RegisteredCertificate,
    RevokedKey,
    Role,
    SignaturePolicy,
    TraderClass,
)
from gateway.operate.party_changes import AccountRecord, NotPossible, PartyRecord, changed
from gateway.operate.party_keys import key_fingerprint, merged, revoked, with_keys
from tests.support.keys import identity

TODAY = date(2026, 11, 23)
NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
DAY = timedelta(days=1)
PARTY = Party(code="1207960303", scc="91120116MADEM0B11T", name="天津虚构", roles=(Role.TRADER,))
NEW = PartyRecord(place="line 2", code=PARTY.code, scc=PARTY.scc, name=PARTY.name, roles=(Role.TRADER,))
NOTHING = PartyRecord(place="line 2", code=PARTY.code)

near = st.integers(-40, 40).map(lambda days: TODAY + timedelta(days=days))
classes = st.sampled_from(TraderClass)
districts = st.sampled_from(["0200", "2200", "5200"])
party_records = st.builds(
    PartyRecord,
    place=st.just(""),
    code=st.just(PARTY.code),
    trader_class=st.none() | classes,
    since=st.none() | near,
    contracts=st.none() | st.lists(districts, unique=True).map(tuple),
    keeps_papers=st.none() | st.booleans(),
)
# Days on which something is said, in the order of time, as it happens.
course = st.lists(st.tuples(near, party_records), max_size=8).map(
    lambda records: sorted(records, key=lambda one: one[0])
)


def after(course: Iterable[tuple[date, PartyRecord]], party: Party = PARTY) -> Party:
    for today, record in course:
        party = changed(party, record, today)
    return party


@given(course)
def test_on_every_day_at_most_one_class_is_in_force(course: list[tuple[date, PartyRecord]]) -> None:
    party = after(course)

    for offset in range(-60, 61):
        day = TODAY + timedelta(days=offset)
        in_force = [period.trader_class for period in party.classes if period.covers(day)]
        assert in_force in ([], [party.class_on(day)])
        assert sum(period.covers(day) for period in party.keeps_papers) <= 1
        for district in ("0200", "2200", "5200"):
            assert (
                sum(contract.covers(day) for contract in party.contracts if contract.district == district)
                <= 1
            )


@given(course, near, classes)
def test_a_class_given_without_a_day_is_in_force_on_the_day_of_the_import(
    course: list[tuple[date, PartyRecord]], today: date, new_class: TraderClass
) -> None:
    assert after([*course, (today, replace(NOTHING, trader_class=new_class))]).class_on(today) is new_class


@given(course, near, classes)
def test_a_class_given_without_a_day_leaves_the_past_alone(
    course: list[tuple[date, PartyRecord]], today: date, new_class: TraderClass
) -> None:
    before = after(course)
    now = changed(before, replace(NOTHING, trader_class=new_class), today)

    for ago in range(1, 100):
        day = today - timedelta(days=ago)
        assert now.class_on(day) is before.class_on(day)


@given(course, near, party_records)
def test_importing_the_same_again_changes_nothing(
    course: list[tuple[date, PartyRecord]], today: date, record: PartyRecord
) -> None:
    once = changed(after(course), record, today)

    assert changed(once, record, today) == once


@given(course, near, st.lists(districts, unique=True))
def test_the_imported_contracts_are_those_in_force_from_that_day(
    course: list[tuple[date, PartyRecord]], today: date, new_districts: list[str]
) -> None:
    before = after(course)
    now = changed(before, replace(NOTHING, contracts=tuple(new_districts)), today)

    for district in ("0200", "2200", "5200"):
        assert now.has_contract(district, today) is (district in new_districts)
        assert now.has_contract(district, today - DAY) is before.has_contract(district, today - DAY)


@given(course, near)
def test_a_value_that_the_file_leaves_out_stays(course: list[tuple[date, PartyRecord]], today: date) -> None:
    before = after(course)

    assert changed(before, NOTHING, today) == before


def test_the_values_of_a_new_party_hold_for_all_of_the_past() -> None:
    record = replace(NEW, trader_class=TraderClass.AA, contracts=("0200",), keeps_papers=True)
    party = changed(None, record, TODAY)

    assert party.classes == (ClassPeriod(trader_class=TraderClass.AA),)
    assert party.contracts == (Contract(district="0200"),)
    assert party.keeps_papers == (Period(),)


def test_a_class_that_differs_begins_today_and_the_old_one_ends_yesterday() -> None:
    before = changed(None, replace(NEW, trader_class=TraderClass.AA), TODAY)

    assert changed(before, replace(NOTHING, trader_class=TraderClass.B), TODAY).classes == (
        ClassPeriod(trader_class=TraderClass.AA, until=TODAY - DAY),
        ClassPeriod(trader_class=TraderClass.B, since=TODAY),
    )


@pytest.mark.parametrize("days", [-30, 30])
def test_a_different_class_begins_on_the_given_day(days: int) -> None:
    since = TODAY + timedelta(days=days)
    before = changed(None, replace(NEW, trader_class=TraderClass.AA), TODAY)
    now = changed(before, replace(NOTHING, trader_class=TraderClass.B, since=since), TODAY)

    assert now.class_on(since - DAY) is TraderClass.AA
    assert now.class_on(since) is TraderClass.B


def test_a_class_that_is_in_force_goes_on_whatever_day_is_given() -> None:
    before = changed(None, replace(NEW, trader_class=TraderClass.AA), TODAY)
    again = replace(NOTHING, trader_class=TraderClass.AA, since=date(2014, 7, 1))

    assert changed(before, again, TODAY) == before


def test_a_history_that_is_given_in_full_replaces_the_old_one() -> None:
    before = changed(None, replace(NEW, trader_class=TraderClass.AA), TODAY)
    a = ClassPeriod(trader_class=TraderClass.A, since=date(2012, 1, 1), until=date(2014, 6, 30))
    b = ClassPeriod(trader_class=TraderClass.B, since=date(2014, 7, 1))

    assert changed(before, replace(NOTHING, classes=(b, a)), TODAY).classes == (a, b)


def test_a_history_that_overlaps_is_refused() -> None:
    a = ClassPeriod(trader_class=TraderClass.A)
    b = ClassPeriod(trader_class=TraderClass.B, since=TODAY)

    for before in (None, PARTY):
        with pytest.raises(NotPossible, match=f"class: two periods overlap on {TODAY}"):
            changed(before, replace(NEW, classes=(a, b)), TODAY)


def test_contracts_with_days_and_without_stand_side_by_side() -> None:
    dated = Contract(district="2200", since=date(2027, 1, 1), until=date(2027, 12, 31))
    party = changed(PARTY, replace(NOTHING, contracts=("0200", dated)), TODAY)

    assert party.contracts == (Contract(district="0200", since=TODAY), dated)
    with pytest.raises(NotPossible, match="2200 stands there with and without dates"):
        changed(PARTY, replace(NOTHING, contracts=("2200", dated)), TODAY)


def test_a_party_stops_keeping_documents_on_the_day_of_the_import() -> None:
    keeps = changed(PARTY, replace(NOTHING, keeps_papers=(Period(since=date(2020, 1, 1)),)), TODAY)
    stopped = changed(keeps, replace(NOTHING, keeps_papers=False), TODAY)

    assert stopped.keeps_papers == (Period(since=date(2020, 1, 1), until=TODAY - DAY),)


@pytest.mark.parametrize(
    ("missing", "record"),
    [
        ("scc", replace(NEW, scc=None)),
        ("name", replace(NEW, name=None)),
        ("role", replace(NEW, roles=None)),
    ],
)
def test_a_new_party_needs_its_names_and_its_role(missing: str, record: PartyRecord) -> None:
    with pytest.raises(NotPossible, match=f"a new party needs {missing}") as refusal:
        changed(None, record, TODAY)

    assert refusal.value.field == missing


def test_fields_without_a_history_have_their_last_imported_value() -> None:
    record = replace(
        NOTHING,
        scc="91310115MADEM0A237",
        name="另一名称",
        roles=(Role.BROKER,),
        signature=SignaturePolicy.REQUIRED,
        kept_before_reform=True,
        confirms_automatically=("1207980011",),
        places=("一号库",),
    )
    party = changed(PARTY, record, TODAY)

    assert (party.scc, party.name, party.roles) == (record.scc, record.name, record.roles)
    assert party.signature is SignaturePolicy.REQUIRED
    assert party.kept_before_reform
    assert party.confirms_automatically == ("1207980011",)
    assert party.places == ("一号库",)


def test_keys_are_added_and_a_revoked_one_does_not_come_back() -> None:
    old, revoked, new = (make_ed25519()[1] for _ in range(3))
    account = Account(name="someone", keys=(old,), revoked_keys=(RevokedKey(line=revoked, revoked_at=NOW),))
    record = AccountRecord(name="someone", keys=(f"{old} same key", revoked, new), max_files=7)
    party = changed(replace(PARTY, account=account), replace(NOTHING, account=record), TODAY)

    assert party.account is not None
    assert party.account.keys == (old, new)
    assert party.account.max_files == 7


def test_an_account_keeps_its_name() -> None:
    party = replace(PARTY, account=Account(name="someone", keys=()))

    with pytest.raises(NotPossible, match="the party has the account someone"):
        changed(party, replace(NOTHING, account=AccountRecord(name="another")), TODAY)


def test_a_revocation_of_a_certificate_stands_and_the_earliest_counts() -> None:
    registered = identity("p-256").registered
    earlier = replace(registered, revoked_at=NOW - DAY)
    party = replace(PARTY, certificates=(replace(registered, revoked_at=NOW),))

    again = changed(party, replace(NOTHING, certificates=(registered,)), TODAY)
    assert again == party
    assert changed(again, replace(NOTHING, certificates=(earlier,)), TODAY).certificates == (earlier,)


def test_certificates_are_compared_by_what_they_certify_and_not_by_how_they_are_written() -> None:
    pem = identity("p-256").certificate_pem

    assert len(merged([RegisteredCertificate(pem=text) for text in (pem, pem.replace("\n", "\r\n"))])) == 1


def test_a_key_and_a_certificate_are_revoked_by_their_fingerprints() -> None:
    key, other = make_ed25519()[1], make_ed25519()[1]
    account = with_keys(Account(name="someone", keys=()), (key, other))
    party = replace(PARTY, account=account, certificates=(identity("p-256").registered,))

    without_key = revoked(party, key_fingerprint(key), NOW)
    assert without_key.account == replace(
        account, keys=(other,), revoked_keys=(RevokedKey(line=key, revoked_at=NOW),)
    )
    hex_ = identity("p-256").fingerprint.upper()
    pairs = ":".join(hex_[at : at + 2] for at in range(0, 64, 2))
    (certificate,) = revoked(party, pairs, NOW).certificates
    assert certificate.revoked_at == NOW


def test_a_key_that_is_not_in_use_cannot_be_revoked() -> None:
    registered = replace(identity("p-256").registered, revoked_at=NOW)

    for fingerprint in (identity("p-256").fingerprint, "SHA256:none", ""):
        with pytest.raises(KeyError):
            revoked(replace(PARTY, certificates=(registered,)), fingerprint, NOW)
