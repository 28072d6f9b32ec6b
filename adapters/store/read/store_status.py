"""Whether this node may judge and sign now: its certificate is valid, and its clock is not behind its log."""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, Engine, select

from adapters.store.database import CLOCK, CLOCK_ACCEPTED, Transaction
from adapters.store.tables.messages import events
from gateway.formats.certificates import certificate, outside

# A clock that is further behind the log judges and signs nothing: docs/runbook.md names the way out.
BEHIND: Final = timedelta(seconds=60)

_LATEST: Final = select(events.c.latest).order_by(events.c.sequence.desc()).limit(1)


class ClockState(StrEnum):
    ACCEPTED = "accepted"


class StoreStatus:
    """`pem` returns the certificate in force, as PEM."""

    def __init__(self, engine: Engine, pem: Callable[[], str]) -> None:
        self._engine = engine
        self._pem = pem

    def why_not(self, now: datetime) -> str:
        """The reason why nothing may be judged or signed at `now`; empty if it may. Work resumes by itself
        when the certificate is valid or the clock is right."""
        if why := outside(certificate(self._pem()), now):
            return why
        with self._engine.connect() as reader:
            return behind(reader, now)


def behind(reader: Connection, now: datetime) -> str:
    """By how much a clock that shows `now` is behind the newest event of the log; empty if it is not."""
    latest = reader.execute(_LATEST).scalar()
    if latest is None or now >= latest - BEHIND:
        return ""
    return f"the clock is {latest - now} behind the newest event ({latest.isoformat(' ', 'seconds')})"


def accept_clock(transaction: Transaction, actor: str, reason: str, now: datetime) -> str:
    """Accepts the present clock: later times already in the log, written by a fast clock, no longer count.
    Writes an event. Returns by how much the clock was behind; empty, with nothing done, if it was not."""
    if was := behind(transaction.connection, now):
        transaction.log(CLOCK, now, CLOCK_ACCEPTED, actor, ClockState.ACCEPTED, reason=reason, was=was)
    return was
