"""Receipts into the folders of a party that hosts them itself."""

from asyncio import Event
from collections import Counter
from datetime import timedelta
from typing import Final

import structlog

from adapters.channels.sftp_partner.office import Office, Thread
from adapters.transport.files.folders import OUTAGES, Files
from gateway.model.faults import printable
from gateway.model.ports import Posting

_AT_ONCE: Final = 50
_MOST: Final = 500  # in one visit, so that what the party sends is looked at as well
_LATER: Final = timedelta(minutes=5)

log = structlog.get_logger()


async def bring(account: str, files: Files, thread: Thread, office: Office, stop: Event) -> str:
    """Until `stop`, puts what is due into InBox and FailBox, seen whole or not at all, and then notes that it
    was brought. A crash in between brings a receipt again: under the same name, with the same bytes.

    Raises one of `OUTAGES`, or what the store does; one that cannot be put there keeps no other waiting. Why
    some could not, empty where all could.
    """
    failed = Counter[str]()
    try:
        await _bring(account, files, thread, office, stop, failed)
    finally:
        for reason, receipts in failed.items():
            log.error("receipts cannot be brought", account=account, receipts=receipts, reason=reason)
    return ", ".join(f"{reason} ({receipts})" for reason, receipts in failed.items())


async def _bring(
    account: str, files: Files, thread: Thread, office: Office, stop: Event, failed: Counter[str]
) -> None:
    for _ in range(_MOST // _AT_ONCE):
        due = await office.postings.due([account], _AT_ONCE, office.clock())
        brought = []
        try:
            for posting in due:
                if stop.is_set():
                    return
                try:
                    await thread.do(_put, files, posting)
                except OUTAGES:
                    raise
                except OSError as error:
                    failed[printable(error.strerror or str(error))] += 1
                    await office.postings.later([posting.receipt], office.clock() + _LATER)
                else:
                    brought.append(posting.receipt)
        finally:
            if brought:
                await office.postings.posted(brought, office.clock())
        if len(due) < _AT_ONCE:
            return


def _put(files: Files, posting: Posting) -> None:
    unfinished = f".receipt-{posting.receipt}.tmp"
    files.write(posting.folder, unfinished, lambda out: out.write(posting.body))
    files.move(posting.folder, unfinished, posting.folder, posting.name)
