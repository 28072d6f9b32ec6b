"""The virtual tree as one session sees it: folders, the store behind them, no host path."""

import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from stat import S_ISDIR
from typing import Final

from adapters.channels.sftp_server import paths
from adapters.channels.sftp_server.dossier_folder import ROOT, DossierFolder
from adapters.channels.sftp_server.handles import FILE, DownloadHandle, UploadHandle
from adapters.channels.sftp_server.sending import UploadFolder
from adapters.channels.sftp_server.services import SftpServices
from adapters.channels.sftp_server.wire import (
    NAMES_IN_A_PACKET,
    FileAttributes,
    RequestRefused,
    Space,
    denied,
    no_such_file,
)
from adapters.transport.sftp.codec import Mode, Status
from gateway.model.folders import Folder
from gateway.model.parties import Account
from gateway.receive.left_unfinished import notice
from gateway.receive.ports import MailboxEntry

_FOLDER: Final = 0o040755


@dataclass(frozen=True, slots=True)
class _Notice:
    """`read` is called when the account has removed the notice."""

    body: bytes
    at: datetime
    read: Callable[[], None]

    @property
    def attributes(self) -> FileAttributes:
        return FileAttributes(FILE, len(self.body), self.at)


class Tree:
    """All methods raise `RequestRefused` with the text for the client, `OSError` if our disk fails.

    `admitted` returns the account as it is now, and raises `RequestRefused` once its key is revoked.
    """

    def __init__(self, services: SftpServices, account: Account, admitted: Callable[[], Account]) -> None:
        self._services = services
        self._name = account.name
        self._sending = UploadFolder(services, account, admitted)
        self._dossiers = DossierFolder(services, account.name)

    def admit(self) -> None:
        """Checked before every request: permissions may have changed since the log-in."""
        self._sending.admit()

    def canonical(self, path: str) -> str:
        return "/" + "/".join(paths.steps(path))

    def stat(self, path: str) -> FileAttributes:
        if (within := self._in_dossiers(path)) is not None:
            return self._dossiers.stat(within)
        if len(paths.steps(path)) < 2:
            paths.folder(path)
            return self._folder()
        folder, name = paths.file(path)
        if folder is Folder.OUTBOX:
            return self._sending.stat(name)
        if folder is Folder.INBOX and (file := self._notices().get(name)) is not None:
            return file.attributes
        return _attributes(self._services.entry(self._name, folder, name))

    def look_into(self, path: str) -> None:
        """Raises `RequestRefused` if the path names no folder."""
        if not self._is_folder(path):
            raise no_such_file()

    def page(self, path: str, after: str) -> list[tuple[str, FileAttributes]]:
        """The entries of a folder after the name `after`, by name; empty at its end. Nothing is kept here
        between two pages: a client may have a thousand folders open."""
        within = self._in_dossiers(path)
        if within is not None:
            entries = dict(self._dossiers.listing(within, again=after != ""))
        elif (folder := paths.folder(path)) is None:
            entries = {each.value: self._folder() for each in Folder}
            if self._dossiers.admitted():
                entries[ROOT] = self._dossiers.folder()
        else:
            stored = self._services.mailbox.page(self._name, folder, after, NAMES_IN_A_PACKET)
            entries = {entry.name: _attributes(entry) for entry in self._services.wait(stored)}
            if folder is Folder.INBOX:
                entries |= {name: file.attributes for name, file in self._notices().items()}
            if folder is Folder.OUTBOX:
                entries |= self._sending.drafts()
        names = sorted(name for name in entries if name > after)
        return [(name, entries[name]) for name in names[:NAMES_IN_A_PACKET]]

    def turn(self) -> AbstractContextManager[None]:
        """Held while a page is made."""
        return self._services.turn(self._name)

    def refuse_making(self, path: str) -> RequestRefused:
        """Why a folder or link cannot be created, in the words of OpenSSH's server: clients continue if a
        folder exists already."""
        try:
            self.stat(path)
        except RequestRefused as refusal:
            if refusal.status is not Status.NO_SUCH_FILE or not self._is_folder(f"{path}/.."):
                return refusal
            return denied("The folders here are fixed")
        return RequestRefused(Status.FAILURE, "It exists")

    def refuse_removing(self, path: str) -> RequestRefused:
        """Why a folder cannot be removed, in the words of OpenSSH's server."""
        if not self._is_folder(path):
            return no_such_file()
        with self.turn():
            if self.page(path, ""):
                return RequestRefused(Status.FAILURE, "The folder is not empty")
        return denied("The folders here are fixed")

    def now(self) -> datetime:
        return self._services.clock()

    def space(self) -> Space:
        """The account's space for uploads."""
        return self._sending.space()

    def open(self, path: str, mode: Mode) -> UploadHandle | DownloadHandle:
        if paths.names_folder(path):
            raise RequestRefused(Status.FAILURE, "It is a folder")
        if (within := self._in_dossiers(path)) is not None:
            if Mode.WRITE in mode:
                raise self._dossiers.refuse_change()
            return self._dossiers.open(within)
        folder, name = paths.file(path)
        if Mode.WRITE not in mode:
            return self._read(folder, name)
        if folder is not Folder.OUTBOX:
            raise denied("Files are sent to OutBox only")
        return self._sending.write(name, mode)

    def remove(self, path: str) -> None:
        self._refuse_change_of_dossiers(path)
        folder, name = paths.file(path)
        if folder is Folder.OUTBOX:
            self._sending.remove(name)
        elif folder is Folder.INBOX and (file := self._notices().get(name)) is not None:
            file.read()
        elif folder is Folder.INBOX:
            self._collect(self._services.entry(self._name, folder, name), removed=True)
        else:
            self.stat(path)
            raise denied("Only unfinished uploads and receipts in InBox can be removed")

    def rename(self, old: str, new: str, *, replace: bool) -> None:
        """If the new name is a final one, this is the acknowledgement: it returns after the commit."""
        self._refuse_change_of_dossiers(old, new)
        folder, name = paths.file(old)
        target_folder, target = paths.file(new)
        if folder is not Folder.OUTBOX:
            self.stat(old)
            raise denied("Only uploads can be renamed")
        if target_folder is not Folder.OUTBOX:
            raise denied("An upload is renamed within OutBox")
        self._sending.rename(name, target, replace=replace)

    def change(self, path: str, size: int | None) -> None:
        """Sets attributes of an upload."""
        self._refuse_change_of_dossiers(path)
        folder, name = paths.file(path)
        if folder is not Folder.OUTBOX:
            raise denied()
        self._sending.change(name, size)

    def _is_folder(self, path: str) -> bool:
        try:
            return S_ISDIR(self.stat(path).mode)
        except RequestRefused as refusal:
            if refusal.status is Status.NO_SUCH_FILE:
                return False
            raise

    def _in_dossiers(self, path: str) -> list[str] | None:
        """The names below `/Dossiers`; None for other paths, and for accounts for which that folder does not
        exist."""
        names = paths.steps(path)
        return names[1:] if names[:1] == [ROOT] and self._dossiers.admitted() else None

    def _refuse_change_of_dossiers(self, *changed: str) -> None:
        if any(self._in_dossiers(path) is not None for path in changed):
            raise self._dossiers.refuse_change()

    def _folder(self) -> FileAttributes:
        return FileAttributes(_FOLDER, 0, self._services.clock())

    def _read(self, folder: Folder, name: str) -> DownloadHandle:
        if folder is Folder.OUTBOX and self._sending.is_unfinished(name):
            raise denied("The file is not finished")
        if folder is Folder.INBOX and (file := self._notices().get(name)) is not None:
            return DownloadHandle(io.BytesIO(file.body), len(file.body), file.at)
        entry = self._services.entry(self._name, folder, name)
        try:
            if entry.receipt is None:
                return DownloadHandle(self._services.blobs.open(entry.sha256 or ""), entry.size, entry.at)
            body = self._services.wait(self._services.mailbox.body(self._name, entry.receipt))
        except KeyError:
            raise no_such_file() from None
        fetched: Callable[[], None] | None = None
        if folder is Folder.INBOX:
            fetched = partial(self._collect, entry, removed=False)
        return DownloadHandle(io.BytesIO(body), len(body), entry.at, fetched)

    def _notices(self) -> dict[str, _Notice]:
        """The notices in the account's InBox about files that it left unfinished, by name: a view, since
        those files exist only here."""
        files = {}
        for lost in self._sending.lost():
            name, body = notice(lost.name, lost.touched, lost=True)
            files[name] = _Notice(body, lost.touched, lost.forget)
        for upload in self._sending.left_unfinished():
            name, body = notice(upload.name, upload.touched)
            files[name] = _Notice(body, upload.touched, upload.silence)
        return files

    def _collect(self, entry: MailboxEntry, *, removed: bool) -> None:
        if entry.receipt is None:
            raise denied()
        self._services.wait(
            self._services.mailbox.collected(
                self._name, entry.receipt, self._services.clock(), removed=removed
            )
        )


def _attributes(entry: MailboxEntry) -> FileAttributes:
    return FileAttributes(FILE, entry.size, entry.at)
