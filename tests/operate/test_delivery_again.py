"""What customs took and then lost is handed over again: asked for first, under its key."""

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from adapters.home.actor import actor
from adapters.store.tables.messages import deliveries, messages
from adapters.store.write.deliveries import SqlOutbox
from gateway.model.ports import Outgoing
from gateway.model.states import DeliveryState, State
from gateway.operate.delivery_actions import DeliveryAct, step_of
from gateway.operate.message_actions import Impossible
from tests.support.declarations import Declaration
from tests.support.desk import LATER, Desk
from tests.support.operating import BROKER, gateway, trail
from tests.support.rendering import packed, render
from tests.system.test_transit import transit

ANSWER_WITHIN = timedelta(hours=24)
SOON = LATER + timedelta(days=2)  # past what the clock of the command says, and the first answer is overdue
LONG_AFTER = SOON + timedelta(days=3650)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk.at(tmp_path / "home") as opened:
        yield opened


def outbox(desk: Desk) -> SqlOutbox:
    return SqlOutbox(desk.database, ANSWER_WITHIN)


def claimed(desk: Desk) -> list[Outgoing]:
    return list(asyncio.run(outbox(desk).claim("customs", 10, LONG_AFTER)))


def settled(desk: Desk, item: Outgoing, state: DeliveryState, at: datetime = LATER) -> None:
    asyncio.run(outbox(desk).settle(item, state, "said so", at, at))


def delivered(desk: Desk, reference: str = "R1") -> tuple[str, int]:
    """A declaration that customs took, and the number of its delivery."""
    message = desk.judged(BROKER, f"{reference}.xml", render(Declaration(reference=reference))).message
    (item,) = claimed(desk)
    settled(desk, item, DeliveryState.DELIVERED)
    return message, item.id


def replay(desk: Desk, delivery: int) -> tuple[int, str]:
    said = gateway(desk, "deliveries", "replay", str(delivery), "--reason", "customs lost it")
    return said.code, said.out + said.err


def row(desk: Desk, delivery: int) -> dict[str, object]:
    (found,) = desk.rows(deliveries, id=delivery)
    return dict(found)


@pytest.mark.parametrize("present", [DeliveryState.DELIVERED, DeliveryState.HELD, DeliveryState.REFUSED])
def test_what_is_handed_over_again_is_asked_for_and_moves_no_message(present: DeliveryState) -> None:
    step = step_of(DeliveryAct.REPLAY, present, State.DELIVERED, [])
    assert (step.delivery, step.event) == (DeliveryState.UNKNOWN, None)


@pytest.mark.parametrize("message", [each for each in State if each is not State.DELIVERED])
def test_what_was_taken_goes_again_only_while_an_answer_is_waited_for(message: State) -> None:
    with pytest.raises(Impossible, match="a delivery that is delivered"):
        step_of(DeliveryAct.REPLAY, DeliveryState.DELIVERED, message, [DeliveryState.PENDING])


def test_it_is_asked_for_under_its_key_and_taken_again_its_answer_is_due_anew(desk: Desk) -> None:
    message, delivery = delivered(desk)
    before = desk.message(message)
    assert replay(desk, delivery) == (0, f"{delivery} is unknown, its message delivered\n")
    assert desk.message(message)["answer_due"] == before["answer_due"]  # it is overdue until it is taken
    (item,) = claimed(desk)
    assert (item.id, item.unknown, item.submission.key, item.attempts) == (delivery, True, message, 1)

    settled(desk, item, DeliveryState.DELIVERED, SOON)
    after = desk.message(message)
    assert (after["state"], after["answer_due"]) == (State.DELIVERED, SOON + ANSWER_WITHIN)
    told = [(event, who, detail.get("reason")) for event, who, detail in trail(desk, message)[-3:]]
    assert told == [
        ("taken", "gateway", None),
        ("delivery_resumed", actor(), "customs lost it"),
        ("taken", "gateway", None),
    ]


def test_a_second_replay_while_it_is_on_its_way_is_refused(desk: Desk) -> None:
    _message, delivery = delivered(desk)
    assert replay(desk, delivery)[0] == 0
    code, said = replay(desk, delivery)
    assert (code, "a delivery that is unknown, of a message that is delivered" in said) == (1, True)
    assert len(claimed(desk)) == 1
    assert replay(desk, delivery)[0] == 1


def test_a_node_that_is_killed_while_it_sends_it_again_asks_once_more_under_the_same_key(desk: Desk) -> None:
    message, delivery = delivered(desk)
    replay(desk, delivery)
    claimed(desk)
    assert asyncio.run(outbox(desk).recover()) == 1
    (item,) = claimed(desk)
    assert (item.id, item.unknown, item.submission.key) == (delivery, True, message)


