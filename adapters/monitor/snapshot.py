"""A snapshot of the node and its store: bounded reads by indexes, shared by all callers within a second."""

import asyncio
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol, TypeVar, runtime_checkable

from cryptography.x509 import load_pem_x509_certificate
from sqlalchemy import Connection, func, select

from adapters.home.certificates import last_end
from adapters.home.home import Home
from adapters.store.read.documents_due import count_overdue
from adapters.store.read.message_search import MessageFilter, count_messages
from adapters.store.read.queue_stats import depths
from adapters.store.read.register import SqlRegister
from adapters.store.tables.messages import messages
from adapters.store.tables.operations import destinations
from adapters.store.write.alarms import open_alarms
from adapters.store.write.allowances import sent_on_the_day_of
from gateway.config.settings import Settings
from gateway.model.clock import Clock
from gateway.model.parties import Party
from gateway.model.states import State
from gateway.monitor.snapshot import (
    AmqpLinkStatus,
    BackendStatus,
    Expiry,
    PartnerHostStatus,
    QueueLength,
    SystemSnapshot,
)
from gateway.receive.allowance import WARN_FROM, share

T = TypeVar("T")

_SHARED_FOR: Final = timedelta(seconds=1)
# Certificates are read and parsed again at this interval only: the register may hold thousands.
_ENDINGS_FOR: Final = timedelta(minutes=10)
ENDING_WITHIN: Final = timedelta(days=90)

_HELD_ANSWERS: Final = (
    select(func.count())
    .select_from(messages)
    .where(messages.c.state == State.HELD, messages.c.kind == "answer")
)


class BrokerLink(Protocol):
    """A connection to a broker that reports its status."""

    @property
    def connected(self) -> bool: ...

    @property
    def blocked(self) -> bool: ...

    @property
    def put_aside(self) -> int: ...


@runtime_checkable
class AnswerSource(Protocol):
    """A back-end that reports why its answers cannot be received; empty if they can."""

    @property
    def deaf(self) -> str: ...


class PolledHost(Protocol):
    """A party that hosts its folders itself, and since when visits to it have failed."""

    @property
    def name(self) -> str: ...

    @property
    def failing_since(self) -> datetime | None: ...

    @property
    def left(self) -> int:
        """The number of unfinished files in its OutBox."""
        ...

    @property
    def trouble(self) -> str: ...


