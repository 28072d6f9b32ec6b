"""The transitions by a judgement: of its message, and of the messages that end with it."""

from datetime import datetime
from typing import Final

from gateway.model.agreements import AgreementChange, AgreementKind
from gateway.model.decision import (
    AgreementOutcome,
    Decision,
    DeclarationOutcome,
    DocumentsOutcome,
    Finished,
)
from gateway.model.faults import Fault
from gateway.model.file_names import listed_as
from gateway.model.message import ATTACHMENT
from gateway.model.states import Event, State
from gateway.model.transition import (
    BringDocuments,
    Columns,
    ConsumeAgreement,
    Effect,
    FirstInLine,
    InOrder,
    OweDocuments,
    RecordNotice,
    ReleaseHoldings,
    RepeatReceipts,
    Seen,
    StillMissing,
    StillReplaced,
    Submit,
    TakeKey,
    Transition,
    Wake,
    WakeVersions,
)
from gateway.model.waits import Awaited

ACTOR: Final = "gateway"
# The message is accepted, or sound so far.
_SOUND: Final = (Event.PASSED, Event.ACCEPTED_NO_DELIVERY, Event.WAITING)


def transitions(decision: Decision, now: datetime) -> list[Transition]:
    """The message's own transition, then those of the messages that end with it; all are written, or none."""
    ended = [_ended(each, Event.REPLACED, decision.message, now) for each in decision.replaced]
    ended += [_ended(each, Event.JOINED, decision.message, now) for each in decision.joined]
    columns = Columns(
        reason=decision.reason,
        linked=decision.linked,
        waiting_for=None if decision.wait is None else decision.wait.awaited,
        until=None if decision.wait is None else decision.wait.until,
    )
    if isinstance(decision.outcome, DeclarationOutcome):
        if decision.outcome.use is not None:
            columns["agreement"] = decision.outcome.use.agreement.number
        if decision.outcome.hint is not None:
            columns["hint"] = decision.outcome.hint
    own = Transition(
        message=decision.message,
        event=decision.event,
        actor=ACTOR,
        at=now,
        seen=Seen(fence=decision.fence, state=State.RECEIVED, name=decision.name),
        detail={
            "attempt": decision.attempt,
            "faults": [finding.rule or finding.code for finding in decision.findings],
            "reason": decision.reason,
            "linked": decision.linked,
            "waiting_for": None if decision.wait is None else str(decision.wait.awaited),
            **decision.trail,
        },
        columns=columns,
        findings=decision.findings,
        facts=decision.facts,
        receipts=decision.receipts,
        effects=_effects(decision),
    )
    return [own, *ended]


def _ended(finished: Finished, event: Event, by: str, now: datetime) -> Transition:
    return Transition(
        message=finished.message,
        event=event,
        actor=ACTOR,
        at=now,
        seen=Seen(state=State.WAITING, name=finished.name),
        detail={"linked": by, "faults": [finding.code for finding in finished.findings]},
        columns=Columns(linked=by),
        findings=finished.findings,
        receipts=finished.receipts,
    )


def _effects(decision: Decision) -> tuple[Effect, ...]:
    effects: list[Effect] = []
    facts, event = decision.facts, decision.event
    if event is Event.REFUSED:
        effects.append(ReleaseHoldings(reason="judged again"))
        if facts is not None and any(found.code == Fault.REPLACED.code for found in decision.findings):
            effects.append(StillReplaced(facts=facts))
    seen = decision.outcome.seen if isinstance(decision.outcome, AgreementOutcome) else decision.against
    if seen is not None:
        effects.append(InOrder(agreement=seen.number, seen=seen.revision))
    if facts is not None and event in _SOUND and facts.key.type != ATTACHMENT:
        effects.append(WakeVersions(facts=facts))
    if facts is not None and event in (Event.PASSED, Event.ACCEPTED_NO_DELIVERY):
        effects.append(TakeKey(key=facts.key, expected=decision.holder))
    if decision.submissions:
        effects.append(Submit(submissions=decision.submissions))
    if event is Event.REPEATED and decision.linked is not None:
        effects.append(RepeatReceipts(earlier=decision.linked))
    if decision.wait is not None:
        replaced = tuple(each.message for each in decision.replaced)
        effects.append(StillMissing(wait=decision.wait, replaced=replaced))
    if taken := _for_one(decision):
        effects.append(FirstInLine(taken=taken))
    match decision.outcome:
        case DeclarationOutcome(use=use, obligation=obligation, brings=brings):
            if use is not None:
                effects.append(ConsumeAgreement(registered=use))
            if obligation is not None:
                effects.append(OweDocuments(obligation=obligation, brought=brings))
            elif brings and decision.linked is not None:
                effects.append(BringDocuments(declaration=decision.linked, documents=brings))
        case AgreementOutcome(change=AgreementChange() as change, holds=holds):
            effects.append(RecordNotice(change=change, holds=holds))
        case DocumentsOutcome(belongs_to=declaration, brings=brings) if brings:
            effects.append(BringDocuments(declaration=declaration.id, documents=brings))
    effects += [Wake(awaited=awaited) for awaited in decision.brings]
    return tuple(effects)


def _for_one(decision: Decision) -> tuple[Awaited, ...]:
    """What the message takes that only one can have: files that came separately, by each name under which
    another may list them, and an agreement for one shipment that it has not used up before."""
    taken: list[Awaited] = []
    if decision.facts is not None:
        party = decision.facts.key.party
        taken += [Awaited.document(party, name) for each in decision.joined for name in listed_as(each.name)]
    if isinstance(decision.outcome, DeclarationOutcome) and decision.outcome.use is not None:
        agreement = decision.outcome.use.agreement
        if agreement.kind is AgreementKind.PER_SHIPMENT and agreement.used_by != decision.message:
            taken.append(Awaited.agreements([agreement.number]))
    return tuple(taken)
