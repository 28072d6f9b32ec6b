"""A change of one message, as a value. Pure code makes it; the store's `apply` writes it, and nothing else
changes the state of a message.

A transition names what it was decided on (`Seen`). Where that is otherwise by the time of the commit, nothing
of it is written, nor of those that stand or fall with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
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
    """What a transition changes of its message beyond what follows from the state."""

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
    """What a transition was decided on; None where it makes no difference. `attempt` is that of a judgement:
    one that comes after its lease went to another is late."""

    revision: int | None = None
    attempt: int | None = None
    state: State | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeKey:
    """The message becomes the accepted one under its key (CONTRACT.md, "Duplicates"). `expected` is the one
    that held it when this was judged, None where nobody did."""

    key: Key
    expected: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeVersions:
    """The message is sound: other versions of it that wait are judged again, and end by it. Superseded where
    there is one by which it would end itself, since it was judged."""

    facts: Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit:
    """Its submissions are to be sent."""

    submissions: tuple[Submission, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldDeliveries:
    """Those that wait to be sent are held."""

    note: str


@dataclass(frozen=True, slots=True)
class WithdrawDeliveries:
    """All are taken back: customs has none of them, and what is judged again may need their keys."""


@dataclass(frozen=True, slots=True)
class SendAgain:
    """What customs has not taken is sent again, once the back-end was asked what became of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAt:
    """These back-ends answered for it, so that they have it, whatever became of the attempts to send it."""

    backends: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OvertakePending:
    """The message goes on after a final receipt: what pending ones said before holds no longer, and is said
    again where it comes to the same (CONTRACT.md, "Receipts")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatReceipts:
    """The receipts of an earlier message are given again, byte for byte, under the file name of this one."""

    earlier: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseHoldings:
    """What an accepted message had taken is released: the agreement that it used, the documents that it owes,
    and its key. The key goes to the message that it corrected or updated, where that still stands."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseAgreement:
    """The agreement that it used may be used again."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StillMissing:
    """Superseded where the thing that it waits for came while it was judged: nothing would wake it then.
    `replaced` are messages that end with this one, and are not that thing."""

    wait: Wait
    replaced: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstInLine:
    """Superseded where another message that lists this file of the party was received first and waited for
    it."""

    party: str
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumeAgreement:
    """The message was accepted under an agreement: one for a single shipment is used up by it. Superseded
    where the agreement, or the mandate that it stands under, has changed since: of two that need the same
    one, the second is judged again and finds it used."""

    registered: RegisteredAgreement


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordNotice:
    """What a notice of the association makes of an agreement. Superseded where that has changed since. With
    `holds`, what was accepted under the agreement and customs has not taken is held."""

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
    """Customs released the declaration: what is missing of documents that follow a release is due."""

    due_at: datetime
    remind_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskForDocuments:
    """The parties of the declaration are to be asked for documents."""

    why: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wake:
    """A thing is there: what waits for it is judged again."""

    thing: Awaited


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

    `detail` is for the log; a digest named `receipt` in it stands there only where that receipt was given.
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
    """What happened and leaves the message as it is: a line in the log. `word` is an event, or one of the
    words that are only logged."""

    message: str
    word: str
    actor: str
    at: datetime
    detail: Mapping[str, object] = field(default_factory=dict)


def hold(message: str, actor: str, reason: str, at: datetime, **detail: object) -> Transition:
    """Stops a message with its deliveries that wait. A judgement that is under way comes too late."""
    return Transition(
        message=message,
        event=Event.HELD,
        actor=actor,
        at=at,
        detail={"reason": reason, **detail},
        # What it waited for, it may wait for anew when it goes on.
        columns=Columns(reason=reason),
        effects=(HoldDeliveries(note=reason),),
    )
