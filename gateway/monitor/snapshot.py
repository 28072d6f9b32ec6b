"""A snapshot of a running node: the only source of its gauges, its readiness and its alarms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.monitor.alarms import AlarmSeverity


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLength:
    """The items that wait at one stage. `owner` is the destination or account where the stage has several
    queues, else empty; `age` is the age of the oldest item in seconds."""

    stage: str
    owner: str
    count: int
    age: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendStatus:
    """The status of a back-end. `since` is when its circuit breaker changed state; `paused_at` is None unless
    an operator has paused it."""

    name: str
    breaker: str
    since: datetime
    paused_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """The expiry of a certificate: the gateway's, a connection's, or the last one of a party that is valid.
    `ends` is None where the certificate cannot be read."""

    kind: str
    owner: str
    ends: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AmqpLinkStatus:
    """The connection to the AMQP broker; `since` is when its state changed. `put_aside` counts the messages
    in queue `gateway.dead`, which were refused or delivered too often and wait for an operator."""

    connected: bool
    blocked: bool
    since: datetime
    put_aside: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerHostStatus:
    """A partner that hosts its folders itself; `failing_since` is None while visits succeed. `trouble` is
    what failed in the last visits: file names that cannot be accepted, a folder that cannot be written."""

    name: str
    failing_since: datetime | None
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemSnapshot:
    """One look at a node, taken at `at`.

    `unfit` says why nothing may be judged or signed, empty where all is well. `deaf` maps back-ends whose
    answers cannot be fetched to the time since when. `held_answers` counts the answers that matched no
    message; `overdue_answers` and `overdue_documents` count the declarations that have waited too long for
    customs' final answer or for documents. `nearly_used` maps accounts near the end of their daily allowance
    to the share that is used (1 is all of it). `free` is the free share of the disk, `free_bytes` the same in
    bytes. `link` is None without an AMQP channel. `unfinished` maps accounts and partners to the number of
    their unfinished files.
    """

    at: datetime
    unfit: str
    queues: Sequence[QueueLength]
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
    unfinished: Mapping[str, int]
    open_alarms: Sequence[AlarmSeverity]
