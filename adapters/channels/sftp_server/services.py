"""What all sessions of the server share: the store behind its ports, the accounts' uploads, the clock."""

import asyncio
import errno
import os
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import structlog

from adapters.channels.sftp_server.remembered import UploadNotes
from adapters.channels.sftp_server.uploads import Upload, Uploads
from adapters.channels.sftp_server.wire import RequestRefused, no_such_file
from adapters.transport.sftp.codec import Status
from gateway.dossier.ports import DossierStore
from gateway.model.blobs import BlobStore
from gateway.model.clock import Clock
from gateway.model.faults import Finding, MessageRejected, printable
from gateway.model.folders import Folder
from gateway.model.message import Arrival, new_id
from gateway.model.parties import Account
from gateway.receive.allowance import AllowanceQuery, UploadAllowance
from gateway.receive.ports import Intake, Mailbox, MailboxEntry

# Longer than any commit that will still succeed; a client waits about as long.
_PATIENCE_SECONDS: Final = 60.0
_T = TypeVar("_T")

log: Final = structlog.get_logger("gateway.sftp")


class SftpServices:
    """Sessions run in their own threads; the store's methods run on the node's event loop."""

    def __init__(
        self,
        intake: Intake,
        mailbox: Mailbox,
        dossiers: DossierStore,
        blobs: BlobStore,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        room: AllowanceQuery | None = None,
        notes: UploadNotes | None = None,
    ) -> None:
        self.intake = intake
        self.mailbox = mailbox
        self.dossiers = dossiers
        self.blobs = blobs
        self.clock = clock
        self._loop = loop
        self._room = room
        self._notes = notes
        self._lock = threading.Lock()
        self._outboxes: dict[str, Uploads] = {}
        self._pages = threading.Lock()
        self._pages_of: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def wait(self, call: Coroutine[Any, Any, _T]) -> _T:
        """The result of a method of the store; raises its exceptions, or `RequestRefused` if it has no result
        in time."""
        future = asyncio.run_coroutine_threadsafe(call, self._loop)
        try:
            return future.result(_PATIENCE_SECONDS)
        except FutureTimeout:
            future.cancel()
            raise RequestRefused(Status.FAILURE, "The gateway is too busy; try again later") from None

    @contextmanager
    def turn(self, account: str) -> Iterator[None]:
        """One page of a folder is made at a time, and one request of each account waits for it: if some
        accounts list without a pause, others wait for one page of each account, not for all their requests.
        """
        with self._lock:
            own = self._pages_of[account]
        with own, self._pages:
            yield

    def room(self, account: Account) -> UploadAllowance | None:
        """How much it may send now; None if only the limit for its largest package applies."""
        return None if self._room is None else self.wait(_awaited(self._room(account)))

    def entry(self, account: str, folder: Folder, name: str) -> MailboxEntry:
        """The store's entry with this name in a folder; `RequestRefused` if there is none."""
        entry = self.wait(self.mailbox.entry(account, folder, name))
        if entry is None:
            raise no_such_file()
        return entry

    def uploads(self, account: str) -> Uploads:
        with self._lock:
            return self._outboxes.setdefault(account, Uploads(account, self._notes))

    def left_unfinished(self) -> dict[str, int]:
        """How many files each account has left unfinished, for accounts that have any."""
        with self._lock:
            outboxes = dict(self._outboxes)
        now = self.clock()
        counted = {account: len(uploads.left_unfinished(now)) for account, uploads in outboxes.items()}
        return {account: count for account, count in counted.items() if count}

    def all_uploads(self) -> list[Uploads]:
        with self._lock:
            return list(self._outboxes.values())

    def commit(self, account: str, upload: Upload, name: str, admit: Callable[[], Account]) -> int:
        """Makes a message of a held upload and returns its size; `admit` returns its sender and has the final
        decision. If it raises, there is no message; the upload is consumed either way."""
        now = self.clock()
        message = new_id(now, os.urandom(10))
        try:
            # There was room when it was opened; others opened at the same time may have used it.
            room = self.room(admit())
            if room is not None and room.refuses(upload.spool.size):
                raise MessageRejected(room.why)
            package = upload.spool.keep()
            sender = admit()
            self.wait(
                self.intake.add(
                    Arrival(
                        id=message,
                        account=account,
                        channel="sftp",
                        name=name,
                        sha256=package.sha256,
                        size=package.size,
                        received_at=now,
                    ),
                    sender,
                    body=package.body,
                )
            )
        except MessageRejected as beyond:
            refused = beyond.findings[0]
            log.warning("upload refused", account=account, name=printable(name), reason=refused.code)
            raise no_room(refused) from None
        except Exception as error:
            log.error("upload failed", account=account, name=printable(name), reason=printable(str(error)))
            raise
        finally:
            self.uploads(account).drop(upload)
        size, sha256 = package.size, package.sha256
        log.info("upload", account=account, name=printable(name), id=message, size=size, sha256=sha256)
        return size


async def _awaited(allowance: Awaitable[UploadAllowance]) -> UploadAllowance:
    return await allowance


def no_room(why: Finding) -> RequestRefused:
    """The text for a client if there is no room for its upload."""
    return RequestRefused(Status.FAILURE, f"{why.en} Nothing was kept")


def cause(error: OSError) -> str:
    """The text for a client about a failure of our disk: enough to know whether to try again."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "The gateway's disk is full; nothing was kept"
    return "The gateway's storage failed; nothing was kept"
