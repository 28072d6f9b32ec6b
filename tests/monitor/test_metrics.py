"""What the metrics of a node make of what happens to messages."""

import asyncio
from datetime import timedelta

from adapters.monitor.metrics import Metrics
from gateway.model.decision import Decision
from gateway.model.message import Received
from gateway.model.states import State
from tests.support.association import agreement_document
from tests.support.declarations import Declaration, lines
from tests.support.harness import NOW, Harness
from tests.support.operating import BROKER, NUMBER, gateway, refused
from tests.support.rendering import render

LATER = NOW + timedelta(days=2)


def timed(received: Received, decision: Decision) -> float | None:
    """How many verdicts are timed by it."""
    metrics = Metrics()
    metrics.judged(received, decision, State.ACCEPTED, LATER)
    return metrics.registry.get_sample_value("gateway_verdict_seconds_count")


def test_the_first_decision_on_a_message_is_timed(harness: Harness) -> None:
    received = harness.received(BROKER, "R1.xml", render(Declaration(reference="R1", lines=lines(2))))
    assert timed(received, harness.judgement(received)) == 1


def test_a_replay_is_not_timed_from_the_receipt_of_days_before(harness: Harness) -> None:
    refused(harness)
    gateway(harness, "messages", "replay", "R1", "--reason", "limit raised")
    received = harness.claimed(LATER)
    assert received.attempts == 1
    assert timed(received, harness.judgement(received, LATER)) == 0


def test_messages_that_were_held_or_waited_are_not_timed_when_they_go_on(harness: Harness) -> None:
    stopped = harness.received(BROKER, "R1.xml", render(Declaration(reference="R1", lines=lines(2))))
    waiting = harness.judged(
        BROKER, "R2.xml", render(Declaration(reference="R2", documents=(agreement_document(NUMBER),)))
    ).message
    for message in (stopped.arrival.id, waiting):
        assert gateway(harness, "messages", "hold", message, "--reason", "look at it").code == 0
        assert gateway(harness, "messages", "release", message, "--reason", "it is good").code == 0
        received = harness.claimed(LATER)
        decision = harness.judgement(received, LATER)
        asyncio.run(harness.messages.decide(decision, LATER))
        assert timed(received, decision) == 0
