"""The outcome of a judgement, as values."""

from dataclasses import dataclass, field
from datetime import datetime

from gateway.model.agreements import AgreementChange, RegisteredAgreement
from gateway.model.faults import Finding, MessageRejected
from gateway.model.message import DeclarationRecord, Facts, Receipt, Submission
from gateway.model.obligation import Obligation
from gateway.model.risk_hint import Hint
from gateway.model.states import Event
from gateway.model.waits import Awaited


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """A missing thing that a sound message waits for, and until when.

    `seen` is the thing's revision at the judgement, 0 where it did not exist: if that has changed since, the
    message is judged again.
    """

    awaited: Awaited
    seen: int
    until: datetime


class MustWait(Exception):
    """The message is sound so far, and waits. `shown` is what its sender is notified of."""

    def __init__(self, wait: Wait, *shown: Finding) -> None:
        super().__init__(str(wait.awaited))
        self.wait = wait
        self.shown = shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A waiting message that the judgement of another one ends, the name under which it was found, and what
    its sender is notified of."""

    message: str
    name: str
    receipts: tuple[Receipt, ...]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclarationOutcome:
    """`hint` is how its risk was assessed; `use` the agreement that it is made under (None where nobody acts
    for another); `obligation` what documents it owes; `brings` the document classes that came with it."""

    hint: Hint | None = None
    use: RegisteredAgreement | None = None
    obligation: Obligation | None = None
    brings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenAgreement:
    """An agreement as a judgement found it; `revision` is 0 where it did not exist."""

    number: str
    revision: int


class RefusedByAgreement(MessageRejected):
    """A notice that cannot happen to its agreement as it is."""

    def __init__(self, finding: Finding, seen: SeenAgreement) -> None:
        super().__init__(finding)
        self.seen = seen


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementOutcome:
    """The change that a notice of the association makes to the agreement that was `seen`, None where it says
    nothing new. `holds`: messages accepted under it that customs has not taken yet are held."""

    seen: SeenAgreement
    change: AgreementChange | None
    holds: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentsOutcome:
    """The declaration that later documents belong to, and the document classes that came."""

    belongs_to: DeclarationRecord
    brings: tuple[str, ...]


# What a message means beyond itself, by its kind; None where it means nothing more.
JudgedOutcome = DeclarationOutcome | AgreementOutcome | DocumentsOutcome | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The outcome of one judgement: everything that one commit writes, or nothing of it.

    `fence` is that of the claim under which it was judged: after the claim went to another, a decision is
    late and not committed. `attempt` counts the judgements, for the log. `holder` is the accepted message
    that held `facts.key` when this was judged (None: none); if that has changed since, nothing is committed
    and the message is judged again. `linked` is the earlier message that this one repeats, corrects or
    updates, or the declaration that it belongs to.

    `wait` is what the message waits for, `brings` what others may wait for. The `joined` messages came on
    their own and are accepted with it; the `replaced` ones are refused since it takes their place. If one of
    these no longer waits, or has another name, nothing is committed either; nor if the message itself no
    longer has the name given here (None: its name does not matter). `against` is the agreement by whose state
    a notice was refused. Where a notice was judged by an agreement, that must still be as it was seen, and
    everything that its sender sent before must be decided: notices count in the order of their receipt.
    """

    message: str
    attempt: int
    fence: int
    event: Event
    name: str | None = None
    findings: tuple[Finding, ...] = ()
    facts: Facts | None = None
    receipts: tuple[Receipt, ...] = ()
    submissions: tuple[Submission, ...] = ()
    holder: str | None = None
    linked: str | None = None
    reason: str = ""
    wait: Wait | None = None
    brings: tuple[Awaited, ...] = ()
    joined: tuple[Finished, ...] = ()
    replaced: tuple[Finished, ...] = ()
    outcome: JudgedOutcome = None
    against: SeenAgreement | None = None
    trail: dict[str, str] = field(default_factory=dict)
