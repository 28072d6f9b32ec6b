"""Who may send what: the codes in a declaration against the party of the account that sent it."""

import pytest

from gateway.model.faults import Fault
from gateway.model.states import Event
from tests.support.declarations import Declaration, enterprise
from tests.support.harness import Harness
from tests.support.receipts import assert_refusal_is_told
from tests.support.rendering import packed, render

BROKER = enterprise("broker-aa")
OTHER = enterprise("broker-b")
NAMES = ("AgentCode", "AgentCodeScc", "CopCode", "CopCodeScc")
OWN = (BROKER.code, BROKER.scc, BROKER.organisation)
OTHERS = (OTHER.code, OTHER.scc, OTHER.organisation)
NEARLY = (
    BROKER.code[:9],  # 9 characters, but of the customs code
    BROKER.scc[:9],  # 9 characters, but the wrong ones of the credit code
    BROKER.organisation.lower(),
    f"{BROKER.code}0",
    BROKER.scc[:17],
    f"0{BROKER.code}",
    "NO",
)


@pytest.mark.parametrize("name", NAMES)
def test_each_code_may_be_written_in_each_form_that_names_the_sender(name: str, harness: Harness) -> None:
    for number, code in enumerate(OWN):
        declaration = Declaration(reference=f"R{number}", head={name: code})
        decision = harness.judged("broker-aa", "a.zip", packed(declaration))
        assert decision.event is Event.PASSED, code


def test_white_space_around_a_code_does_no_harm(harness: Harness) -> None:
    declaration = Declaration(head={"AgentCode": f" {BROKER.code}\n "})
    assert harness.judged("broker-aa", "a.zip", packed(declaration)).event is Event.PASSED


@pytest.mark.parametrize("name", ["CopCodeScc"])
def test_a_code_that_is_not_required_may_be_left_out(name: str, harness: Harness) -> None:
    for number, value in enumerate((None, "", " ")):
        declaration = Declaration(reference=f"R{number}", head={name: value})
        assert harness.judged("broker-aa", "a.zip", packed(declaration)).event is Event.PASSED


@pytest.mark.parametrize("name", NAMES)
def test_any_code_that_does_not_name_the_sender_is_refused_at_its_place(name: str, harness: Harness) -> None:
    for code in (*OTHERS, *NEARLY):
        declaration = Declaration(head={name: code})
        with harness.nothing_else_touched():
            decision = harness.judged("broker-aa", "a.zip", packed(declaration))
        (finding,) = decision.findings[-1:]
        assert finding.code == Fault.WRONG_PARTY.code, code
        assert finding.place.xpath == f"/DecMessage/DecHead/{name}"
        assert finding.place.file == f"{declaration.reference}.xml"
        assert finding.value == code  # codes of parties are not masked


def test_a_broker_declares_for_traders_whom_it_names_beside_itself(harness: Harness) -> None:
    for account in ("trader-a", "trader-aa"):
        declaration = Declaration(reference=account, agent=BROKER, trader=enterprise(account))
        assert harness.judged("broker-aa", "a.zip", packed(declaration)).event is Event.PASSED


def test_a_trader_may_not_send_what_its_broker_is_to_declare(harness: Harness) -> None:
    declaration = Declaration(agent=BROKER, trader=enterprise("trader-a"))
    with harness.nothing_else_touched():
        decision = harness.judged("trader-a", "a.zip", packed(declaration))
    assert {finding.code for finding in decision.findings} == {Fault.WRONG_PARTY.code}


def test_an_account_of_no_party_is_refused_with_that_reason(harness: Harness) -> None:
    with harness.nothing_else_touched():
        decision = harness.judged("nobody", "a.xml", render(Declaration()))
    assert_refusal_is_told(harness, decision, "a.xml")
    (finding,) = decision.findings
    assert (finding.code, finding.value) == (Fault.ACCOUNT_UNKNOWN.code, "nobody")


def test_an_account_that_was_taken_from_its_party_is_unknown(harness: Harness) -> None:
    harness.change("broker-aa", account=None)
    decision = harness.judged("broker-aa", "a.xml", render(Declaration()))
    assert [finding.code for finding in decision.findings] == [Fault.ACCOUNT_UNKNOWN.code]


def test_a_package_over_the_limit_of_its_account_is_refused(harness: Harness) -> None:
    body = render(Declaration())
    harness.change_account("broker-aa", max_package=len(body) - 1)
    decision = harness.judged("broker-aa", "a.xml", body)
    assert [finding.code for finding in decision.findings] == [Fault.PACKAGE_TOO_LARGE.code]
