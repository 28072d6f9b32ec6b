"""What would come of an act: the same code, and nothing of it kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.model.states import State
from gateway.operate.message_actions import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A message as an operator sees it. `verdict` is that of the last receipt that holds; `faults` are the
    rules and codes of its errors; `backends` are where its deliveries go."""

    reference: str | None
    state: State
    verdict: str | None
    faults: Sequence[str]
    route: str | None
    backends: Sequence[str]
    waiting_for: str | None
    until: datetime | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenReceipt:
    account: str
    kind: str
    verdict: str | None
    final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedAbout:
    """A delivery that its back-end is asked about, and that is sent where it has it not; `state` is the one
    before."""

    destination: str
    key: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A message before and after an act, and what the act gives to others. `stage` is where a message that
    goes on does so; None where it does not."""

    before: Snapshot
    after: Snapshot
    stage: Stage | None
    receipts: Sequence[GivenReceipt] = ()
    deliveries: Sequence[AskedAbout] = ()
