"""Moves files from a party's OutBox to the store, and after judgement to its SentBox or FailBox.

1. A finished file is settled if its size and time were the same at two looks.
2. It is claimed (`FileClaim`), fetched into a spool, kept, and added; only then is it the gateway's.
3. A claim whose message the store does not know is continued under the same id; one whose message is judged
   leaves OutBox. The state of a claim is read from the store at every look and kept nowhere else.
"""

import os
from asyncio import Event
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import structlog

from adapters.channels.sftp_partner.claim_names import FileClaim, beside, claim_of, is_sound
from adapters.channels.sftp_partner.ports import PartnerPorts, PartnerThread
from adapters.transport.files.folders import MOST, OUTAGES, Files, FolderEntry
from gateway.formats.report import report
from gateway.model.blobs import Spool
from gateway.model.faults import Fault, MessageRejected, printable, too_large
from gateway.model.folders import Folder
from gateway.model.message import Arrival, new_id
from gateway.model.parties import Account
from gateway.model.receipt_names import receipt_name
from gateway.model.unfinished_names import LEFT_AFTER
from gateway.receive.left_unfinished import notice

IN_A_ROW: Final = 100  # files, before receipts get their turn
MOST_SAID: Final = 1000
_NOTICE: Final = ".unfinished.tmp"
_SAID_AGAIN: Final = timedelta(days=1)
_OVERDUE: Final = timedelta(hours=1)
_PUT_OFF: Final = timedelta(minutes=10)  # for a file that could not be taken because of the file itself

log = structlog.get_logger()


async def _nothing() -> None:
    return


class Changed(Exception):
    """The file has changed since it was looked at."""


