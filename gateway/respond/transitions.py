"""The transitions of a declaration by customs answers: one for each answer, in their order."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from gateway.model.states import CustomsStatus, State
from gateway.model.transition import (
    AskForDocuments,
    Columns,
    Effect,
    KnownAt,
    ReleaseAgreement,
    Seen,
    StartDeadline,
    Transition,
)
from gateway.respond.ports import Matched

ACTOR: Final = "customs"


def transitions(chain: Sequence[tuple[Matched, str]], now: datetime) -> list[Transition]:
    """The transitions for the answers to one declaration, each given with the id under which it is filed. The
    first was decided on the declaration as it was read, each other one on the result of the one before."""
    first = chain[0][0].declaration
    return [
        _transition(matched, answer, now, Seen(revision=first.revision) if number == 0 else Seen())
        for number, (matched, answer) in enumerate(chain)
    ]


def _transition(matched: Matched, answer: str, now: datetime, seen: Seen) -> Transition:
    parsed, effect, declaration = matched.parsed, matched.effect, matched.declaration
    return Transition(
        message=declaration.message,
        event=effect.event,
        actor=ACTOR,
        at=now,
        seen=seen,
        detail={
            "kind": parsed.kind,
            "code": parsed.code,
            "step": parsed.step,
            "customs_status": effect.customs_status,
            "seq_no": parsed.seq_no,
            "entry_id": parsed.entry_id,
            "answer": answer,
            "sha256": matched.answer.sha256,
        },
        columns=Columns(
            customs_status=effect.customs_status,
            seq_no=effect.seq_no or None,
            entry_id=effect.entry_id or None,
        ),
        receipts=effect.receipts,
        effects=_effects(matched),
    )


def _effects(matched: Matched) -> tuple[Effect, ...]:
    effect, declaration = matched.effect, matched.declaration
    effects: list[Effect] = []
    if declaration.state in (State.ACCEPTED, State.HELD):
        effects.append(KnownAt(backends=(matched.backend,)))
    if effect.customs_status is CustomsStatus.REFUSED:
        effects.append(ReleaseAgreement(reason="refused by customs"))
    if effect.deadline is not None:
        deadline = effect.deadline
        effects.append(StartDeadline(due_at=deadline.due_at, remind_at=deadline.remind_at))
    if effect.asks is not None:
        effects.append(AskForDocuments(why=effect.asks, note=matched.parsed.note))
    return tuple(effects)
