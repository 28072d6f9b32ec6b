"""What waits for one thing is served in the order of receipt, and a newer version takes the older one's
place: whichever is judged first, however judgements and commits fall between one another."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any, Literal

import pytest

from adapters.store.apply import apply_notice
from adapters.store.database import Transaction
from adapters.store.tables.messages import agreements, messages
from gateway.model.agreements import Act, AgreementChange
from gateway.model.blobs import Package
from gateway.model.decision import Decision
from gateway.model.faults import Fault
from gateway.model.message import Arrival, Received, new_id
from gateway.model.states import State
from gateway.model.transition import Refusal
from tests.support.association import ACCOUNT, agreement, agreement_document
from tests.support.declarations import Declaration
from tests.support.harness import NOW, Harness
from tests.support.rendering import render

RUNS = 200
LATER = NOW + timedelta(hours=1)
LEASE = timedelta(minutes=15)


class Course:
    """Messages come, are judged by what stands in the store at that time, and are committed at any later."""

    def __init__(self, harness: Harness, seed: int = 2026) -> None:
        self._harness = harness
        self._random = Random(seed)  # noqa: S311  interleavings, no secret
        self._sent = 0
        self._at = LATER

    def send(self, *bodies: bytes) -> list[str]:
        """Received in this order."""
        sent = []
        for body in bodies:
            self._sent += 1
            at = NOW + timedelta(seconds=self._sent)
            package = Package.small(body)
            id_ = new_id(at, self._sent.to_bytes(10, "big"))
            arrival = Arrival(
                id=id_,
                account="broker-aa",
                channel="sftp",
                name=f"{self._sent}.xml",
                sha256=package.sha256,
                size=package.size,
                received_at=at,
            )
            asyncio.run(self._harness.messages.add(arrival, body=body))
            sent.append(id_)
        return sent

    def come(self, *numbers: str, **terms: Any) -> None:
        """The association tells of all of these in one commit, so that all that waits is woken at once."""
        arrival = Arrival(
            id="", account=ACCOUNT, channel="tests", name="n.xml", sha256="0", size=0, received_at=NOW
        )

        def scene(transaction: Transaction) -> None:
            for number in numbers:
                after = agreement(number, **terms)
                change = AgreementChange(after=after, act=Act.CONFIRMED, at=NOW, reason="", seen=0)
                apply_notice(transaction, change, arrival, ACCOUNT, NOW)

        self._harness.database.submit(scene).result()

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        """Until nothing is left: now one more is claimed and judged, now one that was judged is committed."""
        store, in_hand = self._harness.messages, list[tuple[Received, Decision]]()
        while True:
            at = self._at = self._at + timedelta(milliseconds=1)
            claimed = await store.claim(1, at, LEASE) if len(in_hand) < 6 else ()
            in_hand += [(item, self._harness.judgement(item, at)) for item in claimed]
            if not in_hand:
                return
            while in_hand and (not claimed or self._random.random() < 0.5):
                received, decision = in_hand.pop(self._random.randrange(len(in_hand)))
                if await store.decide(decision, at) is Refusal.SUPERSEDED:
                    await store.put_back(received, at, crashed=False)
                claimed = claimed or (received,)

    def ended(self, message: str) -> tuple[str, list[str]]:
        row = self._harness.message(message)
        return row["state"], [finding["code"] for finding in row["findings"]]


def numbered(run: int) -> str:
    return f"1952000{run:08}"


def declaration(
    reference: str, number: str, name: str = "深沟球轴承", direction: Literal["I", "E"] = "I"
) -> bytes:
    plain = Declaration(reference=reference, documents=(agreement_document(number),))
    line = replace(plain.lines[0], name=name)
    return render(replace(plain, lines=(line,), direction=direction))


@pytest.mark.slow
def test_of_two_versions_that_wait_the_newer_is_filed_whichever_is_judged_first(harness: Harness) -> None:
    course = Course(harness)
    pairs = [
        course.send(*(declaration(f"V{run}", numbered(run), name) for name in ("轴承", "滚珠轴承")))
        for run in range(RUNS)
    ]
    course.run()
    for older, newer in pairs:
        assert course.ended(older) == (State.REJECTED, [Fault.REPLACED.code])
        assert course.ended(newer) == (State.WAITING, [Fault.AWAITED.code])
    course.come(*map(numbered, range(RUNS)))
    course.run()
    for older, newer in pairs:
        assert course.ended(older)[0] == State.REJECTED
        assert course.ended(newer) == (State.ACCEPTED, [])


@pytest.mark.slow
def test_what_several_messages_wait_for_goes_to_the_first_received_that_fits(harness: Harness) -> None:
    course = Course(harness)

    def three(run: int) -> list[bytes]:
        # Of every fourth the first does not fit: the agreement is for imports.
        directions: tuple[Literal["I", "E"], ...] = ("E" if run % 4 == 0 else "I", "I", "I")
        return [
            declaration(f"{place}-{run}", numbered(run), f"轴承{place}", direction)
            for place, direction in zip("ABC", directions, strict=True)
        ]

    bodies = [three(run) for run in range(RUNS)]
    waiting = [course.send(*body[:2]) for body in bodies]
    course.run()
    assert {course.ended(message)[0] for group in waiting for message in group} == {State.WAITING}
    # One more comes while they are woken, and has not waited.
    fresh = [course.send(body[2]) for body in bodies]
    course.come(*map(numbered, range(RUNS)), direction="I")
    course.run()
    for run, (first, second) in enumerate(waiting):
        served = second if run % 4 == 0 else first
        (row,) = harness.rows(agreements, number=numbered(run))
        assert row["used_by"] == served
        for other in {first, second, *fresh[run]} - {served}:
            assert course.ended(other)[0] == State.REJECTED


def test_the_same_content_ends_as_a_repetition_of_the_one_that_waits(harness: Harness) -> None:
    course = Course(harness)
    first, again = course.send(*[declaration("R", numbered(1))] * 2)
    course.run()
    assert (course.ended(first)[0], course.ended(again)[0]) == (State.WAITING, State.CLOSED)
    assert harness.message(again)["linked"] == first
    rows = [row for row in harness.rows(messages) if row["id"] in (first, again)]
    assert [row["waiting_for"] for row in rows] == [f"agreement {numbered(1)}", None]


@pytest.mark.slow
def test_a_version_that_is_sent_again_after_a_change_counts_whichever_is_judged_first(
    harness: Harness,
) -> None:
    course = Course(harness)

    def three(run: int) -> list[bytes]:
        first, second = (declaration(f"V{run}", numbered(run), name) for name in ("轴承", "滚珠轴承"))
        return [first, second, first]

    all_sent = [course.send(*three(run)) for run in range(RUNS // 2)]
    course.run()
    course.come(*map(numbered, range(RUNS // 2)))
    course.run()
    for first, between, again in all_sent:
        ends = [course.ended(message)[0] for message in (first, between, again)]
        # It stands in the place of the first, which it repeats, or in its own.
        assert ends in (
            [State.ACCEPTED, State.REJECTED, State.CLOSED],
            [State.REJECTED, State.REJECTED, State.ACCEPTED],
        )


def test_a_newer_one_that_is_refused_replaces_nothing(harness: Harness) -> None:
    course = Course(harness)
    (older,) = course.send(declaration("R", numbered(1)))
    course.run()
    wrong = render(
        Declaration(reference="R", documents=(agreement_document(numbered(1)),), head={"TradeCode": "1"})
    )
    (newer,) = course.send(wrong)
    course.run()
    assert (course.ended(older)[0], course.ended(newer)[0]) == (State.WAITING, State.REJECTED)
    course.come(numbered(1))
    course.run()
    assert course.ended(older)[0] == State.ACCEPTED


def test_a_newer_one_that_is_accepted_at_once_replaces_the_one_that_waits(harness: Harness) -> None:
    course = Course(harness)
    (older,) = course.send(declaration("R", numbered(1)))
    course.run()
    course.come(numbered(2))
    (newer,) = course.send(declaration("R", numbered(2)))
    course.run()
    assert course.ended(older) == (State.REJECTED, [Fault.REPLACED.code])
    assert course.ended(newer)[0] == State.ACCEPTED
