"""Acts on one of two deliveries: the message and its deliveries agree after each, or the act is refused."""

import asyncio
import itertools
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.home.actor import actor
from adapters.home.clock import utc_now
from adapters.sandbox.customs.customs import ReferenceCustoms
from adapters.store.tables.messages import deliveries
from adapters.store.write.deliveries import SqlOutbox
from gateway.model.delivery import Outgoing
from gateway.model.states import TRANSITIONS, DeliveryState, Event, State
from gateway.operate.delivery_actions import DeliveryAct, step_of
from gateway.operate.message_actions import Impossible
from tests.support.harness import LATER, Harness
from tests.support.invariants import violations
from tests.support.operating import BROKER, gateway, trail
from tests.support.rendering import packed
from tests.system.test_transit import transit

PENDING, HELD, REFUSED = DeliveryState.PENDING, DeliveryState.HELD, DeliveryState.REFUSED


def test_after_every_act_that_is_let_pass_message_and_deliveries_agree() -> None:
    passed = 0
    for act, present, message, other in itertools.product(DeliveryAct, DeliveryState, State, DeliveryState):
        try:
            step = step_of(act, present, message, [other])
        except Impossible:
            continue
        passed += 1
        after = message if step.event is None else TRANSITIONS[message][step.event]
        states = {step.delivery, other}
        if after is State.ACCEPTED:
            assert states & {PENDING, DeliveryState.SENDING, DeliveryState.UNKNOWN}
        elif after is State.DELIVERED:
            assert (step.delivery, step.event) == (DeliveryState.UNKNOWN, None)
        else:
            assert after is State.HELD
            assert states & {HELD, REFUSED}
    assert passed > 10


def unsound(harness: Harness) -> list[str]:
    """What does not hold of the home; nothing was really sent to customs."""
    return [
        violation for violation in violations(harness.home) if "customs knows nothing of it" not in violation
    ]


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    with Harness.at(tmp_path / "home") as opened:
        ReferenceCustoms(
            opened.home.path / "backends" / "customs", opened.home.certificate.read_text(), lambda: LATER
        ).close()
        yield opened
        assert unsound(opened) == []


def two(harness: Harness) -> tuple[str, int, int]:
    """A message in transit, and its deliveries to the two offices."""
    decision = harness.judged(BROKER, "R1.zip", packed(transit("import in advance", "R1")))
    assert decision.event is Event.PASSED
    first, second = harness.rows(deliveries, message=decision.message)
    return decision.message, first["id"], second["id"]


def sent(harness: Harness) -> list[Outgoing]:
    outbox = SqlOutbox(harness.database, timedelta(hours=24))
    return list(asyncio.run(outbox.claim("customs", 10, LATER + timedelta(days=3650))))


def settled(harness: Harness, delivery: Outgoing, state: DeliveryState) -> None:
    outbox = SqlOutbox(harness.database, timedelta(hours=24))
    asyncio.run(outbox.settle(delivery, state, "", LATER, LATER))


def act(harness: Harness, verb: str, delivery: int) -> tuple[int, str]:
    result = gateway(harness, "deliveries", verb, str(delivery), "--reason", "tests")
    return result.code, result.out + result.err


def test_the_delivery_to_one_office_is_held_while_the_other_is_made_and_then_goes_on(
    harness: Harness,
) -> None:
    message, first, second = two(harness)
    assert act(harness, "hold", second) == (0, f"{second} is held, its message accepted\n")
    (delivery,) = sent(harness)
    assert delivery.id == first
    settled(harness, delivery, DeliveryState.DELIVERED)
    assert (harness.message(message)["state"], harness.message(message)["reason"]) == (State.HELD, "tests")
    assert unsound(harness) == []
    assert act(harness, "release", second) == (0, f"{second} is unknown, its message accepted\n")
    (delivery,) = sent(harness)
    assert (delivery.id, delivery.unknown) == (second, True)
    settled(harness, delivery, DeliveryState.DELIVERED)
    assert harness.message(message)["state"] == State.DELIVERED
    logged = [(event, who) for event, who, _detail in trail(harness, message)[2:]]
    assert logged == [
        ("delivery_held", actor()),
        (Event.TAKEN, "gateway"),
        (Event.HELD, "gateway"),
        (Event.RESUMED, actor()),
        (Event.TAKEN, "gateway"),
    ]


def test_the_one_that_was_refused_is_sent_again_alone(harness: Harness) -> None:
    message, first, _second = two(harness)
    for delivery in sent(harness):
        settled(harness, delivery, REFUSED if delivery.id == first else DeliveryState.DELIVERED)
    assert harness.message(message)["state"] == State.HELD
    assert act(harness, "release", first)[0] == 1
    assert act(harness, "replay", first)[0] == 0
    assert [delivery.id for delivery in sent(harness)] == [first]


def test_the_last_one_is_held_with_its_message_only(harness: Harness) -> None:
    _message, first, second = two(harness)
    assert act(harness, "hold", first)[0] == 0
    code, output = act(harness, "hold", second)
    assert (code, "use messages hold" in output) == (1, True)


def test_of_two_held_deliveries_one_cannot_go_on_alone(harness: Harness) -> None:
    message, first, _second = two(harness)
    gateway(harness, "messages", "hold", message, "--reason", "tests")
    code, output = act(harness, "release", first)
    assert (code, "use messages release" in output) == (1, True)


def test_a_delivery_is_shown_with_its_events_and_listed_by_destination(harness: Harness) -> None:
    message, first, second = two(harness)
    act(harness, "hold", second)
    shown = gateway(harness, "deliveries", "show", str(second), "--json").json
    assert (shown["message"], shown["state"]) == (message, "held")
    assert [(event["event"], event["note"]) for event in shown["events"]] == [("delivery_held", "tests")]
    for filters, expected in (
        (("--state", "held"), [second]),
        (("--account", BROKER, "--destination", "customs"), [first, second]),
        (("--destination", "nowhere"), []),
        (("--older", "1d"), []),
        (("--since", "2h"), [first, second]),
        (("--since", "2h", "--state", "held"), [second]),
        (("--since", f"{utc_now() + timedelta(days=2):%Y-%m-%d}"), []),
    ):
        listed = gateway(harness, "deliveries", "list", *filters, "--json").json
        assert [row["id"] for row in listed] == expected
    assert gateway(harness, "deliveries", "show", "999").code == 1
    assert act(harness, "hold", 999)[0] == 1


def test_the_deliveries_of_a_message_are_listed_by_whatever_names_it(harness: Harness) -> None:
    message, first, second = two(harness)
    reference = harness.message(message)["reference"]
    for named in (message, reference):
        listed = gateway(harness, "deliveries", "list", "--message", named, "--json").json
        assert [row["id"] for row in listed] == [first, second]
    assert gateway(harness, "deliveries", "list", "--message", "NOBODY", "--json").code == 1
