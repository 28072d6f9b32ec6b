"""Whatever the association tells and whatever is declared, an agreement is used once, in force and in time.

Real notices of the association's own key and real declarations, judged and committed at a real store;
hypothesis chooses what happens, in which order.
"""

import asyncio
import shutil
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from adapters.store.read.agreements import show_agreement
from adapters.store.write.answers import SqlAnswers
from gateway.model.agreements import PROPOSED, Act, Agreement, AgreementKind, AgreementState
from gateway.model.china import china_date
from gateway.model.decision import Decision
from gateway.model.faults import Fault
from gateway.model.message import Received
from gateway.model.states import CustomsStatus, Event, State
from gateway.model.transition import Applied, Refusal
from tests.support.association import ACCOUNT, agreement, agreement_document, signed_notice
from tests.support.declarations import Declaration
from tests.support.harness import NOW, Harness
from tests.support.invariants import agreement_violations
from tests.support.rendering import render
from tests.support.stores import PARSED_ANSWER, customs_says_of, filed

DAY = china_date(NOW)
NUMBERS = ("195200016172325", "195200016172326")
ACTS = (PROPOSED, *(act for act in Act if act is not Act.FREED))
# Around the day on which everything here happens: it, what ended the day before, what begins the day after.
TERMS = st.sampled_from(
    [
        (date(2026, 1, 1), None),
        (DAY, DAY),
        (date(2026, 1, 1), DAY - timedelta(days=1)),
        (DAY + timedelta(days=1), None),
    ]
)
KINDS = st.sampled_from([AgreementKind.PER_SHIPMENT, AgreementKind.PER_SHIPMENT, AgreementKind.LONG_TERM])


