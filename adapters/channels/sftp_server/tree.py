"""The virtual tree as one session sees it (DESIGN 5): folders, the store behind them, no host path."""

import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from stat import S_ISDIR
from typing import Final

from adapters.channels.sftp_server import paths
from adapters.channels.sftp_server.dossiers import ROOT, Dossiers
from adapters.channels.sftp_server.handles import FILE, PACKAGES_TOGETHER, Download, Upload
from adapters.channels.sftp_server.office import Office, no_room
from adapters.channels.sftp_server.outbox import Draft
from adapters.channels.sftp_server.wire import (
    NAMES_IN_A_PACKET,
    Attributes,
    Mode,
    Refused,
    Space,
    Status,
    denied,
    no_such_file,
)
from gateway.allowance import Room
from gateway.left_unfinished import notice
from gateway.mailbox import NotRenamed
from gateway.parties import Account
from gateway.ports import Entry, Folder

_FOLDER: Final = 0o040755

# A client looks at a file again after the upload: paramiko's `put` compares its size, WinSCP and others set
# its times. A judgement can be quicker than that and move the file to SentBox, and the client would report
# as failed what was acknowledged. So its session still sees it in OutBox for this long.
_STILL_SEEN: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class _Notice:
    draft: Draft
    body: bytes

    @property
    def attributes(self) -> Attributes:
        return Attributes(FILE, len(self.body), self.draft.touched)