class UploadPuller:
    """One party's OutBox, accessed through `files` in the party's thread."""

    def __init__(self, partner: str, files: Files, thread: PartnerThread, ports: PartnerPorts) -> None:
        self._files = files
        self._do = thread.do
        self._ports = ports
        self._log = log.bind(partner=partner)
        self._seen: dict[str, str] = {}  # marks of the last look, by name
        self.left: dict[str, datetime] = {}  # unfinished files and when each was last changed
        self._told: set[str] = set()  # names of the notices about them
        self._put_off: dict[str, datetime] = {}  # until when, by mark
        self.untaken: list[str] = []  # names of files that could not be taken at the last look
        self._said: set[str] = set()
        self._said_from = ports.clock()

    async def collect(
        self, account: Account, stop: Event, between: Callable[[], Awaitable[None]] = _nothing
    ) -> None:
        """Looks once, until `stop`; oldest files first, and `between` gets its turn after each `IN_A_ROW`.
        Raises one of `OUTAGES`, `OSError` if OutBox itself cannot be read, or the exceptions of the store and
        of `between`."""
        self.left = {}
        self.untaken = []
        entries = await self._do(self._files.listing, Folder.OUTBOX, partial(self._is_of_concern, account))
        if len(entries) == MOST:
            self._once("more lies in a folder than is looked at in one turn", Folder.OUTBOX)
        waiting = [each for each in entries if not account.is_unfinished(each.name)]
        await self._reconcile(account, entries)
        await self._tell_of_left()
        now = self._ports.clock()
        oldest_first = sorted(waiting, key=lambda each: (each.changed, each.name))
        for number, each in enumerate(oldest_first):
            if number and number % IN_A_ROW == 0:
                await between()
            if stop.is_set():
                return
            settled = self._seen.get(each.name) == each.mark and self._put_off.get(each.mark, now) <= now
            if settled and await self._has_room(account, each):
                await self._take(account, each)
        self._seen = {each.name: each.mark for each in waiting}
        self.untaken += [each.name for each in waiting if each.mark in self._put_off]
        marks = set(self._seen.values())
        self._put_off = {mark: until for mark, until in self._put_off.items() if mark in marks}

    def _is_of_concern(self, account: Account, entry: FolderEntry) -> bool:
        """Whether the entry is a file to be taken or a claim; other files do not use up the account's
        allowance."""
        if account.is_unfinished(entry.name):
            self._note_left(entry)
            return entry.plain and claim_of(entry.name) is not None
        if entry.plain and is_sound(entry.name):
            return True
        self.untaken.append(entry.name)
        self._once("no file that is taken", entry.name)
        return False

    def _note_left(self, entry: FolderEntry) -> None:
        changed = datetime.fromtimestamp(entry.changed / 1e9, UTC)
        if not entry.plain or not entry.name.isprintable() or claim_of(entry.name) is not None:
            return
        if self._ports.clock() - changed >= LEFT_AFTER and len(self.left) < MOST_SAID:
            self.left[entry.name] = changed

    async def _tell_of_left(self) -> None:
        """Writes a notice into the party's InBox for each unfinished file, once until the file is touched
        again."""
        told = dict(notice(name, changed) for name, changed in self.left.items())
        for name in told.keys() - self._told:
            try:
                if await self._do(self._files.look, Folder.INBOX, name) is None:
                    await self._do(self._put, name, told[name])
            except OUTAGES:
                raise
            except OSError as error:
                self._once("what is left unfinished cannot be told", name, error)
        self._told = set(told)

    def _put(self, name: str, body: bytes) -> None:
        self._files.write(Folder.INBOX, _NOTICE, lambda out: out.write(body))
        self._files.move(Folder.INBOX, _NOTICE, Folder.INBOX, name)

    async def _reconcile(self, account: Account, entries: list[FolderEntry]) -> None:
        claims = {
            claim.message: (claim, entry) for entry in entries if (claim := claim_of(entry.name)) is not None
        }
        now = self._ports.clock()
        own = sorted(
            message
            for message, (claim, _) in claims.items()
            # We make no claims in the future; otherwise whoever sees our mark could choose the ids of
            # messages.
            if claim.mark == self._ports.mark and claim.at <= now + _OVERDUE
        )
        places = await self._ports.mailbox.whereabouts(account.name, own)
        for message in own:
            claim, entry = claims[message]
            match places.get(message):
                case None:
                    await self._careful(claim, self._take_up(account, claim, entry))
                case Folder.SENTBOX | Folder.FAILBOX as folder:
                    await self._careful(claim, self._put_away(claim, folder))
        for claim, _entry in claims.values():
            if now - claim.at > _OVERDUE:
                self._once("claimed and not finished for an hour", claim.file)

    async def _has_room(self, account: Account, entry: FolderEntry) -> bool:
        """Whether the file is taken now. A file beyond the account's allowance, or the disk's, stays until
        there is room; a file beyond the account's largest package is taken, and refused."""
        if self._ports.room is None or entry.size > account.max_package:
            return True
        room = await self._ports.room(account)
        if refused := room.refuses(entry.size):
            self._once(room.why.en, entry.name)
        return not refused

    async def _take(self, account: Account, entry: FolderEntry) -> None:
        claim = FileClaim(entry.name, new_id(self._ports.clock(), os.urandom(10)), self._ports.mark)
        try:
            await self._move(Folder.OUTBOX, entry.name, Folder.OUTBOX, claim.file)
            try:
                await self._take_up(account, claim, entry)
            except Changed:
                await self._undo(claim)
            except OSError:
                await self._undo(claim)
                raise
        except OUTAGES:
            raise
        except FileNotFoundError:
            pass  # it was removed, or another gateway has it
        except OSError as error:
            self._put_off[entry.mark] = self._ports.clock() + _PUT_OFF
            self._once("a file cannot be taken", entry.name, error)

    async def _careful(self, claim: FileClaim, work: Awaitable[None]) -> None:
        """An error of one claim must not delay the others; it is tried again at the next look."""
        try:
            await work
        except OUTAGES:
            raise
        except (FileNotFoundError, Changed):
            pass
        except OSError as error:
            self._once("a claimed file cannot be brought on", claim.file, error)

    async def _take_up(self, account: Account, claim: FileClaim, entry: FolderEntry) -> None:
        """From the claim to the commit. Raises `Changed`, `OSError` of the file, or the store's
        exceptions."""
        if entry.size > account.max_package:
            await self._refuse(account, claim, entry)
            return
        spool = await self._do(self._ports.blobs.spool)
        try:
            await self._do(self._fetch, claim, entry, account.max_package, spool)
            package = await self._do(spool.keep)
        finally:
            await self._do(spool.discard)
        now = self._ports.clock()
        arrival = Arrival(
            id=claim.message,
            account=account.name,
            channel="partner",
            name=claim.name,
            sha256=package.sha256,
            size=package.size,
            received_at=now,
        )
        try:
            await self._ports.intake.add(arrival, account, body=package.body)
        except MessageRejected as beyond:  # others came first: it stays until there is room
            await self._undo(claim)
            self._once(beyond.findings[0].en, claim.name)
            return
        except Exception:
            # If not even this can be asked, the claim stays for the next look.
            if not await self._ports.mailbox.whereabouts(account.name, [claim.message]):
                await self._undo(claim)
            raise
        self._log.info(
            "collected", account=account.name, name=claim.name, id=claim.message, size=package.size
        )

    def _fetch(self, claim: FileClaim, entry: FolderEntry, most: int, spool: Spool) -> None:
        # Checked before and after: a file that is still being written to is not taken.
        self._check(claim, entry)
        with closing(self._files.read(Folder.OUTBOX, claim.file)) as chunks:
            for chunk in chunks:
                if spool.size + len(chunk) > most:
                    raise Changed
                spool.write(spool.size, chunk)
        self._check(claim, entry)
        if spool.size != entry.size:
            raise Changed

    def _check(self, claim: FileClaim, entry: FolderEntry) -> None:
        there = self._files.look(Folder.OUTBOX, claim.file)
        if there is None:
            raise FileNotFoundError
        if not there.plain or there.mark != entry.mark:
            raise Changed

    async def _refuse(self, account: Account, claim: FileClaim, entry: FolderEntry) -> None:
        why = too_large(Fault.PACKAGE_TOO_LARGE, entry.size, account.max_package)
        # With the time of the claim, so that the file is the same when it is written again.
        name = receipt_name("Report", claim.name, claim.at).removesuffix(".xml") + ".txt"
        body = report(claim.name, "", [why])
        await self._do(
            self._files.write, Folder.FAILBOX, f".{claim.message}.tmp", lambda out: out.write(body)
        )
        await self._move(Folder.FAILBOX, f".{claim.message}.tmp", Folder.FAILBOX, name)
        await self._put_away(claim, Folder.FAILBOX)
        self._log.info("refused", account=account.name, name=claim.name, size=entry.size)

    async def _put_away(self, claim: FileClaim, folder: Folder) -> None:
        taken = await self._do(self._files.look, folder, claim.name)
        name = claim.name if taken is None else beside(claim.name, claim.message)
        await self._move(Folder.OUTBOX, claim.file, folder, name)

    async def _undo(self, claim: FileClaim) -> None:
        # If a new file has the name already, or gets it just now, the claim stays and is continued at the
        # next look.
        if await self._do(self._files.look, Folder.OUTBOX, claim.name) is None:
            with suppress(FileExistsError):
                await self._do(self._files.rename, Folder.OUTBOX, claim.file, claim.name)

    async def _move(self, folder: Folder, name: str, to_folder: Folder, to_name: str) -> None:
        await self._do(self._files.move, folder, name, to_folder, to_name)

    def _once(self, what: str, name: str, error: OSError | None = None) -> None:
        """Warns about what is found again at every look: once a day, and at most `MOST_SAID` warnings."""
        why = "" if error is None else printable(error.strerror or str(error))
        if self._ports.clock() - self._said_from > _SAID_AGAIN:
            self._said.clear()
            self._said_from = self._ports.clock()
        # A party that creates ever new files must not fill the log.
        if (said := f"{what} {name} {why}") not in self._said and len(self._said) < MOST_SAID:
            self._said.add(said)
            self._log.warning(what, name=printable(name), **({"reason": why} if why else {}))
