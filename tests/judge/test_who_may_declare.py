"""Who may send what, and who may stand as the trader of a declaration: by the roles of the register."""

from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from gateway.model.decision import Decision, DeclarationOutcome
from gateway.model.faults import Fault
from gateway.model.parties import Role, SignaturePolicy
from gateway.model.states import Event
from tests.support.agreement_requests import request
from tests.support.association import agreement, signed_notice
from tests.support.declarations import Declaration, Enterprise, enterprise
from tests.support.harness import Harness
from tests.support.judging import families
from tests.support.later_documents import document_package
from tests.support.rendering import render

ROLES = [*combinations(sorted(Role), 1), (Role.BROKER, Role.TRADER), (Role.ASSOCIATION, Role.BROKER)]


def codes(decision: Decision) -> list[str]:
    return [finding.code for finding in decision.findings]


def own(account: str, trader: Enterprise | None = None, **changes: Any) -> bytes:
    """A declaration in which this account's party is the declaring one."""
    agent = enterprise(account)
    return render(replace(Declaration(agent=agent, trader=trader or agent), **changes))


@pytest.mark.parametrize("account", ["association", "customs", "premises"])
def test_neither_association_nor_customs_nor_premises_declare_or_send_documents(
    harness: Harness, account: str
) -> None:
    if account == "association":  # what it sends it signs
        harness.change(account, signature=SignaturePolicy.OPTIONAL)
    declared = harness.judged(account, "a.xml", own(account))
    for_another = harness.judged(account, "b.xml", own(account, enterprise("trader-a")))
    saved = harness.judged(account, "c.xml", own(account, operation="G"))
    documents = harness.judged(account, "d.zip", document_package("ClientSeqNo", "R1", ["00000001"]))
    requested = harness.judged(account, "e.xml", request(account, trader=account))
    for decision in (declared, for_another, saved, documents, requested):
        assert codes(decision) == [Fault.SENDER_ROLE.code], decision.findings


@pytest.mark.parametrize("roles", ROLES, ids="-".join)
def test_one_of_the_roles_that_the_profile_names_suffices(harness: Harness, roles: tuple[Role, ...]) -> None:
    harness.change("trader-a", roles=roles)
    decision = harness.judged("trader-a", "a.xml", own("trader-a"))
    if Role.TRADER in roles:
        assert decision.event is Event.PASSED
    elif Role.BROKER in roles:
        assert codes(decision) == [Fault.TRADER_ROLE.code]
    else:
        assert codes(decision) == [Fault.SENDER_ROLE.code]
    notice = signed_notice(harness.home, agreement(), account="trader-a")
    judgement = harness.judged("trader-a", "notice.xml", notice)
    allowed = Role.ASSOCIATION in roles
    assert (judgement.event is Event.ACCEPTED_NO_DELIVERY) is allowed
    assert codes(judgement) == ([] if allowed else [Fault.NOT_ASSOCIATION.code])


@pytest.mark.parametrize(
    "head",
    [
        {},
        {"TradeCode": None},
        {"TradeCoScc": None},
        {"TradeCode": None, "TradeCoScc": enterprise("broker-aa").organisation},
    ],
    ids=["both codes", "social credit code", "customs code", "organisation code"],
)
def test_a_broker_that_writes_itself_as_the_trader_is_refused_also_where_it_only_saves(
    harness: Harness, head: dict[str, str | None]
) -> None:
    decision = harness.judged("broker-aa", "a.xml", own("broker-aa", operation="G", head=head))
    assert (decision.event, codes(decision)) == (Event.REFUSED, [Fault.TRADER_ROLE.code])


def test_a_declaration_of_a_broker_for_itself_is_refused(harness: Harness) -> None:
    decision = harness.judged("broker-aa", "a.xml", own("broker-aa"))
    assert (decision.event, codes(decision)) == (Event.REFUSED, [Fault.TRADER_ROLE.code])


def test_another_broker_is_no_trader_either_whatever_mandate_there_is(harness: Harness) -> None:
    decision = harness.judged("broker-aa", "a.xml", own("broker-aa", enterprise("broker-b")))
    assert codes(decision) == [Fault.TRADER_ROLE.code]


def test_a_broker_that_is_a_trader_too_declares_for_itself_without_agency(harness: Harness) -> None:
    harness.change("broker-aa", roles=(Role.BROKER, Role.TRADER))
    decision = harness.judged("broker-aa", "a.xml", own("broker-aa"))
    assert decision.event is Event.PASSED
    assert isinstance(decision.outcome, DeclarationOutcome)
    assert decision.outcome.use is None


def test_a_broker_saves_a_draft_that_names_no_trader_yet(harness: Harness) -> None:
    nobody = {"TradeCode": None, "TradeCoScc": None, "TradeName": None}
    decision = harness.judged("broker-aa", "a.xml", own("broker-aa", operation="G", head=nobody))
    assert decision.event is Event.PASSED


def test_every_type_that_a_party_may_send_says_which_roles_send_it() -> None:
    assert {(type_.name, type_.senders) for type_ in families().types if type_.answer is None} == {
        ("DecMessage", ("trader", "broker")),
        ("DocumentPackage", ("trader", "broker")),
        ("ImportAgrRequest", ("trader", "broker")),
        ("AgreementNotice", ("association",)),
    }
