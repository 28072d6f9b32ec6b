"""Agency agreements over SFTP, both ways: asked for, proposed, confirmed, used, ended."""

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from lxml import etree
from sqlalchemy import select

from adapters.cli.exit_codes import NO, USAGE
from adapters.store.tables.messages import agreements, deliveries, messages
from gateway.formats.agreement_notices import read_notice
from gateway.formats.xml import trusted
from gateway.model.agreements import Act, Agreement, AgreementState
from tests.support.agreement_requests import request
from tests.support.association import agreement_document, signed_notice
from tests.support.declarations import Declaration, enterprise
from tests.support.rendering import render
from tests.support.served import Gateway

_numbers = count(1)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A running node with the association beside its customs; each test has agreements of its own."""
    with Gateway(tmp_path_factory.mktemp("association")) as running:
        yield running


def unused(kind: str) -> str:
    """A name that no other file and no other declaration has."""
    return f"{kind}{next(_numbers):04}"


def row(gateway: Gateway, statement: Any) -> dict[str, Any]:
    with gateway.reading() as reader:
        row = reader.execute(statement).mappings().first()
    return {} if row is None else dict(row)


def state_of(gateway: Gateway, number: str) -> str | None:
    return row(gateway, select(agreements.c.state).where(agreements.c.number == number)).get("state")


def until_state(gateway: Gateway, number: str, state: AgreementState) -> None:
    gateway.until(lambda: state_of(gateway, number) == state)


def message(gateway: Gateway, name: str, state: str) -> dict[str, Any]:
    """The message that was sent under this file name, once it is in this state."""
    query = select(messages).where(messages.c.name == name, messages.c.kind == "inbound")

    def found_row() -> dict[str, Any] | None:
        present = row(gateway, query.order_by(messages.c.seq.desc()))
        return present if present.get("state") == state else None

    message_row: dict[str, Any] = gateway.until(found_row)
    return message_row


def codes(message: dict[str, Any]) -> list[str]:
    return [finding["code"] for finding in message["findings"]]


def receipt_for(gateway: Gateway, account: str, kind: str, name: str) -> etree._Element:
    """The receipt of a kind for the file of that name, once it is there."""

    def receipt_file() -> str | None:
        return next((file for file in gateway.inbox(account) if file.startswith(f"{kind}_{name}_")), None)

    return trusted(gateway.read(account, f"/InBox/{gateway.until(receipt_file)}"))


def agreement_number(gateway: Gateway, sender: str, **asks: str) -> str:
    """The number of an agreement that the sender asked the association for."""
    name = unused("ASK")
    gateway.send(sender, f"{name}.xml", request(sender, **asks))
    return receipt_for(gateway, sender, "Successed", name).findtext("ConsignNo") or ""


def notices_of(gateway: Gateway, account: str, number: str) -> list[str]:
    """What the account was told of an agreement: the acts, in the order in which they came."""
    names = [name for name in gateway.inbox(account) if name.startswith("Agreement_") and number in name]
    return [act(gateway, account, name) for name in sorted(names, key=lambda file: file.rpartition("_")[2])]


def act(gateway: Gateway, account: str, name: str) -> str:
    return str(read_notice(trusted(gateway.read(account, f"/InBox/{name}"))).act)


def proposal(gateway: Gateway, account: str, number: str) -> Agreement:
    name = f"AgreementNotice_{number}_proposed"
    return read_notice(receipt_for(gateway, account, "Agreement", name)).agreement


def declare(gateway: Gateway, number: str, trader: str = "trader-a") -> str:
    """Sends a declaration of broker-aa that shows an agreement; its file name."""
    reference = unused("DECL")
    declaration = Declaration(
        reference=reference, trader=enterprise(trader), documents=(agreement_document(number),)
    )
    gateway.send("broker-aa", f"{reference}.xml", render(declaration))
    return f"{reference}.xml"


def by_hand(gateway: Gateway, *arguments: str) -> str:
    done = gateway.cli("association", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_agreement_that_a_trader_confirms_automatically_is_in_force_at_once(
    gateway: Gateway,
) -> None:
    number = agreement_number(gateway, "broker-aa", trader="trader-aa")
    until_state(gateway, number, AgreementState.IN_FORCE)

    sent = declare(gateway, number, "trader-aa")

    declaration = message(gateway, sent, "closed")
    assert (codes(declaration), declaration["agreement"]) == ([], number)
    assert state_of(gateway, number) == AgreementState.USED
    again = message(gateway, declare(gateway, number, "trader-aa"), "rejected")
    assert codes(again) == ["agreement-unfit"]


def test_both_sides_get_the_notice_byte_for_byte_and_the_association_its_receipt(gateway: Gateway) -> None:
    number = agreement_number(gateway, "broker-aa")
    notice = message(gateway, f"AgreementNotice_{number}_proposed.xml", "closed")
    assert (notice["account"], notice["channel"]) == ("association", "backend")

    sent = gateway.read("association", f"/SentBox/{notice['name']}")
    for account in ("broker-aa", "trader-a"):
        (name,) = [name for name in gateway.inbox(account) if number in name]
        assert name.startswith(f"Agreement_AgreementNotice_{number}_proposed_")
        assert gateway.read(account, f"/InBox/{name}") == sent
    receipt = receipt_for(gateway, "association", "Gateway", notice["name"].removesuffix(".xml"))
    assert receipt.findtext("{*}Verdict") == "accepted"
    assert not [name for name in gateway.inbox("broker-b") if number in name]


def test_a_declaration_waits_for_the_other_side_and_goes_on_when_the_association_says_so(
    gateway: Gateway,
) -> None:
    number = agreement_number(gateway, "broker-aa")
    agreement = proposal(gateway, "trader-a", number)
    sent = declare(gateway, number)
    assert message(gateway, sent, "waiting")["waiting_for"] == f"agreement {number}"

    gateway.send("association", f"{number}.xml", signed_notice(gateway.home, agreement))

    assert codes(message(gateway, sent, "closed")) == []
    assert state_of(gateway, number) == AgreementState.USED
    assert notices_of(gateway, "trader-a", number) == ["proposed", "confirmed"]


def test_an_agreement_that_a_trader_proposes_is_confirmed_by_the_broker(
    gateway: Gateway,
) -> None:
    number = agreement_number(gateway, "trader-aa", trader="trader-aa")
    until_state(gateway, number, AgreementState.PROPOSED)
    (listed,) = [
        row
        for row in json.loads(by_hand(gateway, "list", "--json"))
        if (row["number"], row["state"], row["proposed_by"]) == (number, "proposed", "trader")
    ]
    assert (listed["trader"], listed["broker"]) == (
        enterprise("trader-aa").code,
        enterprise("broker-aa").code,
    )

    assert by_hand(gateway, "confirm", number) == f"{number}: confirmed\n"

    until_state(gateway, number, AgreementState.IN_FORCE)
    message(gateway, declare(gateway, number, "trader-aa"), "closed")


@pytest.mark.parametrize(("act", "state"), [("refuse", "refused"), ("withdraw", "withdrawn")])
def test_a_declaration_that_waits_for_a_failed_proposal_is_refused_at_once(
    gateway: Gateway, act: str, state: str
) -> None:
    number = agreement_number(gateway, "broker-aa")
    until_state(gateway, number, AgreementState.PROPOSED)
    sent = declare(gateway, number)
    message(gateway, sent, "waiting")

    by_hand(gateway, act, number, "--reason", "另行委托")

    assert codes(message(gateway, sent, "rejected")) == ["agreement-unfit"]
    until_state(gateway, number, AgreementState(state))
    notice = receipt_for(gateway, "broker-aa", "Agreement", f"AgreementNotice_{number}_{state}")
    assert read_notice(notice).reason == "另行委托"


def test_customs_is_notified_of_changes_to_an_agreement_that_it_was_shown(gateway: Gateway) -> None:
    number = agreement_number(gateway, "broker-aa", trader="trader-aa")
    until_state(gateway, number, AgreementState.IN_FORCE)
    message(gateway, declare(gateway, number, "trader-aa"), "closed")

    by_hand(gateway, "terminate", number)

    notice = message(gateway, f"AgreementNotice_{number}_terminated.xml", "closed")
    delivery = row(gateway, select(deliveries).where(deliveries.c.message == notice["id"]))
    assert (delivery["destination"], delivery["state"]) == ("customs", "delivered")
    assert state_of(gateway, number) == AgreementState.TERMINATED


def test_notices_of_agreements_that_customs_was_not_shown_do_not_go_to_customs(gateway: Gateway) -> None:
    number = agreement_number(gateway, "broker-aa")
    by_hand(gateway, "confirm", number)
    until_state(gateway, number, AgreementState.IN_FORCE)
    by_hand(gateway, "terminate", number)

    notice = message(gateway, f"AgreementNotice_{number}_terminated.xml", "closed")
    assert row(gateway, select(deliveries).where(deliveries.c.message == notice["id"])) == {}
    assert codes(message(gateway, declare(gateway, number), "rejected")) == ["agreement-unfit"]


def test_a_request_that_is_not_imported_is_closed_as_refused(gateway: Gateway) -> None:
    name = unused("ASK")
    gateway.send("broker-aa", f"{name}.xml", request("broker-aa", OtherNote="FAIL-1"))

    assert receipt_for(gateway, "broker-aa", "Failed", name).find("ConsignNo") is None
    assert message(gateway, f"{name}.xml", "closed")["customs_status"] == "refused"


def test_a_request_that_is_imported_is_finished(gateway: Gateway) -> None:
    name = unused("ASK")
    gateway.send("broker-b", f"{name}.xml", request("broker-b", broker="broker-b"))

    assert message(gateway, f"{name}.xml", "closed")["customs_status"] == "imported"


@pytest.mark.parametrize(
    ("account", "key", "fault"),
    [
        ("broker-aa", "broker-aa", "not-association"),
        ("association", "broker-aa", "certificate-unknown"),
        ("association", "", "signature-missing"),
    ],
)
def test_a_notice_that_is_not_the_associations_own_changes_nothing(
    gateway: Gateway, account: str, key: str, fault: str
) -> None:
    number = agreement_number(gateway, "broker-aa")
    agreement = proposal(gateway, "broker-aa", number)
    body = signed_notice(gateway.home, agreement, account=key or "association")
    if not key:
        root = trusted(body)
        root.remove(root.findall("{*}Signature")[0])
        body = etree.tostring(root)

    name = f"{unused('FALSE')}.xml"
    gateway.send(account, name, body)

    assert codes(message(gateway, name, "rejected")) == [fault]
    assert state_of(gateway, number) == AgreementState.PROPOSED
    assert notices_of(gateway, "trader-a", number) == ["proposed"]


def test_a_notice_that_is_sent_twice_has_one_effect(gateway: Gateway) -> None:
    number = agreement_number(gateway, "broker-aa")
    body = signed_notice(gateway.home, proposal(gateway, "broker-aa", number), Act.REFUSED)

    first, second = f"{number}-once", f"{number}-again"
    gateway.send("association", f"{first}.xml", body)
    once = message(gateway, f"{first}.xml", "closed")
    gateway.send("association", f"{second}.xml", body)

    assert message(gateway, f"{second}.xml", "closed")["linked"] == once["id"]
    assert receipt_for(gateway, "association", "Gateway", second).findtext("{*}MessageId") == once["id"]
    assert notices_of(gateway, "trader-a", number) == ["proposed", "refused"]


def test_a_later_amendment_is_in_the_register_and_both_sides_are_notified(gateway: Gateway) -> None:
    number = agreement_number(gateway, "broker-aa", trader="trader-aa")
    until_state(gateway, number, AgreementState.IN_FORCE)

    by_hand(gateway, "amend", number, "--until", "2029-03-31", "--value", "5", "--reason", "延期")

    def terms() -> tuple[str, str] | None:
        done = gateway.cli("agreements", "show", number, "--json")
        shown = json.loads(done.stdout)
        return (shown["valid_until"], shown["value"]) if shown["valid_until"] == "2029-03-31" else None

    assert gateway.until(terms)[1] == "5"
    gateway.until(lambda: notices_of(gateway, "trader-aa", number)[-1:] == ["amended"])
    nothing = gateway.cli("association", "amend", number)
    wrong = gateway.cli("association", "amend", number, "--value", "much")
    assert (nothing.returncode, wrong.returncode) == (USAGE, USAGE)


def test_an_impossible_act_is_explained_in_one_sentence(gateway: Gateway) -> None:
    number = agreement_number(gateway, "broker-aa", OtherNote="REFUSE-1")

    late, unknown = gateway.cli("association", "confirm", number), gateway.cli("association", "confirm", "9")

    assert (late.returncode, unknown.returncode) == (NO, NO)
    assert late.stderr == f"gateway: {number}: an agreement that is refused cannot be confirmed\n"
    assert "knows no agreement 9" in unknown.stderr


def test_a_home_without_the_reference_association_has_no_files_of_it(gateway: Gateway) -> None:
    with_it = gateway.home.path / "gateway.toml"
    settings = with_it.read_text("utf-8")
    try:
        with_it.write_text(settings.partition("[backend.association]")[0], "utf-8")
        done = gateway.cli("association", "list")
    finally:
        with_it.write_text(settings, "utf-8")

    assert (done.returncode, done.stderr) == (
        USAGE,
        "gateway: gateway.toml has no back-end of kind association\n",
    )
