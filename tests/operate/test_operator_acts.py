"""Hold, release and reject at the desk: what each leaves behind, and what comes free."""

import asyncio
import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest

from adapters.sandbox.customs.customs import ReferenceCustoms
from adapters.store.tables.messages import agreements, deliveries, events, holders, obligations, receipts
from adapters.store.write.deliveries import SqlOutbox
from adapters.store.write.operator_store import stopped
from gateway.model.agreements import Act, AgreementState
from gateway.model.decision import Decision
from gateway.model.faults import Fault
from gateway.model.folders import Folder
from gateway.model.message import ReceiptKind
from gateway.model.ports import LateDecision, Outgoing, Superseded
from gateway.model.states import DeliveryState, Event, State
from gateway.operate.dismissal import Dismissal, dismissal
from gateway.operate.message_actions import Impossible
from tests.support.acts import hold, release, replay
from tests.support.acts import reject as write_rejection
from tests.support.association import ACCOUNT, agreement, shown, signed_notice
from tests.support.declarations import Declaration
from tests.support.desk import NOW, Desk
from tests.support.invariants import agreement_violations, violations
from tests.support.receipts import assert_refusal_is_told
from tests.support.rendering import render

NUMBER = "195200016172325"
LATER = NOW + timedelta(hours=1)
WHY = "withdrawn by the sender"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk.at(tmp_path / "home") as opened:
        yield opened
        with opened.database.engine.connect() as reader:
            assert list(agreement_violations(reader)) == []


def sent(desk: Desk, reference: str = "R1", operation: Literal["C", "G"] = "C") -> Decision:
    declaration = Declaration(reference=reference, documents=(shown(NUMBER),), operation=operation)
    return desk.judged("broker-aa", f"{reference}.xml", render(declaration))


def told(desk: Desk) -> None:
    """The association has told that the agreement is in force."""
    desk.judged(ACCOUNT, "told.xml", signed_notice(desk.home, agreement(NUMBER), Act.CONFIRMED))


def accepted(desk: Desk, reference: str = "R1") -> str:
    told(desk)
    decision = sent(desk, reference)
    assert decision.event is Event.PASSED
    return decision.message


def held(desk: Desk, message: str) -> None:
    desk.database.submit(lambda to: hold(to, message, "operator", "look at it", LATER)).result()


def released(desk: Desk, message: str) -> None:
    desk.database.submit(lambda to: release(to, message, "operator", "it is good", LATER)).result()


def said(desk: Desk, message: str) -> Dismissal:
    """What the sender is told, not committed."""
    with desk.database.engine.connect() as reader:
        seen = stopped(reader, message)
    return dismissal(seen, WHY, desk.rules, desk.register, desk.signer, LATER)


def committed(desk: Desk, said: Dismissal) -> None:
    desk.database.submit(lambda to: write_rejection(to, said, "operator", WHY, LATER)).result()


def rejected(desk: Desk, message: str) -> Dismissal:
    given = said(desk, message)
    committed(desk, given)
    return given


def finals(desk: Desk, message: str) -> list[str]:
    return [row["verdict"] for row in desk.rows(receipts, message=message, final=True, superseded=False)]


def happened(desk: Desk, message: str) -> list[tuple[str, str]]:
    return [(row["event"], row["actor"]) for row in desk.rows(events, message=message)]


def outbox(desk: Desk) -> SqlOutbox:
    return SqlOutbox(desk.database, timedelta(hours=24))


def sending(desk: Desk) -> Outgoing:
    (item,) = asyncio.run(outbox(desk).claim("customs", 10, LATER + timedelta(minutes=1)))
    return item


