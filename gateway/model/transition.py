"""A change of one message, as a value. Pure code makes it; the store's `apply` writes it, and nothing else
changes the state of a message.

A transition names the facts that it was decided on (`Seen`). If these have changed by the time of the commit,
neither it nor the transitions committed with it are written.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import TypedDict

from gateway.model.agreements import AgreementChange, RegisteredAgreement
from gateway.model.decision import Wait
from gateway.model.faults import Finding
from gateway.model.message import Facts, Key, Receipt, Submission
from gateway.model.obligation import Obligation
from gateway.model.risk_hint import Hint
from gateway.model.states import CustomsStatus, Event, State
from gateway.model.waits import Awaited


class Columns(TypedDict, total=False):
    """Columns of the message that a transition changes besides the state."""

    name: str
    reason: str
    linked: str | None
    waiting_for: Awaited | None
    until: datetime | None
    answer_due: datetime
    customs_status: CustomsStatus
    seq_no: str | None
    entry_id: str | None
    agreement: str
    hint: Hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The facts that a transition was decided on; None where one makes no difference. `fence` is that of
    a claim: if that was lost, the transition is late."""

    revision: int | None = None
    fence: int | None = None
    state: State | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeKey:
    """The message becomes the accepted one under its key (docs/for-brokers.md, "Sent twice"). `expected`
    is the one that held the key when this was judged, None where none did. Superseded where another one holds
    it now."""

    key: Key
    expected: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeVersions:
    """The message was found sound: its other waiting versions are judged again, and this one decides them.
    Superseded where another version decides this message: a later one with other content, or an earlier one
    with the same."""

    facts: Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit:
    """The submissions of the message are to be sent."""

    submissions: tuple[Submission, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldDeliveries:
    """Deliveries that wait to be sent are held."""

    note: str


@dataclass(frozen=True, slots=True)
class WithdrawDeliveries:
    """All deliveries are withdrawn: customs has none of them, and a new judgement may need their keys."""


@dataclass(frozen=True, slots=True)
class SendAgain:
    """Deliveries that customs has not taken are sent again, after the back-end was asked about them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAt:
    """These back-ends answered for the message, so they have it, whatever the outcome of the attempts to
    send."""

    backends: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OvertakePending:
    """The message goes on after a final receipt: pending receipts from before no longer count, and
    are sent again if the same applies again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatReceipts:
    """The receipts of an earlier message are sent again, byte for byte, under the file name of this one."""

    earlier: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StillReplaced:
    """A precondition: a later version with other content still replaces the message."""

    facts: Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class InOrder:
    """A precondition: a notice was judged by an agreement, in the order in which notices came. Superseded
    where the agreement has another revision than `seen`, or where something that the same account sent before
    is not decided yet."""

    agreement: str
    seen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseHoldings:
    """What an accepted message had taken is released: the agreement that it used, the documents that it owes,
    and its key. The key goes to the message that it corrected or updated, unless that is rejected."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseAgreement:
    """The agreement that the message used may be used again."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StillMissing:
    """Superseded where the thing that the message waits for came while it was judged: nothing would wake it
    later. `replaced` are messages that end with this one, and do not count as that thing."""

    wait: Wait
    replaced: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstInLine:
    """The message takes these things, which only one can have. Superseded where another one that was received
    first has waited for one of them, and is not decided yet."""

    taken: tuple[Awaited, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumeAgreement:
    """The message was accepted under an agreement: one for a single shipment is used up by it. Superseded
    where the agreement, or the mandate that it stands under, has changed since: of two that need the same
    one, the second is judged again and finds it used."""

    registered: RegisteredAgreement


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordNotice:
    """The change to an agreement by a notice of the association. Superseded where the agreement has changed
    since. With `holds`, messages accepted under it that customs has not taken are held."""

    change: AgreementChange
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OweDocuments:
    """The declaration owes documents; `brought` are the classes that came with it."""

    obligation: Obligation
    brought: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BringDocuments:
    """Document classes came later for a declaration that owes them."""

    declaration: str
    documents: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StartDeadline:
    """Customs released the declaration. If it lacks documents that are due after release, their deadline is
    set and the parties are asked for them, once."""

    due_at: datetime
    remind_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskForDocuments:
    """The parties of the declaration are to be asked for documents."""

    why: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wake:
    """A thing has come: messages that wait for it are judged again."""

    awaited: Awaited


Effect = (
    TakeKey
    | WakeVersions
    | Submit
    | HoldDeliveries
    | WithdrawDeliveries
    | SendAgain
    | KnownAt
    | OvertakePending
    | RepeatReceipts
    | StillReplaced
    | InOrder
    | ReleaseHoldings
    | ReleaseAgreement
    | StillMissing
    | FirstInLine
    | ConsumeAgreement
    | RecordNotice
    | OweDocuments
    | BringDocuments
    | StartDeadline
    | AskForDocuments
    | Wake
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One event of one message, and all that the commit of it writes.

    `detail` is for the log; a digest named `receipt` in it is only kept if that receipt was given.
    `findings` and `facts` take the place of those before, unless None. `effects` are written in their order,
    before the message itself.
    """

    message: str
    event: Event
    actor: str
    at: datetime
    seen: Seen = Seen()
    detail: Mapping[str, object] = field(default_factory=dict)
    columns: Columns = field(default_factory=Columns)
    findings: tuple[Finding, ...] | None = None
    facts: Facts | None = None
    receipts: tuple[Receipt, ...] = ()
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A line in the log that leaves the message as it is. `word` is an event, or one of the
    words that are only logged."""

    message: str
    word: str
    actor: str
    at: datetime
    detail: Mapping[str, object] = field(default_factory=dict)


class Refusal(Enum):
    """Why changes were not written: none of those that were to be committed together is."""

    LATE = "late"  # the lease of the judgement went to another attempt
    SUPERSEDED = "superseded"  # what they were decided on has changed: decide again


@dataclass(frozen=True, slots=True)
class Applied:
    """Changes were written; `state` is that of the last one's message."""

    state: State


class NotAsRead(Exception):
    """What was decided within a commit does not fit what the same commit has read: a failure of our own."""


def hold(message: str, actor: str, reason: str, at: datetime, **detail: object) -> Transition:
    """Holds a message and its waiting deliveries. The result of a judgement under way is dropped."""
    return Transition(
        message=message,
        event=Event.HELD,
        actor=actor,
        at=at,
        detail={"reason": reason, **detail},
        # When it goes on, it may wait anew for what it waited for.
        columns=Columns(reason=reason),
        effects=(HoldDeliveries(note=reason),),
    )
