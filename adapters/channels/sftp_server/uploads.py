"""Uploads that are not messages yet: what is being written, and files under unfinished names."""

import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from adapters.channels.sftp_server.remembered import Lost, Remembered
from adapters.channels.sftp_server.wire import Refused, Status, denied, no_such_file
from gateway.model.ports import Spool
from gateway.model.unfinished_names import LEFT_AFTER, whole_name

# An unfinished file that nobody has touched for a day will not be finished; its space is given back.
KEPT_SECONDS: Final = 24 * 3600


class Draft:
    """A file on its way. `held` while a handle is open on it: then only that handle's thread uses the spool.

    `gone` once it was replaced under its name or its handle was aborted: it can never be committed.
    """

    __slots__ = ("gone", "held", "name", "note", "silent", "size", "spool", "touched")

    def __init__(self, name: str, spool: Spool, now: datetime) -> None:
        self.name = name
        self.spool = spool
        self.size = 0  # as far as it is counted for its account
        self.touched = now
        self.held = True
        self.gone = False
        self.note: Path | None = None  # by which it is remembered over a restart
        self.silent = False  # its sender was told that it is left unfinished, and removed that

    def silence(self) -> None:
        self.silent = True


class Outbox:
    """The drafts of one account, shared by all its sessions; each verb is atomic.

    They live as long as the process: a restart sweeps the spools, and the sender, who had no
    acknowledgement for any of them, sends again. Who left one unfinished may not know that: its name is
    remembered.
    """

    def __init__(self, account: str = "", remembered: Remembered | None = None) -> None:
        self._account = account
        self._remembered = remembered
        self._lock = threading.Lock()
        self._unfinished: dict[str, Draft] = {}
        self._all: set[Draft] = set()
        self._size = 0

    def create(
        self, name: str, make: Callable[[], Spool], now: datetime, most: int, *, unfinished: bool
    ) -> Draft:
        """A new draft, held. An unfinished one of this name is replaced, even while another session writes
        it: that session may be a dead one whose end has not been noticed yet."""
        with self._lock:
            earlier = self._unfinished.get(name)
            if len(self._all) - (earlier is not None) >= most:
                raise Refused(Status.FAILURE, f"Too many unfinished files ({most}); finish or remove some")
            draft = Draft(name, make(), now)
            for lost in self.lost():
                if name in (lost.name, whole_name(lost.name)):
                    lost.forget()  # it is sent again
            if earlier is not None:
                self._give_up(earlier)
            self._all.add(draft)
            if unfinished:
                self._unfinished[name] = draft
            return draft

    def grow(self, draft: Draft, size: int, most: int) -> None:
        """Counts a draft that grows to `size` bytes; refused where all drafts together would have more than
        `most`: nobody fills the disk with what is never finished."""
        with self._lock:
            if draft.gone or size <= draft.size:
                return
            if self._size + size - draft.size > most:
                raise Refused(Status.FAILURE, f"Unfinished files may have {most} bytes together at most")
            self._size += size - draft.size
            draft.size = size

    def find(self, name: str) -> Draft | None:
        with self._lock:
            return self._unfinished.get(name)

    def writes(self, name: str) -> bool:
        """Whether a session sends a file of this name now."""
        with self._lock:
            return any(draft.name == name and not draft.gone for draft in self._all)

    def together(self) -> tuple[int, int]:
        """How many there are, and their bytes."""
        with self._lock:
            return len(self._all), self._size

    def listing(self) -> list[Draft]:
        with self._lock:
            return list(self._unfinished.values())

    def left(self, now: datetime) -> list[Draft]:
        """Those that nobody has touched for so long that their sender is to hear of it."""
        with self._lock:
            return [
                draft
                for draft in self._unfinished.values()
                if not draft.held and now - draft.touched >= LEFT_AFTER
            ]

    def lost(self) -> list[Lost]:
        """What a restart has removed."""
        return [] if self._remembered is None else self._remembered.lost(self._account)

    def hold(self, name: str) -> Draft:
        """The unfinished file, from now on held; refused while a handle is open on it."""
        with self._lock:
            return self._hold(name)

    def release(self, draft: Draft, now: datetime) -> None:
        with self._lock:
            draft.held = draft.silent = False
            draft.touched = now
            self._remember(draft)

    def drop(self, draft: Draft) -> None:
        """Ends a held draft and its spool, if it has one still."""
        with self._lock:
            draft.held = False
            self._give_up(draft)

    def remove(self, name: str) -> None:
        with self._lock:
            draft = self._hold(name)
            draft.held = False
            self._give_up(draft)

    def move(self, old: str, new: str, *, replace: bool) -> None:
        """Renames an unfinished file to another unfinished name."""
        with self._lock:
            draft = self._hold(old)
            draft.held = False
            there = self._unfinished.get(new)
            if there is not None and there is not draft:
                if there.held or not replace:
                    raise denied("A file with the new name exists")
                self._give_up(there)
            del self._unfinished[old]
            draft.name = new
            self._unfinished[new] = draft
            self._remember(draft)

    def expire(self, now: datetime) -> None:
        """Removes what nobody has touched for a day."""
        with self._lock:
            for draft in list(self._unfinished.values()):
                if not draft.held and (now - draft.touched).total_seconds() > KEPT_SECONDS:
                    self._give_up(draft)

    def clear(self) -> None:
        """At the end of the process. Names stay remembered."""
        with self._lock:
            for draft in list(self._all):
                draft.note = None
                self._give_up(draft)

    def _remember(self, draft: Draft) -> None:
        self._forget(draft)
        if self._remembered is not None:
            draft.note = self._remembered.note(self._account, draft.name, draft.touched)

    def _forget(self, draft: Draft) -> None:
        if draft.note is not None:
            draft.note.unlink(missing_ok=True)
            draft.note = None

    def _hold(self, name: str) -> Draft:
        draft = self._unfinished.get(name)
        if draft is None:
            raise no_such_file()
        if draft.held:
            raise denied("The file is being written")
        draft.held = True
        return draft

    def _give_up(self, draft: Draft) -> None:
        draft.gone = True
        self._forget(draft)
        if draft in self._all:
            self._all.discard(draft)
            self._size -= draft.size
        if self._unfinished.get(draft.name) is draft:
            del self._unfinished[draft.name]
        if not draft.held:
            draft.spool.discard()
