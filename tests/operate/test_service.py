"""Hold, release and reject: what each act writes, and what it releases."""

import asyncio
import hashlib
import json
from datetime import timedelta
from typing import Literal

import pytest

from adapters.sandbox.customs.customs import ReferenceCustoms
from adapters.store.tables.messages import agreements, deliveries, events, holders, obligations, receipts
from adapters.store.write.deliveries import SqlOutbox
from adapters.store.write.operator_store import stopped
from gateway.judge.rejection import rejection_of
from gateway.model.agreements import Act, AgreementState
from gateway.model.decision import Decision
from gateway.model.delivery import Outgoing
from gateway.model.faults import Fault
from gateway.model.folders import Folder
from gateway.model.message import ReceiptKind
from gateway.model.rejection import Rejection
from gateway.model.states import DeliveryState, Event, State
from gateway.model.transition import Applied, Refusal
from gateway.operate.message_actions import Impossible
from tests.support.acts import hold, release, replay
from tests.support.acts import reject as write_rejection
from tests.support.association import ACCOUNT, agreement, agreement_document, signed_notice
from tests.support.declarations import Declaration
from tests.support.harness import NOW, Harness
from tests.support.invariants import violations
from tests.support.receipts import assert_refusal_is_told
from tests.support.rendering import render

NUMBER = "195200016172325"
LATER = NOW + timedelta(hours=1)
WHY = "withdrawn by the sender"


def sent(harness: Harness, reference: str = "R1", operation: Literal["C", "G"] = "C") -> Decision:
    declaration = Declaration(
        reference=reference, documents=(agreement_document(NUMBER),), operation=operation
    )
    return harness.judged("broker-aa", f"{reference}.xml", render(declaration))


def confirm_agreement(harness: Harness) -> None:
    """The association has told that the agreement is in force."""
    harness.judged(ACCOUNT, "told.xml", signed_notice(harness.home, agreement(NUMBER), Act.CONFIRMED))


def accepted(harness: Harness, reference: str = "R1") -> str:
    confirm_agreement(harness)
    decision = sent(harness, reference)
    assert decision.event is Event.PASSED
    return decision.message


def held(harness: Harness, message: str) -> None:
    harness.database.submit(lambda to: hold(to, message, "operator", "look at it", LATER)).result()


def released(harness: Harness, message: str) -> None:
    harness.database.submit(lambda to: release(to, message, "operator", "it is good", LATER)).result()


def final_rejection(harness: Harness, message: str) -> Rejection:
    """What the sender is told, not committed."""
    with harness.database.engine.connect() as reader:
        seen = stopped(reader, message)
    return rejection_of(seen, WHY, harness.rules, harness.register, harness.signer, LATER)


def committed(harness: Harness, rejection: Rejection) -> Applied | Refusal:
    return harness.database.submit(lambda to: write_rejection(to, rejection, "operator", WHY, LATER)).result()


def rejected(harness: Harness, message: str) -> Rejection:
    trail_of = final_rejection(harness, message)
    assert isinstance(committed(harness, trail_of), Applied)
    return trail_of


def finals(harness: Harness, message: str) -> list[str]:
    return [row["verdict"] for row in harness.rows(receipts, message=message, final=True, superseded=False)]


def happened(harness: Harness, message: str) -> list[tuple[str, str]]:
    return [(row["event"], row["actor"]) for row in harness.rows(events, message=message)]


def outbox(harness: Harness) -> SqlOutbox:
    return SqlOutbox(harness.database, timedelta(hours=24))


def sending(harness: Harness) -> Outgoing:
    (delivery,) = asyncio.run(outbox(harness).claim("customs", 10, LATER + timedelta(minutes=1)))
    return delivery


