"""Operators' requests: an act on many messages, or one that needs the approval of a second person.

A request is stored with its messages before anything is done. It is then carried out message by message, each
once, by whichever process resumes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from gateway.model.policy import OperationsPolicy
from gateway.operate.message_actions import Impossible, MessageAct, ReplayStage


class RequestStatus(StrEnum):
    """The status of a request."""

    ASKED = "asked"  # waits for a second person
    OPEN = "open"  # may be carried out, and goes on where it was left
    DONE = "done"
    REFUSED = "refused"  # by the second person; nothing was carried out


class ItemOutcome(StrEnum):
    """What became of one message of a request."""

    OPEN = "open"
    DONE = "done"
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTerms:
    """What is asked for, by whom and why. `criteria` holds the criteria of the choice, as plain values;
    because of `key` the same request has no second effect."""

    act: MessageAct
    stage: ReplayStage | None
    criteria: dict[str, str] = field(default_factory=dict)
    reason: str
    actor: str
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkRequest:
    """A request as the store has it. `approved_by` is None where no second person was needed."""

    id: str
    request: RequestTerms
    progress: RequestStatus
    approved_by: str | None
    created_at: datetime

    @property
    def event_details(self) -> dict[str, str]:
        """The details for the event of each of its messages."""
        both = {"undertaking": self.id, "approved_by": self.approved_by}
        return {key: value for key, value in both.items() if value}


class OtherRequest(Exception):
    """The request key was used before for a different request."""


class NothingChosen(Exception):
    """No message meets the criteria; nothing is written."""


def check_same(before: RequestTerms, again: RequestTerms) -> None:
    """Raises `OtherRequest` unless both ask for the same: act, stage and messages. Who asks and
    for what reason makes no difference."""
    if (before.act, before.stage, before.criteria) != (again.act, again.stage, again.criteria):
        raise OtherRequest(f"the request key {again.key} was used before, for another act or other messages")


class NeedsApproval(Exception):
    """The policy has a second person for this act: it needs a request."""


def needs_approval(act: str, policy: OperationsPolicy) -> bool:
    """Whether the policy has a second person for the act, however few messages it is on (four eyes)."""
    return act in policy.four_eyes


def initial_status(act: MessageAct, messages: Sequence[str], policy: OperationsPolicy) -> RequestStatus:
    """`OPEN` where it may be carried out at once, else `ASKED`: it waits for a second person."""
    waits = needs_approval(act, policy) or len(messages) >= policy.four_eyes_from
    return RequestStatus.ASKED if waits else RequestStatus.OPEN


def check_decision(present: RequestStatus, asked_by: str, actor: str, decision: RequestStatus) -> None:
    """Raises `Impossible` where the request no longer waits for a decision, or where its author would approve
    it. The author may refuse it, like anybody else."""
    if present is not RequestStatus.ASKED:
        raise Impossible(f"it is {present}; nobody has to decide on it")
    if decision is RequestStatus.OPEN and asked_by == actor:
        raise Impossible(f"{actor} asked for it; another person has to approve it")


def check_still(request: RequestTerms, chosen_at: datetime, moved_at: datetime) -> None:
    """Raises `Impossible` where the message changed since it was chosen: of two requests for the same
    messages the second has no effect. A hold applies to whatever state the message has."""
    if request.act is not MessageAct.HOLD and moved_at > chosen_at:
        raise Impossible("it has gone on since it was chosen; look at it again")
