"""What one look at a running node shows: the one source of its gauges, its readiness and its alarms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.monitor.alarms import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What stands at one stage, for one destination or account where there are several (`of`, else empty).
    `age` is that of the oldest, in seconds."""

    stage: str
    of: str
    count: int
    age: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendStatus:
    """How a back-end stands. `since` is when its breaker took its state."""

    name: str
    breaker: str
    since: datetime
    paused_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """A certificate and its end: that of the gateway, of a connection, or the last valid one of a party.
    `ends` is None where it cannot be read."""

    kind: str
    owner: str
    ends: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AmqpLinkStatus:
    """The connection to the AMQP broker; `since` is when it became what it is. `put_aside` messages were
    refused, or came too often, and wait there for somebody."""

    connected: bool
    blocked: bool
    since: datetime
    put_aside: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerHostStatus:
    """A partner that hosts its folders itself; `failing_since` is None while it is visited. `trouble` is what
    could lately not be done there: names that cannot be taken, a folder that cannot be written."""

    name: str
    failing_since: datetime | None
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemSnapshot:
    """`deaf` are the back-ends whose answers cannot be heard, and since when. `free` is the share of the disk
    that is free, `nearly_used` how much of the day's allowance the accounts have used that are near its end,
    `held_answers` how many answers nobody could match; `overdue_answers` and `overdue_documents` are
    declarations that wait for customs' last word, or for documents, longer than they should. `link` is None
    without an AMQP channel, `left` are accounts and partners that left so many files unfinished. `unfit`
    says why nothing may be judged or signed, where that is so."""

    at: datetime
    unfit: str
    queues: Sequence[Queue]
    backends: Sequence[BackendStatus]
    expiries: Sequence[Expiry]
    deaf: Mapping[str, datetime]
    held_answers: int
    nearly_used: Mapping[str, float]
    overdue_answers: int
    overdue_documents: int
    free: float
    free_bytes: int
    link: AmqpLinkStatus | None
    hosts: Sequence[PartnerHostStatus]
    left: Mapping[str, int]
    open_alarms: Sequence[Severity]