def test_a_waiting_message_that_is_rejected_has_one_final_receipt_with_the_reason(harness: Harness) -> None:
    message = sent(harness).message
    assert harness.message(message)["state"] == State.WAITING
    trail_of = rejected(harness, message)
    row = harness.message(message)
    assert (row["state"], row["folder"]) == (State.REJECTED, Folder.FAILBOX)
    assert (row["waiting_for"], row["until"], row["reason"]) == (None, None, "")
    assert finals(harness, message) == ["rejected"]
    assert [finding.code for finding in trail_of.findings] == [Fault.DISMISSED.code]
    assert WHY in trail_of.findings[0].en
    assert happened(harness, message)[-1] == (Event.DISMISSED, "operator")
    trail = json.loads(harness.rows(events, message=message)[-1]["detail"])
    assert trail["receipt"] == hashlib.sha256(trail_of.receipts[0].body).hexdigest()
    assert (trail["reason"], trail["policy"]) == (WHY, harness.rules.policy.digest)


def test_the_sender_reads_the_refusal_as_any_other(harness: Harness) -> None:
    message = harness.received("broker-aa", "R1.xml", b"<never-judged/>").arrival.id
    held(harness, message)
    trail_of = rejected(harness, message)
    decision = Decision(
        message=message,
        attempt=1,
        fence=1,
        event=Event.REFUSED,
        findings=trail_of.findings,
        receipts=trail_of.receipts,
    )
    assert_refusal_is_told(harness, decision, "R1.xml")


def test_a_rejected_declaration_gives_back_agreement_reference_and_obligation(harness: Harness) -> None:
    message = accepted(harness)
    assert harness.rows(agreements, number=NUMBER)[0]["used_by"] == message
    assert len(harness.rows(obligations, message=message)) == 1
    held(harness, message)
    trail_of = rejected(harness, message)
    (free,) = harness.rows(agreements, number=NUMBER)
    assert (free["state"], free["used_by"]) == (AgreementState.IN_FORCE, None)
    assert finals(harness, message) == ["rejected"]
    assert (harness.rows(deliveries), harness.rows(obligations)) == ([], [])
    assert [row for row in harness.rows(holders) if row["reference"] == "R1"] == []
    notices = [receipt for receipt in trail_of.receipts if receipt.kind is ReceiptKind.NOTICE]
    assert {(notice.account, notice.verdict) for notice in notices} == {
        (ACCOUNT, "freed"),
        ("broker-aa", "freed"),
    }

    corrected = sent(harness)  # the same reference, the same agreement
    assert (corrected.event, corrected.linked) == (Event.PASSED, message)
    assert harness.rows(agreements, number=NUMBER)[0]["used_by"] == corrected.message


def test_a_declaration_gets_an_agreement_when_the_declaration_that_used_it_is_rejected(
    harness: Harness,
) -> None:
    message = accepted(harness)
    held(harness, message)
    rejected(harness, message)
    assert sent(harness, "R2").event is Event.PASSED


def test_a_rejected_declaration_that_is_replayed_is_judged_again_and_may_be_delivered(
    harness: Harness,
) -> None:
    message = accepted(harness)
    held(harness, message)
    rejected(harness, message)
    harness.database.submit(lambda to: replay(to, message, "operator", "after all", LATER)).result()
    then = LATER + timedelta(seconds=1)  # receipts are named by their time
    asyncio.run(harness.messages.decide(harness.judgement(harness.claimed(then), then), then))
    assert harness.message(message)["state"] == State.ACCEPTED
    assert finals(harness, message) == ["accepted"]
    assert sending(harness).message == message


def test_the_key_goes_back_to_the_temporary_save_that_a_rejected_declaration_followed(
    harness: Harness,
) -> None:
    confirm_agreement(harness)
    save = sent(harness, operation="G").message
    declared = sent(harness)
    assert (declared.event, declared.linked) == (Event.PASSED, save)
    held(harness, declared.message)
    rejected(harness, declared.message)
    assert [row["message"] for row in harness.rows(holders, reference="R1")] == [save]
    again = sent(harness)
    assert (again.event, again.linked) == (Event.PASSED, save)


def test_a_hold_while_it_is_judged_makes_the_decision_come_too_late(harness: Harness) -> None:
    confirm_agreement(harness)
    received = harness.received("broker-aa", "R1.xml", render(Declaration(reference="R1")))
    decision = harness.judgement(received)
    message = received.arrival.id
    held(harness, message)
    refused = asyncio.run(harness.messages.decide(decision, LATER))
    assert refused is Refusal.LATE
    assert harness.message(message)["state"] == State.HELD
    assert asyncio.run(harness.messages.claim(1, LATER, timedelta(minutes=1))) == ()
    assert (harness.rows(receipts, message=message), harness.rows(deliveries)) == ([], [])