def test_what_waits_and_is_rejected_has_one_final_receipt_with_the_reason(desk: Desk) -> None:
    message = sent(desk).message
    assert desk.message(message)["state"] == State.WAITING
    given = rejected(desk, message)
    row = desk.message(message)
    assert (row["state"], row["folder"]) == (State.REJECTED, Folder.FAILBOX)
    assert (row["waiting_for"], row["until"], row["reason"]) == (None, None, "")
    assert finals(desk, message) == ["rejected"]
    assert [found.code for found in given.findings] == [Fault.DISMISSED.code]
    assert WHY in given.findings[0].en
    assert happened(desk, message)[-1] == (Event.DISMISSED, "operator")
    trail = json.loads(desk.rows(events, message=message)[-1]["detail"])
    assert trail["receipt"] == hashlib.sha256(given.receipts[0].body).hexdigest()
    assert (trail["reason"], trail["policy"]) == (WHY, desk.rules.policy.digest)


def test_the_sender_reads_the_refusal_as_any_other(desk: Desk) -> None:
    message = desk.received("broker-aa", "R1.xml", b"<never-judged/>").arrival.id
    held(desk, message)
    given = rejected(desk, message)
    decision = Decision(
        message=message, attempt=1, event=Event.REFUSED, findings=given.findings, receipts=given.receipts
    )
    assert_refusal_is_told(desk, decision, "R1.xml")


def test_a_rejected_declaration_gives_back_agreement_reference_and_obligation(desk: Desk) -> None:
    message = accepted(desk)
    assert desk.rows(agreements, number=NUMBER)[0]["used_by"] == message
    assert len(desk.rows(obligations, message=message)) == 1
    held(desk, message)
    given = rejected(desk, message)
    (free,) = desk.rows(agreements, number=NUMBER)
    assert (free["state"], free["used_by"]) == (AgreementState.IN_FORCE, None)
    assert finals(desk, message) == ["rejected"]
    assert (desk.rows(deliveries), desk.rows(obligations)) == ([], [])
    assert [row for row in desk.rows(holders) if row["reference"] == "R1"] == []
    notices = [each for each in given.receipts if each.kind is ReceiptKind.NOTICE]
    assert {(each.account, each.verdict) for each in notices} == {(ACCOUNT, "freed"), ("broker-aa", "freed")}

    corrected = sent(desk)  # the same reference, the same agreement
    assert (corrected.event, corrected.linked) == (Event.PASSED, message)
    assert desk.rows(agreements, number=NUMBER)[0]["used_by"] == corrected.message


def test_what_waits_for_an_agreement_gets_it_when_the_declaration_that_used_it_is_rejected(
    desk: Desk,
) -> None:
    message = accepted(desk)
    held(desk, message)
    rejected(desk, message)
    assert sent(desk, "R2").event is Event.PASSED


def test_a_rejected_declaration_that_is_replayed_is_judged_anew_and_may_be_delivered(desk: Desk) -> None:
    message = accepted(desk)
    held(desk, message)
    rejected(desk, message)
    desk.database.submit(lambda to: replay(to, message, "operator", "after all", LATER)).result()
    then = LATER + timedelta(seconds=1)  # receipts are named by their time
    asyncio.run(desk.messages.decide(desk.judgement(desk.claimed(then), then), then))
    assert desk.message(message)["state"] == State.ACCEPTED
    assert finals(desk, message) == ["accepted"]
    assert sending(desk).message == message


def test_the_key_goes_back_to_the_temporary_save_that_a_rejected_declaration_followed(desk: Desk) -> None:
    told(desk)
    save = sent(desk, operation="G").message
    declared = sent(desk)
    assert (declared.event, declared.linked) == (Event.PASSED, save)
    held(desk, declared.message)
    rejected(desk, declared.message)
    assert [row["message"] for row in desk.rows(holders, reference="R1")] == [save]
    again = sent(desk)
    assert (again.event, again.linked) == (Event.PASSED, save)


def test_a_hold_while_it_is_judged_makes_the_decision_come_too_late(desk: Desk) -> None:
    told(desk)
    received = desk.received("broker-aa", "R1.xml", render(Declaration(reference="R1")))
    decision = desk.judgement(received)
    message = received.arrival.id
    held(desk, message)
    with pytest.raises(LateDecision):
        asyncio.run(desk.messages.decide(decision, LATER))
    assert desk.message(message)["state"] == State.HELD
    assert asyncio.run(desk.messages.claim(1, LATER, timedelta(minutes=1))) == ()
    assert (desk.rows(receipts, message=message), desk.rows(deliveries)) == ([], [])


