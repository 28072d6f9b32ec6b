"""Eligibility and documents due: who may go paperless, with what, by the register on the day of receipt."""

from dataclasses import replace
from datetime import date
from typing import Any, Final

import pytest

from adapters.store.tables.messages import obligations
from gateway.model.decision import Decision
from gateway.model.faults import Fault
from gateway.model.parties import ClassPeriod, Contract, Period, TraderClass
from gateway.model.reform import Due
from gateway.model.states import Event
from tests.support.declarations import CONTRACT, INVOICE, PACKING_LIST, Declaration, Document, enterprise
from tests.support.harness import NOW, Harness
from tests.support.pdfs import pdf
from tests.support.rendering import packed

AA, A_PRODUCING, A, B, C, D = TraderClass
# What the day of receipt is in China, where it is four hours after midnight UTC plus eight.
TODAY: Final = date(2026, 11, 23)
YESTERDAY, TOMORROW = date(2026, 11, 22), date(2026, 11, 24)


def declared(
    harness: Harness, trader: str = "trader-b", *documents: str, agent: str = "", **changes: Any
) -> Decision:
    """By the trader itself unless an agent is named; `documents` are classes, each with a file."""
    declaration = Declaration(
        agent=enterprise(agent or trader),
        trader=enterprise(trader),
        documents=tuple(Document(code=code, body=pdf(text=code)) for code in documents),
    )
    return harness.judged(agent or trader, "a.zip", packed(replace(declaration, **changes)))


def refusal(decision: Decision) -> list[tuple[str, str]]:
    """Codes and the detail of each, in English."""
    assert decision.event is Event.REFUSED
    return [(finding.code, finding.en) for finding in decision.findings]


def owed(harness: Harness, decision: Decision) -> tuple[str, list[str], list[str]]:
    assert decision.event is Event.PASSED
    (row,) = harness.rows(obligations, message=decision.message)
    return row["due"], row["documents"], row["missing"]


def test_documents_due_with_the_declaration_are_all_named_with_their_announcement(harness: Harness) -> None:
    (invoice, contract) = refusal(declared(harness))
    assert (invoice[0], contract[0]) == (Fault.DOCUMENTS_DUE.code, Fault.DOCUMENTS_DUE.code)
    assert "00000001 invoice; GAC 2014 No.25, clause 2(1)2, since 2014-04-01" in invoice[1]
    assert "00000004 contract; GAC 2014 No.25, clause 2(1)2" in contract[1]


def test_the_refusal_names_them_in_chinese_too(harness: Harness) -> None:
    (invoice, contract) = declared(harness).findings
    assert "发票（00000001）。请补入随附单据后重发。依据：海关总署公告2014年第25号第二条" in invoice.zh
    assert "合同（00000004）" in contract.zh


def test_only_what_is_missing_is_named(harness: Harness) -> None:
    ((code, text),) = refusal(declared(harness, "trader-b", INVOICE, PACKING_LIST))
    assert code == Fault.DOCUMENTS_DUE.code
    assert "contract" in text


def test_a_declaration_with_its_documents_passes_and_owes_nothing(harness: Harness) -> None:
    assert owed(harness, declared(harness, "trader-b", INVOICE, CONTRACT)) == (
        Due.WITH,
        [INVOICE, CONTRACT],
        [],
    )


def test_processing_trade_needs_the_invoice_only(harness: Harness) -> None:
    ((_code, text),) = refusal(declared(harness, head={"TradeMode": "0615"}))
    assert "invoice" in text


def test_an_export_needs_none(harness: Harness) -> None:
    assert owed(harness, declared(harness, direction="E")) == (Due.WITH, [], [])


def test_documents_of_the_producing_kind_follow_after_release(harness: Harness) -> None:
    assert owed(harness, declared(harness, "trader-a", INVOICE)) == (
        Due.AFTER_RELEASE,
        [INVOICE, CONTRACT],
        [CONTRACT],
    )


def test_an_enterprise_that_keeps_its_documents_sends_none(harness: Harness) -> None:
    assert owed(harness, declared(harness, "trader-aa"))[0] == Due.KEPT


def test_fitness_to_keep_papers_counts_on_the_day_of_receipt(harness: Harness) -> None:
    harness.change("trader-aa", keeps_papers=(Period(until=YESTERDAY),))
    assert owed(harness, declared(harness, "trader-aa"))[0] == Due.AFTER_RELEASE


def test_a_temporary_save_needs_nothing(harness: Harness) -> None:
    harness.change("trader-b", classes=(ClassPeriod(trader_class=D),), contracts=())
    decision = declared(harness, operation="G")
    assert decision.event is Event.PASSED
    assert harness.rows(obligations, message=decision.message) == []