def test_a_hold_and_release_while_it_is_judged_gives_one_verdict(harness: Harness) -> None:
    received = harness.received("broker-aa", "R1.xml", render(Declaration(reference="R1")))
    decision = harness.judgement(received)
    held(harness, received.arrival.id)
    released(harness, received.arrival.id)
    again = harness.judgement(harness.claimed(LATER), LATER)
    asyncio.run(harness.messages.decide(again, LATER))
    refused = asyncio.run(harness.messages.decide(decision, LATER))
    assert refused is Refusal.LATE
    assert len(finals(harness, received.arrival.id)) == 1


def test_a_held_message_that_waited_waits_again_when_it_is_released(harness: Harness) -> None:
    message = sent(harness).message
    held(harness, message)
    assert harness.expired(NOW + timedelta(days=9)) == 0  # the time of what is held stands still
    released(harness, message)
    received = harness.claimed(LATER)
    assert received.overdue == ""
    assert harness.judgement(received, LATER).event is Event.WAITING


def test_a_release_of_what_was_accepted_asks_customs_first_and_keeps_verdict_and_receipts(
    harness: Harness,
) -> None:
    message = accepted(harness)
    held(harness, message)
    assert asyncio.run(outbox(harness).claim("customs", 10, LATER)) == ()
    before = harness.rows(receipts, message=message)
    released(harness, message)
    assert sending(harness).unknown
    assert harness.rows(receipts, message=message) == before


def test_a_message_that_is_being_sent_cannot_be_rejected_until_customs_is_known_not_to_have_it(
    harness: Harness,
) -> None:
    message = accepted(harness)
    delivery = sending(harness)
    held(harness, message)
    with pytest.raises(Impossible, match="customs may have it"):
        final_rejection(harness, message)
    asyncio.run(outbox(harness).settle(delivery, DeliveryState.PENDING, "not now", LATER, LATER))
    rejected(harness, message)
    assert harness.message(message)["state"] == State.REJECTED


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_delivery_of_unknown_outcome_keeps_its_message_from_being_rejected(
    harness: Harness, when: str
) -> None:
    message = accepted(harness)
    delivery = sending(harness)
    if when == "after":
        held(harness, message)
    settled = outbox(harness).settle(delivery, DeliveryState.UNKNOWN, "no word", LATER, LATER, unsure=True)
    asyncio.run(settled)
    if when == "before":
        held(harness, message)
    assert [row["state"] for row in harness.rows(deliveries)] == [DeliveryState.HELD]
    with pytest.raises(Impossible, match="customs may have it"):
        final_rejection(harness, message)


def test_a_message_that_moved_since_its_receipt_was_written_is_not_rejected(harness: Harness) -> None:
    message = sent(harness).message
    trail_of = final_rejection(harness, message)
    held(harness, message)
    assert committed(harness, trail_of) is Refusal.SUPERSEDED
    assert (harness.message(message)["state"], finals(harness, message)) == (State.HELD, [])
    rejected(harness, message)
    assert finals(harness, message) == ["rejected"]


def test_a_message_that_goes_on_meanwhile_is_not_rejected(harness: Harness) -> None:
    message = sent(harness).message
    trail_of = final_rejection(harness, message)
    confirm_agreement(harness)
    with pytest.raises(Impossible, match="a message that is received cannot be rejected; possible: hold"):
        committed(harness, trail_of)
    assert harness.message(message)["state"] == State.RECEIVED


def test_the_home_is_sound_after_any_course_of_holds_rejections_and_declarations(harness: Harness) -> None:
    ReferenceCustoms(
        harness.home.path / "backends" / "customs", harness.home.certificate.read_text(), lambda: LATER
    ).close()
    message = accepted(harness)
    held(harness, message)
    assert violations(harness.home) == []
    rejected(harness, message)
    assert violations(harness.home) == []
    again = sent(harness).message
    assert violations(harness.home) == []
    held(harness, again)
    released(harness, again)
    assert violations(harness.home) == []