@pytest.mark.parametrize(
    ("end", "event"),
    [(DeliveryState.REFUSED, "delivery_refused"), (DeliveryState.HELD, "delivery_held")],
)
def test_handed_over_again_in_vain_its_message_stays_delivered_and_it_can_be_tried_anew(
    desk: Desk, end: DeliveryState, event: str
) -> None:
    message, delivery = delivered(desk)
    before = desk.message(message)
    replay(desk, delivery)
    settled(desk, claimed(desk)[0], end)
    assert desk.message(message) == before
    assert trail(desk, message)[-1][0] == event
    assert row(desk, delivery)["state"] == end
    assert row(desk, delivery)["unsure"] is (end is DeliveryState.HELD)
    assert replay(desk, delivery)[0] == 0
    assert [item.id for item in claimed(desk)] == [delivery]


def test_what_cannot_be_handed_over_again_in_time_is_held_and_its_message_stays_delivered(desk: Desk) -> None:
    message, delivery = delivered(desk)
    before = desk.message(message)
    replay(desk, delivery)
    assert asyncio.run(outbox(desk).give_up("customs", LONG_AFTER, "over", LONG_AFTER)) == 1
    assert (row(desk, delivery)["state"], row(desk, delivery)["unsure"]) == (DeliveryState.HELD, True)
    assert desk.message(message) == before
    assert trail(desk, message)[-1][:2] == ("delivery_held", "gateway")


def test_what_was_taken_goes_nowhere_else_though_its_back_end_is_down(desk: Desk) -> None:
    _message, delivery = delivered(desk)
    to = {"alternatives": ["other"]}
    own = update(deliveries).where(deliveries.c.id == delivery)
    desk.database.submit(lambda store: store.connection.execute(own, to)).result()
    replay(desk, delivery)
    settled(desk, claimed(desk)[0], DeliveryState.PENDING)  # asked, it has it not; and then it was down
    assert asyncio.run(outbox(desk).divert("customs", {"other"}, "down", LATER)) == 0
    assert row(desk, delivery)["destination"] == "customs"


def related(desk: Desk) -> tuple[int, int]:
    """Two of one declaration, both delivered."""
    (_one, first), (_two, second) = delivered(desk, "R1"), delivered(desk, "R2")
    one = update(deliveries).where(deliveries.c.id.in_((first, second)))
    desk.database.submit(lambda store: store.connection.execute(one, {"about": "A" * 26})).result()
    return first, second


def test_of_two_about_one_declaration_the_first_does_not_overtake_the_second_from_behind(desk: Desk) -> None:
    first, second = related(desk)
    code, said = replay(desk, first)
    assert (code, f"{second} came after it about the same declaration" in said) == (1, True)
    assert replay(desk, second)[0] == 0
    assert replay(desk, first)[0] == 0
    (item,) = claimed(desk)
    assert item.id == first
    assert claimed(desk) == []  # the second waits for it
    settled(desk, item, DeliveryState.DELIVERED)
    assert [each.id for each in claimed(desk)] == [second]


def test_what_only_informs_keeps_nothing_from_being_handed_over_again(desk: Desk) -> None:
    first, second = related(desk)
    own = update(messages).where(messages.c.id == row(desk, second)["message"])
    informs = {"operation": "inform", "state": State.CLOSED}
    desk.database.submit(lambda store: store.connection.execute(own, informs)).result()
    assert replay(desk, first)[0] == 0


def test_of_two_offices_the_one_that_lost_it_gets_it_again(desk: Desk) -> None:
    message = desk.judged(BROKER, "R1.zip", packed(transit("import in advance", "R1"))).message
    while items := claimed(desk):
        for item in items:
            settled(desk, item, DeliveryState.DELIVERED)
    first, second = (each["id"] for each in desk.rows(deliveries, message=message))
    assert replay(desk, first)[0] == 0
    (item,) = claimed(desk)
    assert item.id == first
    settled(desk, item, DeliveryState.DELIVERED)
    assert row(desk, second)["state"] == DeliveryState.DELIVERED
    assert desk.message(message)["state"] == State.DELIVERED


def test_a_replay_of_its_message_names_the_command_that_does_it(desk: Desk) -> None:
    message, _delivery = delivered(desk)
    said = gateway(desk, "messages", "replay", message, "--from", "delivery", "--reason", "customs lost it")
    assert (said.code, "deliveries replay of its delivery" in said.err) == (1, True)


def test_where_a_replay_takes_two_persons_one_cannot_do_it_alone(desk: Desk) -> None:
    _message, delivery = delivered(desk)
    path = desk.home.path / "policy.toml"
    path.write_text(path.read_text("utf-8").replace("four_eyes = []", 'four_eyes = ["replay"]'), "utf-8")
    code, said = replay(desk, delivery)
    assert (code, "the policy has a second person for replay" in said) == (1, True)
    assert row(desk, delivery)["state"] == DeliveryState.DELIVERED
