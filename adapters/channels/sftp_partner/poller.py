"""Visits to the parties that host their folders themselves: each party has its own loop."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from errno import ENOENT
from os import strerror
from typing import Final

import structlog

from adapters.channels.sftp_partner.ports import PartnerPorts, PartnerThread
from adapters.channels.sftp_partner.pull_uploads import UploadPuller
from adapters.channels.sftp_partner.push_receipts import push_receipts
from adapters.transport.files.folders import Files
from gateway.model.backoff import Backoff
from gateway.model.faults import printable
from gateway.model.folders import Folder
from gateway.model.parties import Account

_LONGEST_PAUSE: Final = 300.0  # seconds between attempts to reach a party, at most
_STOP_WITHIN: Final = 5.0  # seconds for a visit in progress
_NAMED: Final = 5  # untaken files named in an alarm, at most
_REMEMBERED: Final = timedelta(minutes=15)  # longer than the time until the next attempt
_AGAIN: Final = 1.0  # seconds between attempts to cut off a visit

log = structlog.get_logger()


class NoAccount(Exception):
    """The register has no account of the name in the settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolledPartner:
    """A party from the settings. `account` is looked up at each visit, in any thread; `seconds` is the time
    between two visits."""

    name: str
    account: Callable[[], Account | None]
    seconds: float
    files: Files


@asynccontextmanager
async def polling(
    partners: Sequence[PolledPartner], ports: PartnerPorts
) -> AsyncIterator[Sequence["Poller"]]:
    """Visits the parties while the context is open; in the order of `partners`. Visits in progress at its end
    are finished, or cut off if they take long: a claim that is left is continued after the next start."""
    stop = asyncio.Event()
    visits = [Poller(each, ports) for each in partners]
    tasks = [asyncio.create_task(each.run(stop)) for each in visits]
    try:
        yield visits
    finally:
        stop.set()
        if tasks:
            await asyncio.wait(tasks, timeout=_STOP_WITHIN)
        while any(not each.done() for each in tasks):
            for each in visits:  # again, because one may just have begun to reconnect
                each.break_off()
            await asyncio.wait(tasks, timeout=_AGAIN)
        await asyncio.gather(*tasks)


class Poller:
    """The visits to one party. `failing_since` is the time of the first of the present series of failures;
    `trouble` names files that could not be taken or written lately, although the visits succeeded."""

    def __init__(self, partner: PolledPartner, ports: PartnerPorts) -> None:
        self._partner = partner
        self._ports = ports
        self._thread = PartnerThread()
        self._puller = UploadPuller(partner.name, partner.files, self._thread, ports)
        self._log = log.bind(partner=partner.name)
        self._trouble = ""
        self.name = partner.name
        self.failing_since: datetime | None = None
        self._unwritten: tuple[datetime, str] | None = None

    @property
    def trouble(self) -> str:
        said = [f"OutBox: {printable(name, 80)}" for name in self._puller.untaken[:_NAMED]]
        if self._unwritten is not None:
            at, why = self._unwritten
            if self._ports.clock() - at < _REMEMBERED:
                said.append(f"InBox: {why}")
        return "; ".join(said)

    @property
    def left(self) -> int:
        return len(self._puller.left)

    def break_off(self) -> None:
        self._partner.files.close()

    async def run(self, stop: asyncio.Event) -> None:
        failures = 0
        try:
            while not stop.is_set():
                well = await self._visited(stop)
                failures = 0 if well else failures + 1
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), _pause(self._partner.seconds, failures))
        finally:
            self._thread.close()
            self._partner.files.close()

    async def _visited(self, stop: asyncio.Event) -> bool:
        """Returns whether the visit succeeded; each cause of failure is reported once."""
        try:
            await self._visit(stop)
        except Exception as error:
            said = printable(_said(error))
            if said != self._trouble:
                self._log.error("partner not visited", reason=said)
            self._trouble = said
            self.failing_since = self.failing_since or self._ports.clock()
            return False
        if self._trouble:
            self._log.info("partner visited again")
        self._trouble, self.failing_since = "", None
        return True

    async def _visit(self, stop: asyncio.Event) -> None:
        account = await self._thread.do(self._partner.account)
        if account is None:
            raise NoAccount("the account in the settings is not registered")
        files = self._partner.files
        await self._thread.do(_make, files)

        async def bringing() -> None:
            if why := await push_receipts(account.name, files, self._thread, self._ports, stop):
                self._unwritten = self._ports.clock(), why

        await self._puller.collect(account, stop, bringing)
        await bringing()


def _make(files: Files) -> None:
    """At each visit, since others use the folders too. OutBox must be created by the party: if it does not
    exist, perhaps nothing is mounted."""
    if files.look("", Folder.OUTBOX) is None:
        raise FileNotFoundError(ENOENT, strerror(ENOENT), Folder.OUTBOX)
    for folder in (Folder.INBOX, Folder.SENTBOX, Folder.FAILBOX):
        files.make(folder)


def _pause(seconds: float, failures: int) -> float:
    """Longer with each failure, and random, so that parties that failed together are not tried together."""
    if failures == 0:
        return seconds
    again = Backoff(first=2 * seconds, longest=max(seconds, _LONGEST_PAUSE))
    return again.pause(failures) * random.uniform(0.5, 1)  # noqa: S311  spreads visits, no secret


def _said(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'folder'}: {error.strerror}"
    return str(error) or type(error).__name__