class AgreementLife(RuleBasedStateMachine):
    accepted = Bundle("accepted")

    def __init__(self) -> None:
        super().__init__()
        self._folder = Path(mkdtemp(prefix="agreements-"))
        self._harness = Harness(self._folder / "home")
        self._answers = SqlAnswers(self._harness.database, lambda: NOW)
        self._agreements: dict[str, Agreement] = {}
        self._sent = 0

    def teardown(self) -> None:
        self._harness.close()
        shutil.rmtree(self._folder)

    @initialize(terms=st.tuples(TERMS, TERMS), kinds=st.tuples(KINDS, KINDS))
    def agree(self, terms: tuple[Any, Any], kinds: tuple[AgreementKind, AgreementKind]) -> None:
        for number, (since, until), kind in zip(NUMBERS, terms, kinds, strict=True):
            self._agreements[number] = agreement(number, valid_from=since, valid_until=until, kind=kind)

    @rule(target=accepted, number=st.sampled_from(NUMBERS), act=st.sampled_from(ACTS))
    def the_association_tells(self, number: str, act: Any) -> Any:
        body = signed_notice(self._harness.home, self._agreements[number], act, id=f"N{self._next()}")
        self._harness.judged(ACCOUNT, "notice.xml", body)
        return self._woken()

    @rule(target=accepted, number=st.sampled_from(NUMBERS), terms=TERMS)
    def its_sides_agree_on_other_terms(self, number: str, terms: tuple[date, date | None]) -> Any:
        since, until = terms
        other = replace(self._agreements[number], valid_from=since, valid_until=until)
        before = self._standing_of(number)
        body = signed_notice(self._harness.home, other, Act.AMENDED, id=f"N{self._next()}")
        decision = self._harness.judged(ACCOUNT, "notice.xml", body)
        after = self._standing_of(number)
        assert decision.event is not Event.REFUSED or after == before
        unused = (AgreementState.PROPOSED, AgreementState.IN_FORCE)
        if before is None or before["state"] in unused:
            assert after is not None
            assert after["state"] == (before or {"state": AgreementState.IN_FORCE})["state"]
            assert (after["valid_from"], after["valid_until"]) == (
                since.isoformat(),
                None if until is None else until.isoformat(),
            )
            self._agreements[number] = other
        else:
            assert after == before
        return self._woken()

    @rule(target=accepted, number=st.sampled_from(NUMBERS))
    def a_broker_declares(self, number: str) -> Any:
        return self._kept(self._commit(self._judged(self._received(number))))

    @rule(target=accepted, number=st.sampled_from(NUMBERS))
    def two_declarations_race(self, number: str) -> Any:
        racing = [self._judged(self._received(number)) for _ in range(2)]
        ended = [self._commit(decision) for decision in racing]
        if self._agreements[number].kind is AgreementKind.PER_SHIPMENT and ended[0].event is Event.PASSED:
            assert ended[1].event is Event.REFUSED
            assert Fault.AGREEMENT_UNFIT.code in {finding.code for finding in ended[1].findings}
        return self._kept(*ended)

    @rule(target=accepted, message=consumes(accepted), status=st.sampled_from(CustomsStatus))
    def customs_answers(self, message: str, status: CustomsStatus) -> Any:
        # Each declaration has a number of its own at customs.
        answers, seq_no = self._answers, f"I{message}"
        declaration = self._harness.declarations.target(
            replace(PARSED_ANSWER, seq_no=seq_no), message, "customs"
        )
        assert declaration is not None
        answer = customs_says_of(status, f"A{self._next()}".encode(), declaration)
        answer = replace(
            answer,
            parsed=replace(answer.parsed, seq_no=seq_no),
            effect=replace(answer.effect, seq_no=seq_no),
        )
        asyncio.run(filed(answers, [answer]))
        return multiple(message) if not status.final else multiple()

    @rule(target=accepted)
    def time_for_waiting_is_over(self) -> Any:
        self._harness.expired(NOW + timedelta(days=3))
        return self._woken()

    @invariant()
    def nothing_is_used_twice_or_out_of_its_life(self) -> None:
        with self._harness.database.engine.connect() as store:
            assert list(agreement_violations(store)) == []

    def _next(self) -> int:
        self._sent += 1
        return self._sent

    def _received(self, number: str) -> Received:
        reference = f"R{self._next()}"
        body = render(Declaration(reference=reference, documents=(agreement_document(number),)))
        return self._harness.received("broker-aa", f"{reference}.xml", body)

    def _judged(self, received: Received) -> tuple[Received, Decision]:
        at = received.arrival.received_at + timedelta(microseconds=self._next())
        return received, self._harness.judgement(received, at)

    def _commit(self, judged: tuple[Received, Decision]) -> Decision:
        """As the node does it: judged again where something else was committed meanwhile."""
        received, decision = judged
        before = self._standing(decision)
        outcome = asyncio.run(self._harness.messages.decide(decision, NOW))
        if outcome is Refusal.SUPERSEDED:
            asyncio.run(self._harness.messages.put_back(received, NOW, crashed=False))
            return self._commit(self._judged(self._harness.claimed(NOW + timedelta(days=3))))
        if outcome == Applied(State.ACCEPTED):
            assert before is not None
            assert before["state"] == AgreementState.IN_FORCE
            assert before["valid_from"] <= DAY.isoformat()
            assert before["valid_until"] is None or before["valid_until"] >= DAY.isoformat()
        return decision

    def _standing(self, decision: Decision) -> dict[str, Any] | None:
        """The agreement that the declaration shows, as it stands before the commit."""
        return self._standing_of("" if decision.facts is None else decision.facts.values.get("agreement", ""))

    def _standing_of(self, number: str) -> dict[str, Any] | None:
        with self._harness.database.engine.connect() as store:
            return show_agreement(store, number)

    def _woken(self) -> Any:
        """Judges what does not wait any more, as the node's loop would: one after the other where they were
        woken by one thing."""
        store, ended = self._harness.messages, list[Decision]()
        while woken := asyncio.run(store.claim(50, NOW + timedelta(days=3), timedelta(minutes=1))):
            ended += [self._commit(self._judged(received)) for received in woken]
        return self._kept(*ended)

    def _kept(self, *decisions: Decision) -> Any:
        return multiple(*(decision.message for decision in decisions if decision.event is Event.PASSED))


AgreementLife.TestCase.settings = settings(
    max_examples=8, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
TestAgreementLife = AgreementLife.TestCase
