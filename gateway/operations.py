"""What operators may do to a message: each a transition with a named actor and a reason.

Hold stops a message wherever customs does not have it yet. Release ends that: the message goes on where it
was stopped. Replay does the same to a held one and, beyond that, takes up a rejected one. Reject refuses a
message: its sender gets the final receipt, and what the message had taken comes free.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gateway.agreements import Used
from gateway.concerned import told_of_freeing
from gateway.faults import Fault, Finding, finding
from gateway.message import Facts, Receipt, Received
from gateway.pipeline import Rules
from gateway.ports import Register, Signer
from gateway.stages.receipt import Known, Verdict, gateway_receipt, refusal, wanted
from gateway.states import TRANSITIONS, DeliveryState, Event, State


class Act(StrEnum):
    """The words of the command line."""

    HOLD = "hold"
    RELEASE = "release"
    REJECT = "reject"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True)
class Sent:
    """A delivery of a message. `unsure`: it was held while its outcome was not known."""

    state: DeliveryState
    unsure: bool = False

    @property
    def may_be_taken(self) -> bool:
        """Customs may have it. `PENDING` is not sent, or was sent and is known not to be taken."""
        if self.state is DeliveryState.HELD:
            return self.unsure
        return self.state not in (DeliveryState.PENDING, DeliveryState.REFUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A message at rest, as far as it decides what may be done to it. What was accepted has deliveries."""

    state: State
    deliveries: tuple[Sent, ...] = ()


class Impossible(Exception):
    """An act that is not possible now; the message stays as it was. The text says what is possible."""


def event_of(act: Act, standing: Standing) -> Event:
    """What an act means for a message. Raises `Impossible`.

    A message that was accepted keeps its verdict and is delivered again under its submission key; any other
    is judged again. What customs may have cannot be rejected: the sender would declare it a second time.
    """
    event = _event(act, standing)
    if event is None:
        raise Impossible(_instead(act, standing))
    if event is Event.DISMISSED and any(each.may_be_taken for each in standing.deliveries):
        raise Impossible(
            "it cannot be rejected, since customs may have it; possible: release (customs is asked whether "
            "it has it before it is sent again)"
        )
    return event


def possible(standing: Standing) -> tuple[Act, ...]:
    """The acts that `event_of` lets pass."""
    sent = any(each.may_be_taken for each in standing.deliveries)
    return tuple(act for act in Act if _event(act, standing) is not None and not (sent and act is Act.REJECT))


def _event(act: Act, standing: Standing) -> Event | None:
    resumed = Event.RESUMED if standing.deliveries else Event.REPLAYED
    event = {
        Act.HOLD: Event.STOPPED,
        Act.RELEASE: resumed if standing.state is State.HELD else None,
        Act.REPLAY: resumed,
        Act.REJECT: Event.DISMISSED,
    }[act]
    return event if event in TRANSITIONS[standing.state] else None


def _instead(act: Act, standing: Standing) -> str:
    others = ", ".join(possible(standing)) or "nothing; it goes on or has ended by itself"
    return f"a message that is {standing.state} cannot be {_DONE[act]}; possible: {others}"


_DONE = {Act.HOLD: "held", Act.RELEASE: "released", Act.REJECT: "rejected", Act.REPLAY: "replayed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """A message that is to be rejected, as the store has it; `revision` is for the commit that follows.

    `facts` are None where its judgement never came so far; `uses` is the agreement that it used up, if any.
    """

    received: Received
    facts: Facts | None
    linked: str | None
    uses: Used | None
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dismissal:
    """A rejection by an operator: everything that one commit writes."""

    message: str
    revision: int
    findings: tuple[Finding, ...]
    receipts: tuple[Receipt, ...]
    trail: dict[str, str]


def dismissal(
    stopped: Stopped, reason: str, rules: Rules, register: Register, signer: Signer, now: datetime
) -> Dismissal:
    """The final receipt of a message that an operator rejects, and what others are told of it.

    By what the store knows of it: the package itself may be what no judgement survives, so it is not opened.
    """
    received, arrival = stopped.received, stopped.received.arrival
    party = register.party_of(arrival.account)
    known = Known(party=party, facts=stopped.facts, linked=stopped.linked)
    findings = (finding(Fault.DISMISSED, detail=reason),)
    receipt = gateway_receipt(
        received, Verdict.REJECTED, known, findings, rules.families, rules.policy, signer, now
    )
    answers: Sequence[Receipt] = refusal(received, known, findings, rules.families, now)
    freed: tuple[Receipt, ...] = ()
    if stopped.uses is not None and stopped.facts is not None:
        reference = stopped.facts.key.reference
        drafts = told_of_freeing(stopped.uses, arrival.id, reference, "", register, party, now)
        freed = tuple(draft.receipt(signer.sign(draft.root)) for draft in drafts)
    return Dismissal(
        message=arrival.id,
        revision=stopped.revision,
        findings=findings,
        receipts=wanted([receipt, *answers], party) + freed,
        trail={
            "rules": rules.families.digest,
            "policy": rules.policy.digest,
            "receipt": hashlib.sha256(receipt.body).hexdigest(),
        },
    )
