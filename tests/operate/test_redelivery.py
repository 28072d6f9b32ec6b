"""What customs took and then lost is handed over again: asked for first, under its key."""

import asyncio
from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from adapters.home.actor import actor
from adapters.store.tables.messages import deliveries, messages
from adapters.store.write.deliveries import SqlOutbox
from gateway.model.delivery import Outgoing
from gateway.model.states import DeliveryState, State
from gateway.operate.delivery_actions import DeliveryAct, step_of
from gateway.operate.message_actions import Impossible
from tests.support.declarations import Declaration
from tests.support.harness import LATER, Harness
from tests.support.operating import BROKER, gateway, trail
from tests.support.rendering import packed, render
from tests.support.stores import restarted
from tests.system.test_transit import transit

ANSWER_WITHIN = timedelta(hours=24)
SOON = LATER + timedelta(days=2)  # past what the clock of the command says, and the first answer is overdue
LONG_AFTER = SOON + timedelta(days=3650)


def outbox(harness: Harness) -> SqlOutbox:
    return SqlOutbox(harness.database, ANSWER_WITHIN)


def claimed(harness: Harness) -> list[Outgoing]:
    return list(asyncio.run(outbox(harness).claim("customs", 10, LONG_AFTER)))


def settled(harness: Harness, delivery: Outgoing, state: DeliveryState, at: datetime = LATER) -> None:
    asyncio.run(outbox(harness).settle(delivery, state, "said so", at, at))


def delivered(harness: Harness, reference: str = "R1") -> tuple[str, int]:
    """A declaration that customs took, and the number of its delivery."""
    message = harness.judged(BROKER, f"{reference}.xml", render(Declaration(reference=reference))).message
    (delivery,) = claimed(harness)
    settled(harness, delivery, DeliveryState.DELIVERED)
    return message, delivery.id


def replay(harness: Harness, delivery: int) -> tuple[int, str]:
    result = gateway(harness, "deliveries", "replay", str(delivery), "--reason", "customs lost it")
    return result.code, result.out + result.err


def row(harness: Harness, delivery: int) -> dict[str, object]:
    (rows,) = harness.rows(deliveries, id=delivery)
    return dict(rows)


@pytest.mark.parametrize("present", [DeliveryState.DELIVERED, DeliveryState.HELD, DeliveryState.REFUSED])
def test_a_redelivery_is_queried_first_and_changes_no_state_of_its_message(present: DeliveryState) -> None:
    step = step_of(DeliveryAct.REPLAY, present, State.DELIVERED, [])
    assert (step.delivery, step.event) == (DeliveryState.UNKNOWN, None)


@pytest.mark.parametrize("message", [state for state in State if state is not State.DELIVERED])
def test_a_taken_submission_is_sent_again_only_while_an_answer_is_awaited(message: State) -> None:
    with pytest.raises(Impossible, match="a delivery that is delivered"):
        step_of(DeliveryAct.REPLAY, DeliveryState.DELIVERED, message, [DeliveryState.PENDING])


def test_a_redelivery_is_queried_by_key_and_sent_again_and_its_answer_is_due_again(harness: Harness) -> None:
    message, delivery = delivered(harness)
    before = harness.message(message)
    assert replay(harness, delivery) == (0, f"{delivery} is unknown, its message delivered\n")
    assert harness.message(message)["answer_due"] == before["answer_due"]  # it is overdue until it is taken
    (item,) = claimed(harness)
    assert (item.id, item.unknown, item.submission.key, item.attempts) == (delivery, True, message, 1)

    settled(harness, item, DeliveryState.DELIVERED, SOON)
    after = harness.message(message)
    assert (after["state"], after["answer_due"]) == (State.DELIVERED, SOON + ANSWER_WITHIN)
    logged = [(event, who, detail.get("reason")) for event, who, detail in trail(harness, message)[-3:]]
    assert logged == [
        ("taken", "gateway", None),
        ("delivery_resumed", actor(), "customs lost it"),
        ("taken", "gateway", None),
    ]


def test_a_second_replay_during_the_delivery_is_refused(harness: Harness) -> None:
    _message, delivery = delivered(harness)
    assert replay(harness, delivery)[0] == 0
    code, output = replay(harness, delivery)
    assert (code, "a delivery that is unknown, of a message that is delivered" in output) == (1, True)
    assert len(claimed(harness)) == 1
    assert replay(harness, delivery)[0] == 1


def test_a_node_that_is_killed_while_it_sends_it_again_asks_once_more_under_the_same_key(
    harness: Harness,
) -> None:
    message, delivery = delivered(harness)
    replay(harness, delivery)
    claimed(harness)
    assert asyncio.run(restarted(harness.database)) == 1
    (item,) = claimed(harness)
    assert (item.id, item.unknown, item.submission.key) == (delivery, True, message)


