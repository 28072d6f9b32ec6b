"""What a judgement comes to: everything that one commit writes, or nothing of it."""

from dataclasses import dataclass, field
from datetime import datetime

from gateway.model.agreements import AgreementChange, RegisteredAgreement
from gateway.model.faults import Finding
from gateway.model.message import DeclarationRecord, Facts, Receipt, Submission
from gateway.model.obligation import Obligation
from gateway.model.risk_hint import Hint
from gateway.model.states import Event
from gateway.model.waits import Awaited


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """A thing without which a sound message cannot be accepted yet, and until when it waits for it.

    `seen` is the thing's revision as the judgement knew it, 0 where it was not there at all: if that has
    changed since, the message is judged again.
    """

    thing: Awaited
    seen: int
    until: datetime


class MustWait(Exception):
    """The message is sound so far, and waits. `shown` is what its sender is notified of."""

    def __init__(self, wait: Wait, *shown: Finding) -> None:
        super().__init__(str(wait.thing))
        self.wait = wait
        self.shown = shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A message that waits and comes to its end by the judgement of another, which found it by this name;
    and what its sender is told."""

    message: str
    name: str
    receipts: tuple[Receipt, ...]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedMeaning:
    """What a message means beyond itself, by its kind.

    Of a declaration: `hint`, how its risk was assessed; `use`, the agreement that it is made under (None
    where nobody acts for another); `obligation`, what documents it owes. Of a message of the association:
    `change`, what it makes of an agreement (None and `stale` where nothing), and `holds`, whether what was
    accepted under it and customs has not taken yet is held. Of later documents: `belongs_to`, the
    declaration. Of a declaration and of later documents: `brings`, the document classes that are there.
    """

    hint: Hint | None = None
    use: RegisteredAgreement | None = None
    obligation: Obligation | None = None
    change: AgreementChange | None = None
    stale: bool = False
    holds: bool = False
    belongs_to: DeclarationRecord | None = None
    brings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The outcome of one judgement: everything that one commit writes, or nothing of it.

    `attempt` is that of the judgement: a decision that comes too late, after the lease went to another, is
    not committed. `holder` is the accepted message that held `facts.key` when this was judged (None: no one);
    if that has changed since, nothing is committed and the message is judged again. `linked` is the earlier
    message that this one repeats, corrects or updates, or the declaration that it belongs to.

    `wait` is what a message waits for, `brings` what others may wait for. `joined` came on their own and
    are accepted with it, `replaced` are refused since it takes their place; if one of these waits no more, or
    under another name, nothing is committed either. Nor is it where the message itself has another name than
    this one by then; None where it was not judged by what it is.
    """

    message: str
    attempt: int
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
    meaning: JudgedMeaning = JudgedMeaning()
    trail: dict[str, str] = field(default_factory=dict)
