"""What a judgement changes, as values; without a store."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.judge.transitions import transitions
from gateway.model.agreements import Agreement, AgreementKind, AgreementState, RegisteredAgreement
from gateway.model.decision import Decision, DeclarationOutcome, Finished, Wait
from gateway.model.message import ATTACHMENT, Facts, Key, Operation, Submission
from gateway.model.states import Event, State
from gateway.model.transition import (
    FirstInLine,
    ReleaseHoldings,
    RepeatReceipts,
    Seen,
    StillMissing,
    Submit,
    TakeKey,
    Transition,
    Wake,
    WakeVersions,
)
from gateway.model.waits import Awaited

NOW = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
KEY = Key(party="4401ABCDEF", family="cn-dec", type="DecMessage", reference="C-1")
FACTS = Facts(key=KEY, content="c", body="b", operation=Operation.DECLARE)
SUBMISSION = Submission(
    key="01", destination="customs", envelope=b"", package_sha256="", package_name="a.xml", package_size=1
)


def decision(event: Event, **changes: object) -> Decision:
    values: dict[str, object] = {"facts": FACTS, "name": "a.zip", **changes}
    return Decision(message="01", attempt=2, fence=2, event=event, **values)  # type: ignore[arg-type]


def own(event: Event, **changes: object) -> Transition:
    return transitions(decision(event, **changes), NOW)[0]


def kinds(transition: Transition) -> list[type]:
    return [type(effect) for effect in transition.effects]


def test_a_judgement_is_written_only_for_the_attempt_and_the_name_that_it_judged() -> None:
    assert own(Event.PASSED).seen == Seen(fence=2, state=State.RECEIVED, name="a.zip")


def test_an_accepted_message_takes_its_key_and_is_submitted() -> None:
    passed = own(Event.PASSED, submissions=(SUBMISSION,), holder="00")
    assert passed.effects == (
        WakeVersions(facts=FACTS),
        TakeKey(key=KEY, expected="00"),
        Submit(submissions=(SUBMISSION,)),
    )


def test_a_refused_message_releases_its_holdings_and_takes_no_key() -> None:
    assert kinds(own(Event.REFUSED)) == [ReleaseHoldings]


def test_a_repetition_gets_the_receipts_of_the_repeated_message() -> None:
    assert own(Event.REPEATED, linked="00").effects == (RepeatReceipts(earlier="00"),)


def test_a_wait_names_what_is_awaited_and_holds_only_while_that_is_missing() -> None:
    wait = Wait(awaited=Awaited.agreements(["7"]), seen=0, until=NOW + timedelta(hours=48))
    waits = own(Event.WAITING, wait=wait)
    assert waits.columns == {
        "reason": "",
        "linked": None,
        "waiting_for": wait.awaited,
        "until": wait.until,
    }
    assert StillMissing(wait=wait, replaced=()) in waits.effects


def test_a_separate_attachment_replaces_no_versions() -> None:
    alone = replace(FACTS, key=replace(KEY, type=ATTACHMENT))
    assert WakeVersions not in kinds(own(Event.WAITING, facts=alone))


@pytest.mark.parametrize(("field", "event"), [("joined", Event.JOINED), ("replaced", Event.REPLACED)])
def test_waits_that_end_with_a_decision_are_ended_in_its_commit_if_they_still_last(
    field: str, event: Event
) -> None:
    ended = Finished(message="02", name="x.pdf", receipts=())
    first, second = transitions(decision(Event.PASSED, **{field: (ended,)}), NOW)
    assert (first.message, second.message, second.event) == ("01", "02", event)
    assert second.seen == Seen(state=State.WAITING, name="x.pdf")
    assert second.columns == {"linked": "01"}
    files = (Awaited.document(KEY.party, "x.pdf"), Awaited.document(KEY.party, "x"))
    assert (FirstInLine(taken=files) in first.effects) is (event is Event.JOINED)


@pytest.mark.parametrize(
    ("kind", "used_by", "takes"),
    [
        (AgreementKind.PER_SHIPMENT, None, True),
        (AgreementKind.PER_SHIPMENT, "01", False),  # judged again after a replay: it has it already
        (AgreementKind.LONG_TERM, None, False),
    ],
)
def test_an_agreement_for_one_shipment_goes_to_the_first_that_waited_for_it(
    kind: AgreementKind, used_by: str | None, takes: bool
) -> None:
    agreement = Agreement(
        number="7",
        kind=kind,
        trader="T",
        broker="B",
        state=AgreementState.IN_FORCE,
        valid_from=NOW.date(),
        used_by=used_by,
    )
    use = RegisteredAgreement(agreement=agreement, revision=1, message="", name="n.xml", sha256="0", size=0)
    passed = own(Event.PASSED, outcome=DeclarationOutcome(use=use))
    assert (FirstInLine(taken=(Awaited.agreements(["7"]),)) in passed.effects) is takes


def test_an_accepted_message_wakes_those_that_wait_for_it() -> None:
    assert own(Event.WAITING, brings=(Awaited.document("P", "x.pdf"),)).effects[-1] == Wake(
        awaited=Awaited.document("P", "x.pdf")
    )