@pytest.mark.parametrize(
    ("end", "event"),
    [(DeliveryState.REFUSED, "delivery_refused"), (DeliveryState.HELD, "delivery_held")],
)
def test_a_failed_redelivery_leaves_the_message_delivered_and_can_be_repeated(
    harness: Harness, end: DeliveryState, event: str
) -> None:
    message, delivery = delivered(harness)
    before = harness.message(message)
    replay(harness, delivery)
    settled(harness, claimed(harness)[0], end)
    assert harness.message(message) == before
    assert trail(harness, message)[-1][0] == event
    assert row(harness, delivery)["state"] == end
    assert row(harness, delivery)["unsure"] is (end is DeliveryState.HELD)
    assert replay(harness, delivery)[0] == 0
    assert [item.id for item in claimed(harness)] == [delivery]


def test_a_redelivery_that_takes_too_long_is_held_and_its_message_stays_delivered(
    harness: Harness,
) -> None:
    message, delivery = delivered(harness)
    before = harness.message(message)
    replay(harness, delivery)
    assert asyncio.run(outbox(harness).give_up("customs", LONG_AFTER, "over", LONG_AFTER)) == 1
    assert (row(harness, delivery)["state"], row(harness, delivery)["unsure"]) == (DeliveryState.HELD, True)
    assert harness.message(message) == before
    assert trail(harness, message)[-1][:2] == ("delivery_held", "gateway")


def test_a_taken_submission_is_never_diverted_though_its_back_end_is_down(harness: Harness) -> None:
    _message, delivery = delivered(harness)
    to = {"alternatives": ["other"]}
    own = update(deliveries).where(deliveries.c.id == delivery)
    harness.database.submit(lambda store: store.connection.execute(own, to)).result()
    replay(harness, delivery)
    settled(harness, claimed(harness)[0], DeliveryState.PENDING)  # asked, it has it not; and then it was down
    assert asyncio.run(outbox(harness).divert("customs", {"other"}, "down", LATER)) == 0
    assert row(harness, delivery)["destination"] == "customs"


def related(harness: Harness) -> tuple[int, int]:
    """Two of one declaration, both delivered."""
    (_one, first), (_two, second) = delivered(harness, "R1"), delivered(harness, "R2")
    one = update(deliveries).where(deliveries.c.id.in_((first, second)))
    harness.database.submit(lambda store: store.connection.execute(one, {"about": "A" * 26})).result()
    return first, second


def test_an_earlier_message_about_a_declaration_is_not_sent_again_after_a_later_one(
    harness: Harness,
) -> None:
    first, second = related(harness)
    code, output = replay(harness, first)
    assert (code, f"{second} came after it about the same declaration" in output) == (1, True)
    assert replay(harness, second)[0] == 0
    assert replay(harness, first)[0] == 0
    (delivery,) = claimed(harness)
    assert delivery.id == first
    assert claimed(harness) == []  # the second waits for it
    settled(harness, delivery, DeliveryState.DELIVERED)
    assert [item.id for item in claimed(harness)] == [second]


def test_a_later_message_that_only_informs_does_not_prevent_a_redelivery(harness: Harness) -> None:
    first, second = related(harness)
    own = update(messages).where(messages.c.id == row(harness, second)["message"])
    informs = {"operation": "inform", "state": State.CLOSED}
    harness.database.submit(lambda store: store.connection.execute(own, informs)).result()
    assert replay(harness, first)[0] == 0


def test_of_two_offices_the_one_that_lost_it_gets_it_again(harness: Harness) -> None:
    message = harness.judged(BROKER, "R1.zip", packed(transit("import in advance", "R1"))).message
    while items := claimed(harness):
        for delivery in items:
            settled(harness, delivery, DeliveryState.DELIVERED)
    first, second = (row["id"] for row in harness.rows(deliveries, message=message))
    assert replay(harness, first)[0] == 0
    (delivery,) = claimed(harness)
    assert delivery.id == first
    settled(harness, delivery, DeliveryState.DELIVERED)
    assert row(harness, second)["state"] == DeliveryState.DELIVERED
    assert harness.message(message)["state"] == State.DELIVERED


def test_a_replay_of_its_message_names_the_command_that_does_it(harness: Harness) -> None:
    message, _delivery = delivered(harness)
    result = gateway(
        harness, "messages", "replay", message, "--from", "delivery", "--reason", "customs lost it"
    )
    assert (result.code, "deliveries replay of its delivery" in result.err) == (1, True)


def test_where_a_replay_takes_two_persons_one_cannot_do_it_alone(harness: Harness) -> None:
    _message, delivery = delivered(harness)
    path = harness.home.path / "policy.toml"
    path.write_text(path.read_text("utf-8").replace("four_eyes = []", 'four_eyes = ["replay"]'), "utf-8")
    code, output = replay(harness, delivery)
    assert (code, "the policy has a second person for replay" in output) == (1, True)
    assert row(harness, delivery)["state"] == DeliveryState.DELIVERED
