"""The two state machines: the whole table is walked, so that a transition added in haste shows here."""

import itertools
import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docs.generate import ROOT
from gateway.model.states import (
    TRANSITIONS,
    CustomsStatus,
    DeliveryState,
    Event,
    IllegalTransition,
    State,
    advance,
    further,
)

STATUSES = st.sampled_from(CustomsStatus)


def _reachable_from(start: State) -> set[State]:
    reached, waiting = {start}, [start]
    while waiting:
        for state in TRANSITIONS[waiting.pop()].values():
            if state not in reached:
                reached.add(state)
                waiting.append(state)
    return reached


def test_the_states_of_a_message_are_those_of_the_contract() -> None:
    names = ["received", "waiting", "accepted", "delivered", "closed", "rejected", "held"]
    assert [state.value for state in State] == names
    assert set(TRANSITIONS) == set(State)


def test_every_state_can_be_reached_from_received() -> None:
    assert _reachable_from(State.RECEIVED) == set(State)


@pytest.mark.parametrize("state", State)
def test_every_state_can_end_closed_or_rejected(state: State) -> None:
    assert _reachable_from(state) & {State.CLOSED, State.REJECTED}


def test_an_event_leads_where_the_table_says_and_one_that_it_leaves_out_is_refused() -> None:
    """In one case: the pair that breaks it is named by the assertion."""
    for state, event in itertools.product(State, Event):
        if event in TRANSITIONS[state]:
            assert advance(state, event) is TRANSITIONS[state][event]
            continue
        with pytest.raises(IllegalTransition) as caught:
            advance(state, event)
        assert (caught.value.state, caught.value.event) == (state, event)


def test_each_event_but_the_first_happens_somewhere() -> None:
    happening = {event for events in TRANSITIONS.values() for event in events}
    assert happening == set(Event) - {Event.RECEIVED}


def test_a_verdict_is_given_to_a_message_that_is_to_be_judged_and_to_no_other() -> None:
    for event in (Event.PASSED, Event.REFUSED, Event.REPEATED, Event.WAITING):
        assert [state for state in State if event in TRANSITIONS[state]] == [State.RECEIVED]


def test_a_rejected_message_moves_by_a_replay_and_by_its_senders_rename_alone() -> None:
    assert set(TRANSITIONS[State.REJECTED]) == {Event.REPLAYED, Event.RENAMED}


def test_nothing_leaves_closed() -> None:
    assert set(TRANSITIONS[State.CLOSED].values()) == {State.CLOSED}


def test_the_diagram_in_the_readme_shows_each_transition_and_no_other() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = {
        (before, event, after)
        for before, after, events in re.findall(r"^ +(\w+) --> (\w+): ([\w, ]+)$", readme, re.MULTILINE)
        for event in events.split(", ")
    }
    assert shown == {
        (state.value, event.value, after.value)
        for state, events in TRANSITIONS.items()
        for event, after in events.items()
    }


def test_customs_statuses_rank_as_the_contract_lists_them() -> None:
    names = "none imported stored reviewed supplement_asked paper_asked inspection duty_due released closed"
    assert [status.value for status in sorted(CustomsStatus, key=lambda status: status.rank)] == [
        *names.split(),
        "deleted",
        "refused",
    ]


@given(st.lists(STATUSES), st.randoms())
def test_the_order_in_which_customs_answers_arrive_makes_no_difference(
    statuses: list[CustomsStatus], shuffler: Random
) -> None:
    shuffled = list(statuses)
    shuffler.shuffle(shuffled)
    assert _after(shuffled) is _after(statuses)


@given(st.lists(STATUSES, min_size=1), st.data())
def test_an_answer_that_comes_twice_makes_no_difference(
    statuses: list[CustomsStatus], data: st.DataObject
) -> None:
    again = data.draw(st.sampled_from(statuses))
    assert _after([*statuses, again]) is _after(statuses)


@given(STATUSES, STATUSES)
def test_a_customs_status_never_goes_back(present: CustomsStatus, answered: CustomsStatus) -> None:
    assert further(present, answered).rank >= present.rank


def _after(statuses: list[CustomsStatus]) -> CustomsStatus:
    status = CustomsStatus.NONE
    for answered in statuses:
        status = further(status, answered)
    return status


def test_customs_is_done_with_a_declaration_that_is_closed_deleted_or_refused() -> None:
    assert {status.value for status in CustomsStatus if status.final} == {"closed", "deleted", "refused"}


def test_the_states_of_a_delivery_are_those_of_the_contract() -> None:
    names = "pending sending unknown delivered refused held"
    assert [state.value for state in DeliveryState] == names.split()
