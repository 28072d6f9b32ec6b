"""The way of a message as a whole: what builders write is accepted, in every encoding and signed."""

import asyncio
from dataclasses import replace

import pytest

from adapters.store.tables.messages import deliveries
from gateway.model.states import Event, State
from gateway.model.transition import Applied
from tests.support.declarations import (
    INVOICE,
    Declaration,
    Document,
    enterprise,
    export,
    full,
    large,
    middle,
    small,
)
from tests.support.habits import HABITS, Habit
from tests.support.harness import NOW, Harness
from tests.support.keys import Kind, identity
from tests.support.pdfs import pdf
from tests.support.receipts import read_gateway_receipt
from tests.support.rendering import files, package, packed, render
from tests.support.xml_signatures import Habit as Signing

ENCODINGS = ("UTF-8", "UTF-8 with BOM", "GBK", "GB18030")
NAMES = [habit.name for habit in HABITS]


def encoded(declaration: Declaration, habit: Habit, encoding: str) -> bytes:
    mark = b"\xef\xbb\xbf" if encoding.endswith("BOM") else b""
    return mark + render(declaration, replace(habit, encoding=encoding.partition(" ")[0]))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("habit", HABITS, ids=NAMES)
def test_a_built_declaration_is_accepted_in_every_encoding(
    habit: Habit, encoding: str, harness: Harness
) -> None:
    declaration = Declaration(documents=(Document(code=INVOICE, body=pdf()),))
    body = package(encoded(declaration, habit, encoding), files(declaration, habit))
    decision = harness.judged("broker-aa", "a.zip", body)
    assert decision.event is Event.PASSED, decision.findings
    assert decision.facts is not None
    assert decision.facts.values["trader_name"] == declaration.trader.name
    assert harness.message(decision.message)["state"] == State.ACCEPTED
    (delivery,) = harness.rows(deliveries)
    assert (delivery["destination"], delivery["key"]) == ("customs", decision.message)
    read_gateway_receipt(harness, decision.receipts[0])


@pytest.mark.parametrize("kind", ["rsa-2048", "p-256"])
@pytest.mark.parametrize("habit", HABITS, ids=NAMES)
def test_a_built_declaration_is_accepted_with_its_signature(
    habit: Habit, kind: Kind, harness: Harness
) -> None:
    signer = identity(kind, "broker-aa")
    other = identity("rsa-3072", "broker-aa")
    harness.change("broker-aa", certificates=(other.registered, signer.registered))
    text = render(Declaration(), replace(habit, encoding="UTF-8")).decode().partition("?>\n")[2]
    signing = Signing(signing="rsa-sha256" if kind == "rsa-2048" else "ecdsa-sha256")
    signed = signing.sign(text.replace("</DecMessage>", "{signature}</DecMessage>"), signer)
    decision = harness.judged("broker-aa", "a.xml", signed)
    assert decision.event is Event.PASSED, decision.findings
    (submission,) = decision.submissions
    assert signer.fingerprint.encode() in submission.envelope


@pytest.mark.parametrize(
    "declaration",
    [small(), middle(), large(), full(), export(), Declaration(operation="G")],
    ids=["small", "middle", "large", "full", "export", "save"],
)
def test_declarations_of_every_size_and_kind_are_accepted(declaration: Declaration, harness: Harness) -> None:
    decision = harness.judged("broker-aa", "a.zip", packed(declaration))
    assert decision.event is Event.PASSED, decision.findings


def test_a_trader_may_declare_for_itself(harness: Harness) -> None:
    own = enterprise("trader-a")
    decision = harness.judged("trader-a", "a.zip", packed(Declaration(agent=own, trader=own)))
    assert decision.event is Event.PASSED, decision.findings


def test_judging_a_message_twice_gives_the_same_decision(harness: Harness) -> None:
    received = harness.received("broker-aa", "a.zip", packed(Declaration()))
    first, second = harness.judgement(received), harness.judgement(received)
    assert replace(first, receipts=(), submissions=(), trail={}) == replace(
        second, receipts=(), submissions=(), trail={}
    )
    assert asyncio.run(harness.messages.decide(first, NOW)) == Applied(State.ACCEPTED)
