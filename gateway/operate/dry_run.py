"""The outcome that an act would have, found by the same code without keeping any of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.model.states import State
from gateway.operate.message_actions import ReplayStage


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A message as an operator sees it. `verdict` is that of the last receipt that counts; `faults` are the
    rules and codes of its errors; `backends` are the destinations of its deliveries."""

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
    """A delivery that its back-end would be asked about, and that would be sent if the back-end does not have
    it; `state` is its state before the act."""

    destination: str
    key: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A message before and after an act, and what others would get by the act. `stage` is the stage at which
    the message would go on; None where it would not."""

    before: Snapshot
    after: Snapshot
    stage: ReplayStage | None
    receipts: Sequence[GivenReceipt] = ()
    deliveries: Sequence[AskedAbout] = ()