class Tree:
    """All verbs raise `Refused` for what the client is told, `OSError` where our disk fails.

    `admitted` gives the account as it is now, and raises `Refused` once its key is revoked.
    """

    def __init__(self, office: Office, account: Account, admitted: Callable[[], Account]) -> None:
        self._office = office
        self._account = account
        self._admitted = admitted
        self._outbox = office.outbox(account.name)
        self._dossiers = Dossiers(office, account.name)
        self._writing: dict[str, Draft] = {}  # uploads of this session under final names
        self._done: dict[str, tuple[int, datetime]] = {}  # what it finished of late, oldest first

    def admit(self) -> Account:
        """Asked before every request: what was allowed at the log-in may be so no more."""
        self._account = self._admitted()
        return self._account

    def canonical(self, path: str) -> str:
        return "/" + "/".join(paths.steps(path))

    def stat(self, path: str) -> Attributes:
        if (within := self._in_dossiers(path)) is not None:
            return self._dossiers.stat(within)
        if len(paths.steps(path)) < 2:
            paths.folder(path)
            return self._folder()
        folder, name = paths.file(path)
        if folder is Folder.OUTBOX and (found := self._own(name)) is not None:
            return found
        if folder is Folder.INBOX and (told := self._notices().get(name)) is not None:
            return told.attributes
        return _attributes(self._entry(folder, name))

    def look_into(self, path: str) -> None:
        """Raises `Refused` where the path names no folder."""
        if not self._is_folder(path):
            raise no_such_file()

    def page(self, path: str, after: str) -> list[tuple[str, Attributes]]:
        """What a folder holds behind the name `after`, by name; empty at its end. Nothing of it is kept here
        between two pages: a client may have a thousand folders open."""
        within = self._in_dossiers(path)
        if within is not None:
            found = dict(self._dossiers.listing(within, again=after != ""))
        elif (folder := paths.folder(path)) is None:
            found = {each.value: self._folder() for each in Folder}
            if self._dossiers.admitted():
                found[ROOT] = self._dossiers.folder()
        else:
            stored = self._office.mailbox.page(self._account.name, folder, after, NAMES_IN_A_PACKET)
            found = {entry.name: _attributes(entry) for entry in self._office.wait(stored)}
            if folder is Folder.INBOX:
                found |= {name: told.attributes for name, told in self._notices().items()}
            if folder is Folder.OUTBOX:
                for draft in (*self._outbox.listing(), *self._writing.values()):
                    if not draft.gone:
                        found[draft.name] = _draft_attributes(draft)
        names = sorted(name for name in found if name > after)
        return [(name, found[name]) for name in names[:NAMES_IN_A_PACKET]]

    def turn(self) -> AbstractContextManager[None]:
        """Held while a page is made."""
        return self._office.turn(self._account.name)

    def refuse_folder(self, path: str) -> Refused:
        """Why none is made, as OpenSSH's server says it: clients go on where the folder is there already."""
        try:
            self.stat(path)
        except Refused as refusal:
            if refusal.status is not Status.NO_SUCH_FILE or not self._is_folder(f"{path}/.."):
                return refusal
            return denied("The folders here are fixed")
        return Refused(Status.FAILURE, "It exists")

    def now(self) -> datetime:
        return self._office.clock()

    def space(self) -> Space:
        """Of what the account may have on its way."""
        count, size = self._outbox.together()
        most = PACKAGES_TOGETHER * self._account.max_package
        return Space(
            most=most,
            free=max(most - size, 0),
            files=self._account.max_files,
            free_files=max(self._account.max_files - count, 0),
        )

    def open(self, path: str, mode: Mode) -> Upload | Download:
        if paths.names_folder(path):
            raise Refused(Status.FAILURE, "It is a folder")
        if (within := self._in_dossiers(path)) is not None:
            if Mode.WRITE in mode:
                raise self._dossiers.refuse_change()
            return self._dossiers.open(within)
        folder, name = paths.file(path)
        if Mode.WRITE not in mode:
            return self._read(folder, name)
        if folder is not Folder.OUTBOX:
            raise denied("Files are sent to OutBox only")
        return self._write(name, mode)

    def remove(self, path: str) -> None:
        self._refuse_change_of_dossiers(path)
        folder, name = paths.file(path)
        if folder is Folder.OUTBOX and self._account.is_unfinished(name):
            self._outbox.remove(name)
        elif folder is Folder.INBOX and (told := self._notices().get(name)) is not None:
            told.draft.silent = True
        elif folder is Folder.INBOX:
            self._collect(self._entry(folder, name), removed=True)
        else:
            self.stat(path)
            raise denied("Only unfinished uploads and receipts in InBox can be removed")

    def rename(self, old: str, new: str, *, replace: bool) -> None:
        """Where the new name is a final one this is the acknowledgement: it returns after the commit."""
        self._refuse_change_of_dossiers(old, new)
        folder, name = paths.file(old)
        target_folder, target = paths.file(new)
        if folder is not Folder.OUTBOX:
            self.stat(old)
            raise denied("Only uploads can be renamed")
        if target_folder is not Folder.OUTBOX:
            raise denied("An upload is renamed within OutBox")
        if self._outbox.find(name) is None:
            self._rename_taken(name, target)
        elif self._account.is_unfinished(target):
            self._outbox.move(name, target, replace=replace)
        else:
            self._finish(self._outbox.hold(name), target)

    def _rename_taken(self, name: str, target: str) -> None:
        if self._outbox.find(target) is not None:
            raise denied("OutBox has another file of the new name")
        now = self._office.clock()
        try:
            renamed = self._office.wait(self._office.mailbox.rename(self._account.name, name, target, now))
        except NotRenamed as error:
            raise denied(str(error)) from None
        if renamed is None:
            self.stat(f"/{Folder.OUTBOX}/{name}")
            raise denied("The file was taken too long ago to be renamed")
        self._done.pop(name, None)
        self._remember(target, renamed.size, now)

    def change(self, path: str, size: int | None) -> None:
        """Sets attributes: a size cuts or lengthens an unfinished file; times and permissions are taken and
        forgotten, since clients set them after an upload and count a refusal as its failure."""
        self._refuse_change_of_dossiers(path)
        folder, name = paths.file(path)
        if folder is not Folder.OUTBOX:
            raise denied()
        if size is not None and self._account.is_unfinished(name):
            upload = self._upload(self._outbox.hold(name), name)
            upload.truncate(size)
            upload.close()
            return
        now = self.stat(path)
        if size is not None and size != now.size:
            raise denied("A finished file cannot be changed")

    def _is_folder(self, path: str) -> bool:
        try:
            return S_ISDIR(self.stat(path).mode)
        except Refused as refusal:
            if refusal.status is Status.NO_SUCH_FILE:
                return False
            raise

    def _in_dossiers(self, path: str) -> list[str] | None:
        """The names below `/Dossiers`; None for other paths, and for whom that folder does not exist."""
        names = paths.steps(path)
        return names[1:] if names[:1] == [ROOT] and self._dossiers.admitted() else None

    def _refuse_change_of_dossiers(self, *of: str) -> None:
        if any(self._in_dossiers(path) is not None for path in of):
            raise self._dossiers.refuse_change()

    def _folder(self) -> Attributes:
        return Attributes(_FOLDER, 0, self._office.clock())

    def _own(self, name: str) -> Attributes | None:
        draft = self._writing.get(name) or self._outbox.find(name)
        if draft is not None:
            if draft.gone:
                # Its upload failed. paramiko's client overlooks a failed close and trusts this look instead,
                # which must not find an earlier message of the same name.
                raise no_such_file()
            return _draft_attributes(draft)
        size, at = self._done.get(name, (0, None))
        if at is None or self._office.clock() - at > _STILL_SEEN:
            return None
        return Attributes(FILE, size, at)

    def _entry(self, folder: Folder, name: str) -> Entry:
        entry = self._office.wait(self._office.mailbox.entry(self._account.name, folder, name))
        if entry is None:
            raise no_such_file()
        return entry

    def _read(self, folder: Folder, name: str) -> Download:
        if folder is Folder.OUTBOX and self._outbox.find(name) is not None:
            raise denied("The file is not finished")
        if folder is Folder.INBOX and (told := self._notices().get(name)) is not None:
            return Download(io.BytesIO(told.body), len(told.body), told.draft.touched)
        entry = self._entry(folder, name)
        try:
            if entry.receipt is None:
                return Download(self._office.blobs.open(entry.sha256 or ""), entry.size, entry.at)
            body = self._office.wait(self._office.mailbox.body(self._account.name, entry.receipt))
        except KeyError:
            raise no_such_file() from None
        fetched: Callable[[], None] | None = None
        if folder is Folder.INBOX:
            fetched = partial(self._collect, entry, removed=False)
        return Download(io.BytesIO(body), len(body), entry.at, fetched)

    def _notices(self) -> dict[str, _Notice]:
        """What the account is told in its InBox of files that it left unfinished, by name: a view, as those
        files are kept nowhere but here."""
        told = (
            (draft, notice(draft.name, draft.touched))
            for draft in self._outbox.left(self._office.clock())
            if not draft.silent
        )
        return {name: _Notice(draft, body) for draft, (name, body) in told}

    def _collect(self, entry: Entry, *, removed: bool) -> None:
        if entry.receipt is None:
            raise denied()
        self._office.wait(
            self._office.mailbox.collected(
                self._account.name, entry.receipt, self._office.clock(), removed=removed
            )
        )

    def _write(self, name: str, mode: Mode) -> Upload:
        unfinished = self._account.is_unfinished(name)
        # Alone the flag says nothing (POSIX, open).
        exclusive = Mode.EXCLUSIVE in mode and Mode.CREATE in mode
        fresh = Mode.TRUNCATE in mode and Mode.CREATE in mode and not exclusive
        # A final name that comes again is a new message (names are used again), so it is not even looked up.
        if not fresh:
            there = self._outbox.find(name) is not None if unfinished else self._acknowledged(name)
            if exclusive and (there or self._outbox.writes(name)):
                raise Refused(Status.FAILURE, "The file exists")
            if not there and Mode.CREATE not in mode:
                raise no_such_file()
            if there and Mode.TRUNCATE not in mode:
                if not unfinished:
                    raise denied("The file was acknowledged and cannot be changed; send it anew")
                return self._upload(self._outbox.hold(name), name, append=Mode.APPEND in mode)
        room = self._office.room(self._account)
        if room is not None and room.most == 0:
            raise no_room(room.why)
        draft = self._outbox.create(
            name,
            self._office.blobs.spool,
            self._office.clock(),
            self._account.max_files,
            unfinished=unfinished,
        )
        if not unfinished:
            self._writing = {each: held for each, held in self._writing.items() if not held.gone}
            self._writing[name] = draft
        return self._upload(draft, name, room, append=Mode.APPEND in mode)

    def _acknowledged(self, name: str) -> bool:
        try:
            self.stat(f"/{Folder.OUTBOX}/{name}")
        except Refused as refusal:
            if refusal.status is Status.NO_SUCH_FILE:
                return False
            raise
        return True

    def _upload(self, draft: Draft, name: str, room: Room | None = None, *, append: bool = False) -> Upload:
        finish = None if self._account.is_unfinished(name) else partial(self._finish, name=name)
        return Upload(draft, self._outbox, self._office, self._account, finish, room, append=append)

    def _finish(self, draft: Draft, name: str) -> None:
        size = self._office.commit(self._account.name, draft, name, self.admit)
        if self._writing.get(name) is draft:
            del self._writing[name]
        self._remember(name, size, self._office.clock())

    def _remember(self, name: str, size: int, now: datetime) -> None:
        self._done.pop(name, None)
        while self._done and now - self._done[first := next(iter(self._done))][1] > _STILL_SEEN:
            del self._done[first]
        self._done[name] = (size, now)


def _attributes(entry: Entry) -> Attributes:
    return Attributes(FILE, entry.size, entry.at)


def _draft_attributes(draft: Draft) -> Attributes:
    return Attributes(FILE, draft.spool.size, draft.touched)