def test_a_hold_and_release_while_it_is_judged_gives_one_verdict(desk: Desk) -> None:
    received = desk.received("broker-aa", "R1.xml", render(Declaration(reference="R1")))
    decision = desk.judgement(received)
    held(desk, received.arrival.id)
    released(desk, received.arrival.id)
    again = desk.judgement(desk.claimed(LATER), LATER)
    asyncio.run(desk.messages.decide(again, LATER))
    with pytest.raises(LateDecision):
        asyncio.run(desk.messages.decide(decision, LATER))
    assert len(finals(desk, received.arrival.id)) == 1


def test_a_release_of_what_waited_lets_it_wait_anew(desk: Desk) -> None:
    message = sent(desk).message
    held(desk, message)
    assert desk.expired(NOW + timedelta(days=9)) == 0  # the time of what is held stands still
    released(desk, message)
    received = desk.claimed(LATER)
    assert received.overdue == ""
    assert desk.judgement(received, LATER).event is Event.LACKS


def test_a_release_of_what_was_accepted_asks_customs_first_and_keeps_verdict_and_receipts(desk: Desk) -> None:
    message = accepted(desk)
    held(desk, message)
    assert asyncio.run(outbox(desk).claim("customs", 10, LATER)) == ()
    before = desk.rows(receipts, message=message)
    released(desk, message)
    assert sending(desk).unknown
    assert desk.rows(receipts, message=message) == before


def test_what_is_being_sent_cannot_be_rejected_until_it_is_known_that_customs_has_it_not(desk: Desk) -> None:
    message = accepted(desk)
    item = sending(desk)
    held(desk, message)
    with pytest.raises(Impossible, match="customs may have it"):
        said(desk, message)
    asyncio.run(outbox(desk).settle(item, DeliveryState.PENDING, "not now", LATER, LATER))
    rejected(desk, message)
    assert desk.message(message)["state"] == State.REJECTED


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_delivery_of_unknown_outcome_keeps_its_message_from_being_rejected(desk: Desk, when: str) -> None:
    message = accepted(desk)
    item = sending(desk)
    if when == "after":
        held(desk, message)
    settled = outbox(desk).settle(item, DeliveryState.UNKNOWN, "no word", LATER, LATER, unsure=True)
    asyncio.run(settled)
    if when == "before":
        held(desk, message)
    assert [row["state"] for row in desk.rows(deliveries)] == [DeliveryState.HELD]
    with pytest.raises(Impossible, match="customs may have it"):
        said(desk, message)


def test_a_message_that_moved_since_its_receipt_was_written_is_not_rejected(desk: Desk) -> None:
    message = sent(desk).message
    given = said(desk, message)
    held(desk, message)
    with pytest.raises(Superseded):
        committed(desk, given)
    assert (desk.message(message)["state"], finals(desk, message)) == (State.HELD, [])
    rejected(desk, message)
    assert finals(desk, message) == ["rejected"]


def test_what_came_meanwhile_decides_before_the_operator(desk: Desk) -> None:
    message = sent(desk).message
    given = said(desk, message)
    told(desk)
    with pytest.raises(Impossible, match="a message that is received cannot be rejected; possible: hold"):
        committed(desk, given)
    assert desk.message(message)["state"] == State.RECEIVED


def test_whatever_was_held_rejected_and_declared_again_the_home_is_sound(desk: Desk) -> None:
    ReferenceCustoms(
        desk.home.path / "backends" / "customs", desk.home.certificate.read_text(), lambda: LATER
    ).close()
    message = accepted(desk)
    held(desk, message)
    assert violations(desk.home) == []
    rejected(desk, message)
    assert violations(desk.home) == []
    again = sent(desk).message
    assert violations(desk.home) == []
    held(desk, again)
    released(desk, again)
    assert violations(desk.home) == []
