"""Whether this node may judge and sign now: its certificate is valid, and its clock not behind its log."""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, Engine, select

from adapters.store.database import CLOCK, CLOCK_ACCEPTED, Transaction
from adapters.store.tables.messages import events
from gateway.formats.certificates import certificate, outside

BEHIND: Final = timedelta(seconds=60)  # CONTRACT.md, "Receipts"

_LATEST: Final = select(events.c.latest).order_by(events.c.sequence.desc()).limit(1)


class ClockState(StrEnum):
    ACCEPTED = "accepted"


class StoreStatus:
    """`pem` gives the certificate that is in force, PEM."""

    def __init__(self, engine: Engine, pem: Callable[[], str]) -> None:
        self._engine = engine
        self._pem = pem

    def why_not(self, now: datetime) -> str:
        """Why nothing may be judged or signed at `now`; empty where it may. By itself it may again when the
        certificate is valid, or the clock right."""
        if why := outside(certificate(self._pem()), now):
            return why
        with self._engine.connect() as reader:
            return behind(reader, now)


def behind(reader: Connection, now: datetime) -> str:
    """By how much a clock that shows `now` stands behind the newest event of the log; empty where it does
    not."""
    latest = reader.execute(_LATEST).scalar()
    if latest is None or now >= latest - BEHIND:
        return ""
    return f"the clock is {latest - now} behind the newest event ({latest.isoformat(' ', 'seconds')})"


def accept_clock(transaction: Transaction, actor: str, reason: str, now: datetime) -> str:
    """Takes the clock as it is: later times that the log has already, written by a clock that was fast, count
    no more. An event of its own. By how much it was behind; empty, and nothing done, where it was not."""
    if was := behind(transaction.connection, now):
        transaction.log(CLOCK, now, CLOCK_ACCEPTED, actor, ClockState.ACCEPTED, reason=reason, was=was)
    return was