@pytest.mark.parametrize("trader_class", [C, D])
def test_classes_c_and_d_are_refused_for_paperless_with_the_source_of_the_rule(
    harness: Harness, trader_class: TraderClass
) -> None:
    harness.change("trader-b", classes=(ClassPeriod(trader_class=trader_class),))
    code = enterprise("trader-b").code
    ((fault, text),) = refusal(declared(harness, "trader-b", INVOICE, CONTRACT))
    assert fault == Fault.PAPERLESS_CLASS.code
    assert f"trader {code}: class {trader_class}; GAC 2013 No.19, clause 1(1), since 2013-05-01" in text


@pytest.mark.parametrize("trader_class", [C, D])
def test_the_same_on_paper_is_passed_on_and_owes_nothing_electronic(
    harness: Harness, trader_class: TraderClass
) -> None:
    harness.change("trader-b", classes=(ClassPeriod(trader_class=trader_class),), contracts=())
    assert owed(harness, declared(harness, entry_type="0")) == (Due.KEPT, [], [])


def test_a_broker_must_be_of_a_class_that_may_go_paperless_too(harness: Harness) -> None:
    harness.change("broker-b", classes=(ClassPeriod(trader_class=C),))
    ((fault, text),) = refusal(declared(harness, "trader-a", agent="broker-b"))
    assert fault == Fault.PAPERLESS_CLASS.code
    assert f"broker {enterprise('broker-b').code}: class C;" in text


def test_both_need_a_contract_with_the_district_of_the_office(harness: Harness) -> None:
    for account in ("trader-a", "broker-aa"):
        harness.change(account, contracts=(Contract(district="2200"),))
    problem = refusal(declared(harness, "trader-a", agent="broker-aa"))
    assert [code for code, _text in problem] == [Fault.PAPERLESS_CONTRACT.code] * 2
    assert f"trader {enterprise('trader-a').code}: 0200; GAC 2014 No.25, since 2014-04-01" in problem[0][1]
    assert f"broker {enterprise('broker-aa').code}: 0200" in problem[1][1]
    assert declared(harness, "trader-a", agent="broker-aa", office="2248").event is Event.PASSED


def test_class_and_contract_of_the_day_of_receipt_decide(harness: Harness) -> None:
    later = (ClassPeriod(trader_class=B, until=YESTERDAY), ClassPeriod(trader_class=C, since=TODAY))
    harness.change("trader-b", classes=later, contracts=(Contract(district="0200", until=YESTERDAY),))
    problem = refusal(declared(harness, "trader-b", INVOICE, CONTRACT))
    assert [code for code, _text in problem] == [Fault.PAPERLESS_CLASS.code, Fault.PAPERLESS_CONTRACT.code]
    still = (ClassPeriod(trader_class=B, until=TODAY), ClassPeriod(trader_class=C, since=TOMORROW))
    harness.change("trader-b", classes=still, contracts=(Contract(district="0200", until=TODAY),))
    decision = declared(harness, "trader-b", INVOICE, CONTRACT)
    assert decision.event is Event.PASSED
    assert NOW.date() == TODAY


def test_all_reasons_are_given_at_once(harness: Harness) -> None:
    harness.change("trader-b", classes=(ClassPeriod(trader_class=D),), contracts=())
    assert [code for code, _text in refusal(declared(harness))] == [
        Fault.PAPERLESS_CLASS.code,
        Fault.PAPERLESS_CONTRACT.code,
        Fault.DOCUMENTS_DUE.code,
        Fault.DOCUMENTS_DUE.code,
    ]


def test_traffic_outside_the_scope_of_the_day_is_refused_with_the_announcements(harness: Harness) -> None:
    policy = harness.rules.policy
    narrow = tuple(row.model_copy(update={"transport": ("5",)}) for row in policy.reform.scope)
    reform = policy.reform.model_copy(update={"scope": narrow})
    harness.rules = replace(harness.rules, policy=policy.model_copy(update={"reform": reform}))
    ((fault, text),) = refusal(declared(harness, "trader-a"))
    assert fault == Fault.PAPERLESS_SCOPE.code
    assert "0200 I 2, 2026-11-23: GAC 2014 No.25, since 2014-04-01" in text


def test_a_trader_that_is_not_registered_may_not_go_paperless(harness: Harness) -> None:
    stranger = replace(enterprise("trader-a"), code="1111960099", scc="91110000MA00000000")
    decision = harness.judged("broker-aa", "a.zip", packed(Declaration(trader=stranger)))
    assert decision.event is Event.REFUSED
    assert {Fault.PAPERLESS_CLASS.code, Fault.PAPERLESS_CONTRACT.code} <= {
        finding.code for finding in decision.findings
    }
