"""What `messages show` says is needed next: every state, in both languages."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.model.states import CustomsStatus, DeliveryState, State
from gateway.operate.message_actions import DeliveryStatus, MessageStatus, possible
from gateway.operate.next_step import Repeated, Situation, next_needed

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
SITUATION = Situation(
    status=MessageStatus(state=State.WAITING),
    reason="",
    waiting_for="agreement 195200016172325",
    until=NOW + timedelta(hours=48),
    answer_due=None,
    customs_status=CustomsStatus.NONE,
)


def situation(state: State, *deliveries: DeliveryStatus, **changed: Any) -> Situation:
    status = MessageStatus(state=state, deliveries=deliveries)
    return replace(SITUATION, status=status, **changed)


@pytest.mark.parametrize("state", State)
def test_every_state_has_a_next_step_in_both_languages_with_the_acts_that_it_allows(state: State) -> None:
    present = situation(state, reason="agreement 1 was terminated", answer_due=NOW)
    step = next_needed(present, NOW)
    assert step.en.isascii()
    assert not step.zh.isascii()
    for act in possible(present.status):
        assert f"{act} (" in step.en
        assert f"{act}（" in step.zh


def test_the_next_step_of_a_waiting_message_says_for_what_and_until_when() -> None:
    step = next_needed(SITUATION, NOW)
    assert "It waits for agreement 195200016172325 until 2026-11-25 04:00 UTC" in step.en
    assert "等待委托协议 195200016172325，最迟至北京时间2026年11月25日12:00；" in step.zh


@pytest.mark.parametrize(
    ("awaited", "name"),
    [
        ("mandate 1207940101 1207980011", "a mandate between 1207940101 and 1207980011"),
        ("document 1207980011 invoice", "document invoice"),
        ("declaration 1207980011 invoice.pdf", "declaration that lists invoice.pdf"),
        ("something else", "something else"),
    ],
)
def test_things_that_are_waited_for_are_named(awaited: str, name: str) -> None:
    assert f"It waits for {name} until" in next_needed(replace(SITUATION, waiting_for=awaited), NOW).en


def test_the_next_step_describes_a_replay_as_what_it_does_by_default() -> None:
    refused = next_needed(situation(State.REJECTED), NOW)
    stopped = next_needed(situation(State.HELD, DeliveryStatus(DeliveryState.HELD), reason="stopped"), NOW)
    assert ("judge it again" in refused.en, "重新校验" in refused.zh) == (True, True)
    assert ("send it again" in stopped.en, "重新递交" in stopped.zh) == (True, True)


def test_an_answer_that_is_due_and_one_that_is_overdue_differ() -> None:
    delivered = situation(State.DELIVERED, answer_due=NOW)
    assert "its answer is due by 2026-11-23 04:00 UTC" in next_needed(delivered, NOW).en
    assert "ask customs" in next_needed(delivered, NOW + timedelta(seconds=1)).en


def test_the_next_step_names_the_redelivery_when_the_answer_of_customs_is_overdue() -> None:
    later = NOW + timedelta(seconds=1)
    taken = situation(State.DELIVERED, DeliveryStatus(DeliveryState.DELIVERED), answer_due=NOW)
    for text in (next_needed(taken, later).en, next_needed(taken, later).zh):
        assert "gateway deliveries replay" in text
    assert "replay" not in next_needed(taken, NOW).en
    again = situation(State.DELIVERED, DeliveryStatus(DeliveryState.UNKNOWN), answer_due=NOW)
    assert "it is asked for it now" in next_needed(again, later).en


def test_the_next_step_after_a_refusal_by_customs_is_the_senders() -> None:
    closed = situation(State.CLOSED, customs_status=CustomsStatus.REFUSED)
    assert next_needed(closed, NOW).en.startswith("Customs refused it: its sender mends it")


def test_the_next_step_offers_no_rejection_of_what_customs_may_have() -> None:
    held = situation(State.HELD, DeliveryStatus(DeliveryState.HELD, unsure=True), reason="look at it")
    step = next_needed(held, NOW)
    assert step.en.startswith("It is held: look at it. Customs may have it, so it cannot be rejected")
    assert "reject (" not in step.en


def test_a_repeat_names_what_it_repeats_and_how_that_stands() -> None:
    first = Repeated(message="01KA0000000000000000000000", state=State.REJECTED)
    step = next_needed(situation(State.CLOSED, repeats=first), NOW)
    assert step.en.startswith("It is a repeat of 01KA0000000000000000000000, which is rejected: look at that")
    assert "与先收到的报文 01KA0000000000000000000000 相同" in step.zh
    assert "该报文现为网关已拒收" in step.zh
