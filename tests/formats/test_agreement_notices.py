"""Notices of the association: what is written fits the schema, is signed, and is read again."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from adapters.home.clock import utc_now
from gateway.formats import xml
from gateway.formats.agreement_notices import (
    agreement_of_request,
    build_notice,
    proposer_of_request,
    read_notice,
)
from gateway.formats.signatures import verify_enveloped
from gateway.formats.signing import XadesSigner
from gateway.model.agreements import (
    LIFE,
    PROPOSED,
    Act,
    Agreement,
    AgreementKind,
    AgreementNotice,
    AgreementSide,
    AgreementState,
    NoticeAct,
    state_after,
)
from gateway.model.faults import MessageRejected
from tests.support.keys import identity, xmlsec1_accepts
from tests.support.validating import families, judged

ASSOCIATION: Final = identity("p-256", "association")
AT: Final = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
NOTICE_ACTS: Final[list[NoticeAct]] = [PROPOSED, *(act for act in Act if act is not Act.FREED)]
NOTICE: Final = AgreementNotice(
    id="20260000000000001-confirmed",
    act=Act.CONFIRMED,
    at=AT,
    agreement=Agreement(
        number="20260000000000001",
        kind=AgreementKind.PER_SHIPMENT,
        trader="2200910001",
        broker="2200980001",
        state=AgreementState.IN_FORCE,
        valid_from=date(2026, 11, 23),
        valid_until=date(2027, 2, 21),
        goods=("8471", "90"),
        offices=("2248", "0202"),
        direction="I",
        value=Decimal("1000.50"),
        currency="502",
        services="ABH",
        mandate="20260000000000000",
    ),
    proposed_by=AgreementSide.BROKER,
    reason="自动确认",
)

codes = st.text("0123456789", min_size=10, max_size=10)
numbers = st.text("0123456789", min_size=15, max_size=17)
words = st.text("委托协议终止ABC123<&>", max_size=30)
amounts = st.decimals(Decimal("0.01"), Decimal("999999999999"), places=2)
agreements = st.builds(
    Agreement,
    number=numbers,
    kind=st.sampled_from(AgreementKind),
    trader=codes,
    broker=codes,
    state=st.just(AgreementState.PROPOSED),
    valid_from=st.dates(),
    valid_until=st.none() | st.dates(),
    goods=st.lists(st.text("0123456789", min_size=2, max_size=10), max_size=4).map(tuple),
    offices=st.lists(st.text("0123456789", min_size=4, max_size=4), max_size=4).map(tuple),
    direction=st.sampled_from(("", "I", "E")),
    services=st.just("")
    | st.sets(st.sampled_from("ABCDEFGH"), min_size=1).map(lambda letters: "".join(sorted(letters))),
    mandate=st.just("") | numbers,
)


@st.composite
def drawn_notices(draw: st.DrawFn) -> AgreementNotice:
    act = draw(st.sampled_from(NOTICE_ACTS))
    agreement = replace(draw(agreements), state=state_after(act))
    if draw(st.booleans()):
        value = draw(amounts)
        agreement = replace(agreement, value=value, currency=draw(st.sampled_from(("502", "USD"))))
    return AgreementNotice(
        id=draw(st.from_regex(r"[0-9A-Za-z._-]{1,64}", fullmatch=True)),
        act=act,
        at=draw(st.datetimes(datetime(1970, 1, 1), datetime(2900, 1, 1), timezones=st.just(UTC))),  # noqa: DTZ001
        agreement=agreement,
        proposed_by=draw(st.sampled_from(AgreementSide)),
        reason=draw(words),
    )


@given(drawn_notices())
def test_a_written_notice_is_valid_and_can_be_read(notice: AgreementNotice) -> None:
    root = xml.parse(etree.tostring(build_notice(notice)))

    assert families().recognise(root).schema.validate(root)
    assert read_notice(root) == notice


def test_a_signed_notice_is_a_message_like_any_other_and_xmlsec1_accepts_it() -> None:
    body = XadesSigner(ASSOCIATION.key_pem, ASSOCIATION.certificate_pem, utc_now).sign(build_notice(NOTICE))

    validated = judged(body)
    assert (validated.type.family, validated.type.kind) == ("gateway", "agreement-notice")
    assert validated.type.signed
    assert xmlsec1_accepts(body, ASSOCIATION)
    content = verify_enveloped(validated.as_sent, (ASSOCIATION.registered,), AT).root
    assert read_notice(content) == NOTICE
    assert validated.type.facts(content) == {
        "reference": "20260000000000001-confirmed",
        "act": "confirmed",
        "at": "2026-11-23T02:00:00+00:00",
        "number": "20260000000000001",
        "kind": "per-shipment",
        "trader": "2200910001",
        "broker": "2200980001",
        "proposed_by": "broker",
        "valid_from": "2026-11-23",
        "valid_until": "2027-02-21",
        "direction": "I",
        "value": "1000.5",
        "currency": "USD",
        "mandate": "20260000000000000",
        "services": "ABH",
        "reason": "自动确认",
        "goods": "8471 90",
        "offices": "2248 0202",
    }


def test_a_signature_does_not_keep_a_notice_from_being_read() -> None:
    body = XadesSigner(ASSOCIATION.key_pem, ASSOCIATION.certificate_pem, utc_now).sign(build_notice(NOTICE))
    assert read_notice(xml.trusted(body)) == NOTICE


def test_times_are_in_utc() -> None:
    there = replace(NOTICE, at=AT.astimezone(timezone(timedelta(hours=8))))
    assert build_notice(there).findtext("{*}At") == "2026-11-23T02:00:00+00:00"


def test_a_reason_of_nothing_but_white_space_is_left_out() -> None:
    root = build_notice(replace(NOTICE, reason=" \n"))
    assert root.find("{*}Reason") is None


def test_a_notice_is_read_whatever_its_offset_and_white_space() -> None:
    root = build_notice(NOTICE)
    for name, text in {
        "At": " 2026-11-23T10:00:00.5+08:00\n",
        "Act": "\n confirmed ",
        "NoticeId": " N1 ",
    }.items():
        child = root.find(f"{{*}}{name}")
        assert child is not None
        child.text = text
    assert families().recognise(root).schema.validate(root)
    assert read_notice(root) == replace(NOTICE, id="N1", at=AT + timedelta(milliseconds=500))


@pytest.mark.parametrize("act", NOTICE_ACTS)
def test_an_act_of_the_association_leads_to_one_state_and_an_amendment_leaves_it(act: NoticeAct) -> None:
    after = {acts[act] for acts in LIFE.values() if isinstance(act, Act) and act in acts}
    if act is Act.AMENDED:
        assert all(acts.get(Act.AMENDED, state) is state for state, acts in LIFE.items())
        after.remove(AgreementState.PROPOSED)  # the register knows that it is one
    assert {state_after(act)} == after or (act == PROPOSED and state_after(act) is AgreementState.PROPOSED)


@pytest.mark.parametrize(
    "wrong",
    [
        replace(NOTICE, act=Act.TERMINATED),
        replace(NOTICE, act=PROPOSED),
        replace(NOTICE, act=Act.FREED),
        replace(
            NOTICE,
            act=Act.FREED,
            agreement=replace(NOTICE.agreement, state=AgreementState.TERMINATED),
        ),
    ],
    ids=["terminated", "proposed", "freed in force", "freed after its end"],
)
def test_a_notice_that_contradicts_itself_is_not_written(wrong: AgreementNotice) -> None:
    with pytest.raises(ValueError, match="does not tell"):
        build_notice(wrong)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("NoticeId", ""),
        ("NoticeId", "a b"),
        ("Act", "freed"),
        ("At", "2026-11-23T10:00:00"),
        ("At", "2026-11-23T24:00:00Z"),
        ("At", "9999-12-31T23:00:00-14:00"),
        ("Agreement/Number", ""),
        ("Agreement/Kind", "A"),
        ("Agreement/Trader", "22009100"),
        ("Agreement/ProposedBy", "association"),
        ("Agreement/ValidFrom", "2026-11-23Z"),
        ("Agreement/ValidFrom", "0000-01-01"),
        ("Agreement/ValidUntil", ""),
        ("Agreement/ValidUntil", "2026-02-30"),
        ("Agreement/Goods", "84.71"),
        ("Agreement/Office", "22"),
        ("Agreement/Direction", "X"),
        ("Agreement/Value", "0"),
        ("Agreement/Value", "1.00001"),
        ("Agreement/Services", "BA"),
        ("Agreement/Services", "I"),
        ("Reason", ""),
    ],
)
def test_a_notice_of_other_values_is_refused_by_its_schema(path: str, text: str) -> None:
    root = build_notice(NOTICE)
    child = root.find("/".join(f"{{*}}{step}" for step in path.split("/")))
    assert child is not None
    child.text = text

    with pytest.raises(MessageRejected) as refused:
        judged(etree.tostring(root))
    assert {finding.code for finding in refused.value.findings} == {"schema-value"}


def test_a_refused_value_is_explained_in_words() -> None:
    root = build_notice(NOTICE)
    value = root.find("{*}Agreement/{*}Value")
    assert value is not None
    value.text = "0"

    with pytest.raises(MessageRejected) as refused:
        judged(etree.tostring(root))
    (finding,) = refused.value.findings
    assert "Value must be a number above 0 of at most 19 digits" in finding.en
    assert "Value 应为大于 0 的数字" in finding.zh


REQUEST: Final = {
    "cop_code": "2200980001",
    "trader_code": "2200910001",
    "agent_code": "2200980001",
    "goods_code": "8471300000",
    "total": "1000.5000",
    "currency": "502",
    "ie_date": "20261130",
}
ASKED: Final = Agreement(
    number="20260000000000001",
    kind=AgreementKind.PER_SHIPMENT,
    trader="2200910001",
    broker="2200980001",
    state=AgreementState.PROPOSED,
    valid_from=date(2026, 11, 23),
    valid_until=date(2026, 12, 14),
    goods=("8471300000",),
    value=Decimal("1000.5"),
    currency="502",
)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, {}),
        # An amount of no currency limits nothing.
        ({"currency": ""}, {"value": None, "currency": ""}),
        ({"ie_date": "99991231"}, {"valid_until": date.max}),
        # One for goods that moved long ago must not be out of date from the start.
        ({"ie_date": "20200101"}, {"valid_until": date(2026, 12, 7)}),
    ],
)
def test_a_request_becomes_an_agreement_for_one_shipment(
    facts: dict[str, str], expected: dict[str, Any]
) -> None:
    facts_given = {name: fact for name, fact in (REQUEST | facts).items() if fact}
    made = agreement_of_request(facts_given, "20260000000000001", date(2026, 11, 23), 14)
    assert made == replace(ASKED, **expected)


@pytest.mark.parametrize(
    ("sender", "side"), [("2200980001", AgreementSide.BROKER), ("2200910001", AgreementSide.TRADER)]
)
def test_the_sender_of_a_request_proposes(sender: str, side: AgreementSide) -> None:
    assert proposer_of_request(REQUEST | {"cop_code": sender}) is side
