"""How much each account has sent on a day, counted on receipt."""

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, bindparam, insert, select, update

from adapters.store.database import Database, Transaction
from adapters.store.tables.operations import sent_days
from gateway.model.china import china_date
from gateway.model.clock import Clock
from gateway.model.faults import MessageRejected
from gateway.model.message import Arrival
from gateway.model.parties import Account
from gateway.model.policy import Policy
from gateway.receive.allowance import Disk, SentToday, UploadAllowance, allowance, largest, room

_OF_SENDER: Final = (sent_days.c.day == bindparam("sent_on")) & (sent_days.c.account == bindparam("sender"))
_ADD: Final = (
    update(sent_days)
    .where(_OF_SENDER)
    .values(messages=sent_days.c.messages + 1, size=sent_days.c.size + bindparam("added"))
)
_FIRST: Final = insert(sent_days)
_SENT: Final = select(sent_days.c.messages, sent_days.c.size).where(_OF_SENDER)
_ON_A_DAY: Final = select(sent_days).where(sent_days.c.day == bindparam("sent_on"))


def count(transaction: Transaction, arrival: Arrival, sender: Account | None) -> None:
    """Counts one more message, in the commit that receives it. Raises `MessageRejected` if the sender's
    allowance for the day is used up. This is the only check that asks and counts in one step."""
    day = _day(arrival.received_at)
    connection = transaction.connection
    if sender is not None:
        remaining = allowance(sender, _sent_today(connection, {"sent_on": day, "sender": arrival.account}))
        if remaining is not None and remaining.refuses(arrival.size):
            raise MessageRejected(remaining.why)
    if not connection.execute(
        _ADD, {"sent_on": day, "sender": arrival.account, "added": arrival.size}
    ).rowcount:
        connection.execute(
            _FIRST, {"day": day, "account": arrival.account, "messages": 1, "size": arrival.size}
        )


def sent_on_the_day_of(reader: Connection, now: datetime) -> dict[str, SentToday]:
    """By account, for accounts that have sent anything."""
    rows = reader.execute(_ON_A_DAY, {"sent_on": _day(now)})
    return {row.account: SentToday(messages=row.messages, size=row.size) for row in rows}


class Allowances:
    """The remaining allowance of an account, by the store and by the disk of `home`; `percent` is the disk's
    reserve."""

    def __init__(
        self, database: Database, home: Path, percent: float, policy: Callable[[], Policy], clock: Clock
    ) -> None:
        self._database = database
        self._home = home
        self._percent = percent
        self._policy = policy
        self._clock = clock

    async def room(self, account: Account) -> UploadAllowance:
        sender = {"sent_on": _day(self._clock()), "sender": account.name}
        used = await self._database.read(lambda reader: _sent_today(reader, sender))
        disk = shutil.disk_usage(self._home)
        return room(
            account,
            used,
            Disk(free=disk.free, reserve=int(disk.total * self._percent / 100)),
            largest(self._policy()),
        )


def _sent_today(reader: Connection, sender: dict[str, str]) -> SentToday:
    row = reader.execute(_SENT, sender).first()
    return SentToday() if row is None else SentToday(messages=row.messages, size=row.size)


def _day(at: datetime) -> str:
    return china_date(at).isoformat()