class SnapshotReader:
    """Takes a snapshot when asked, at most once a second. `connections` are those of the AMQP channel, none
    if there is no channel. Closed by `close`."""

    def __init__(
        self,
        home: Home,
        settings: Settings,
        clock: Clock,
        connections: Sequence[BrokerLink],
        partners: Sequence[PolledHost],
        backends: Mapping[str, AnswerSource],
        unfit: Callable[[datetime], str],
        unfinished: Callable[[], Mapping[str, int]],
    ) -> None:
        self._home = home
        self._unfit = unfit
        self._left = unfinished
        self._certificates = dict(_configured(home, settings))
        self._clock = clock
        self._connections = connections
        self._partners = partners
        self._backends = backends
        self._deaf: Mapping[str, datetime] = {}
        self._link: AmqpLinkStatus | None = None
        self._engine = home.reader()
        self._register = SqlRegister(self._engine)
        self._one_at_a_time = asyncio.Lock()
        self._last: SystemSnapshot | None = None
        self._endings: tuple[datetime, list[Expiry]] | None = None

    async def snapshot(self) -> SystemSnapshot:
        """Raises the exceptions of the store or the disk if they cannot be read."""
        async with self._one_at_a_time:
            now = self._clock()
            if self._last is None or now - self._last.at >= _SHARED_FOR:
                self._last = await asyncio.to_thread(self._look, now)
            return self._last

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Runs the query on its own connection, so that it delays none of the node's reads."""
        return await asyncio.to_thread(self._read, query)

    def _read(self, query: Callable[[Connection], T]) -> T:
        with self._engine.connect() as reader:
            return query(reader)

    def close(self) -> None:
        self._engine.dispose()

    def _look(self, now: datetime) -> SystemSnapshot:
        if self._endings is None or now - self._endings[0] >= _ENDINGS_FOR:
            self._endings = (now, [*self._own_endings(), *_of_parties(self._register.parties(), now)])
        link = self._linked(now)
        self._deaf = {name: self._deaf.get(name, now) for name, each in self._backends.items() if each.deaf}
        disk = shutil.disk_usage(self._home.path)
        with self._engine.connect() as reader:
            return SystemSnapshot(
                at=now,
                unfit=self._unfit(now),
                queues=[
                    QueueLength(stage=each.stage.value, owner=each.owner, count=each.count, age=each.age(now))
                    for each in depths(reader)
                ],
                backends=list(_backend_statuses(reader)),
                expiries=self._endings[1],
                deaf=self._deaf,
                nearly_used=dict(self._nearly_used(reader, now)),
                overdue_answers=count_messages(reader, MessageFilter(overdue=now)),
                overdue_documents=count_overdue(reader, now),
                held_answers=reader.execute(_HELD_ANSWERS).scalar_one(),
                free=disk.free / disk.total,
                free_bytes=disk.free,
                link=link,
                unfinished={**self._left(), **{each.name: each.left for each in self._partners if each.left}},
                hosts=[
                    PartnerHostStatus(name=each.name, failing_since=each.failing_since, trouble=each.trouble)
                    for each in self._partners
                ],
                open_alarms=[alarm.severity for alarm in open_alarms(reader)],
            )

    def _nearly_used(self, reader: Connection, now: datetime) -> Iterator[tuple[str, float]]:
        for name, today in sent_on_the_day_of(reader, now).items():
            party = self._register.party_of(name)
            used = 0.0 if party is None or party.account is None else share(party.account, today)
            if used >= WARN_FROM:
                yield name, used

    def _linked(self, now: datetime) -> AmqpLinkStatus | None:
        """The combined status of all connections, and since which snapshot."""
        if not self._connections:
            return None
        connected = all(each.connected for each in self._connections)
        blocked = any(each.blocked for each in self._connections)
        last = self._link
        same = last is not None and (last.connected, last.blocked) == (connected, blocked)
        self._link = AmqpLinkStatus(
            connected=connected,
            blocked=blocked,
            since=last.since if same and last is not None else now,
            put_aside=sum(each.put_aside for each in self._connections),
        )
        return self._link

    def _own_endings(self) -> Iterator[Expiry]:
        for owner, path in self._certificates.items():
            ends = None
            with suppress(OSError, ValueError):  # it may be changing just now; show the others nevertheless
                ends = load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
            yield Expiry(kind="signing" if owner == "gateway" else "connection", owner=owner, ends=ends)


def _configured(home: Home, settings: Settings) -> Iterator[tuple[str, Path]]:
    """Our own certificates by where they are used."""
    yield "gateway", home.certificate
    sections = {"amqp": settings.amqp, "push": settings.push, **settings.backend}
    for name, section in sections.items():
        # An association's certificate is registered as that of a party.
        certificate = None if section is None else getattr(section, "certificate", None)
        if certificate is not None and getattr(section, "kind", "") != "association":
            yield name, home.path / certificate


def _of_parties(parties: list[Party], now: datetime) -> Iterator[Expiry]:
    """The end of the last certificate of each party, if it is near."""
    for party in parties:
        ends = last_end(party.certificates)
        if ends is not None and ends - now <= ENDING_WITHIN:
            yield Expiry(kind="party", owner=party.code, ends=ends)


def _backend_statuses(reader: Connection) -> Iterator[BackendStatus]:
    for row in reader.execute(select(destinations).order_by(destinations.c.name)):
        yield BackendStatus(name=row.name, breaker=row.breaker, since=row.since, paused_at=row.paused_at)
