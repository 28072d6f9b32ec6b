"""What the answers of customs change: a transition of the declaration for each of them, in their order."""

import hashlib
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
from gateway.respond.answer_intake import Matched

ACTOR: Final = "customs"


def transitions(chain: Sequence[tuple[Matched, str]], now: datetime) -> list[Transition]:
    """Those of the answers of one declaration, each with the id under which it is filed. The first was
    decided on the declaration as it was read, and each other one on what the one before it made of it."""
    first = chain[0][0].target
    return [
        _transition(matched, answer, now, Seen(revision=first.revision) if number == 0 else Seen())
        for number, (matched, answer) in enumerate(chain)
    ]


def _transition(matched: Matched, answer: str, now: datetime, seen: Seen) -> Transition:
    told, answered, target = matched.told, matched.answered, matched.target
    return Transition(
        message=target.message,
        event=answered.event,
        actor=ACTOR,
        at=now,
        seen=seen,
        detail={
            "kind": told.kind,
            "code": told.code,
            "step": told.step,
            "customs_status": answered.customs_status,
            "seq_no": told.seq_no,
            "entry_id": told.entry_id,
            "answer": answer,
            "sha256": hashlib.sha256(matched.answer.body).hexdigest(),
        },
        columns=Columns(
            customs_status=answered.customs_status,
            seq_no=answered.seq_no or None,
            entry_id=answered.entry_id or None,
        ),
        receipts=answered.receipts,
        effects=_effects(matched),
    )


def _effects(matched: Matched) -> tuple[Effect, ...]:
    answered, target = matched.answered, matched.target
    effects: list[Effect] = []
    if target.state in (State.ACCEPTED, State.HELD):
        effects.append(KnownAt(backends=(matched.backend,)))
    if answered.customs_status is CustomsStatus.REFUSED:
        effects.append(ReleaseAgreement(reason="refused by customs"))
    if answered.deadline is not None:
        deadline = answered.deadline
        effects.append(StartDeadline(due_at=deadline.due_at, remind_at=deadline.remind_at))
    if answered.asks is not None:
        effects.append(AskForDocuments(why=answered.asks, note=matched.told.note))
    return tuple(effects)
