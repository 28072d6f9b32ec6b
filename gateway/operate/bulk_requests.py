"""What operators ask for beyond one act at once: an act on many messages, or one that takes a second person.

An undertaking is written before anything is done, with the messages that it means. Then it is done message by
message, each once, by whoever goes on with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from gateway.model.policy import OperationsPolicy
from gateway.operate.message_actions import Act, Impossible, Stage


class Progress(StrEnum):
    """Where an undertaking is."""

    ASKED = "asked"  # waits for a second person
    OPEN = "open"  # may be done, and goes on wherever it was left
    DONE = "done"
    REFUSED = "refused"  # by the second person; nothing of it was done


class Outcome(StrEnum):
    """What became of one message of an undertaking."""

    OPEN = "open"
    DONE = "done"
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTerms:
    """What is asked for, by whom and why. `wanted` is what it was chosen by, as plain values; `key` makes the
    same request again have no second effect."""

    act: Act
    stage: Stage | None
    wanted: dict[str, str] = field(default_factory=dict)
    reason: str
    actor: str
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkRequest:
    """A request as the store has it. `approved_by` is None where it took no second person."""

    id: str
    request: RequestTerms
    progress: Progress
    approved_by: str | None
    created_at: datetime

    @property
    def told(self) -> dict[str, str]:
        """What stands in the event of each of its messages."""
        both = {"undertaking": self.id, "approved_by": self.approved_by}
        return {key: value for key, value in both.items() if value}


class OtherRequest(Exception):
    """The request key was used before, for something else."""


class NothingChosen(Exception):
    """No message meets what was asked for; nothing is written."""


def check_same(before: RequestTerms, again: RequestTerms) -> None:
    """Raises `OtherRequest` unless both ask for the same: act, stage and messages. Whose hand it was and in
    what words makes no difference."""
    if (before.act, before.stage, before.wanted) != (again.act, again.stage, again.wanted):
        raise OtherRequest(f"the request key {again.key} was used before, for another act or other messages")


def initial_status(act: Act, messages: Sequence[str], policy: OperationsPolicy) -> Progress:
    """Whether it may be done at once, or waits for a second person first (four eyes)."""
    asked = act.value in policy.four_eyes or len(messages) >= policy.four_eyes_from
    return Progress.ASKED if asked else Progress.OPEN


def check_decision(present: Progress, asked_by: str, actor: str, decision: Progress) -> None:
    """Raises `Impossible` where nobody has to decide any more, or where who asked would approve itself. Who
    asked may take it back, as anybody may refuse it."""
    if present is not Progress.ASKED:
        raise Impossible(f"it is {present}; nobody has to decide on it")
    if decision is Progress.OPEN and asked_by == actor:
        raise Impossible(f"{actor} asked for it; another person has to approve it")


def check_still(request: RequestTerms, chosen_at: datetime, moved_at: datetime) -> None:
    """Raises `Impossible` where a message went on since it was chosen: of two requests for the same messages
    the second has no second effect. A hold is for whatever state it meets."""
    if request.act is not Act.HOLD and moved_at > chosen_at:
        raise Impossible("it has gone on since it was chosen; look at it again")
