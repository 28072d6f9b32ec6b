"""`/Dossiers` of an account of customs: every entry's dossier, read-only (docs/reform.md, R12).

No name in a path is ever opened as a file: a number is looked up in the store, the rest among the parts of
that dossier. Every reading is recorded before the content is shown.
"""

import io
from collections.abc import Sequence
from typing import IO, Final

from adapters.channels.sftp_server.handles import DownloadHandle
from adapters.channels.sftp_server.services import SftpServices
from adapters.channels.sftp_server.wire import FileAttributes, RequestRefused, denied, no_such_file
from adapters.transport.sftp.codec import Status
from gateway.dossier.index import index_bytes
from gateway.formats.zip_member import opened_part
from gateway.model.dossier import (
    INDEX_NAME,
    Dossier,
    DossierFile,
    DossierReading,
    Recorded,
    Shelf,
    names_entry,
)

ROOT: Final = "Dossiers"
# A listing is held in memory; older entries are opened by their number.
MOST_LISTED: Final = 1000
# An account has one purpose: customs gives each department its own account.
PURPOSE: Final = "customs account over SFTP"

_FOLDER: Final = 0o040555
_FILE: Final = 0o100444


class DossierFolder:
    """The folder as one account's session sees it; `names` are those below `/Dossiers`. Every method raises
    `RequestRefused` for what does not exist."""

    def __init__(self, services: SftpServices, account: str) -> None:
        self._services = services
        self._account = account

    def admitted(self) -> bool:
        """Checked each time: a changed role takes effect at once."""
        return self._services.wait(self._services.dossiers.admits(self._account))

    def folder(self) -> FileAttributes:
        return FileAttributes(_FOLDER, 0, self._services.clock())

    def stat(self, names: Sequence[str]) -> FileAttributes:
        if not names:
            return self.folder()
        dossier = self._dossier(names[0])
        match names[1:]:
            case []:
                return FileAttributes(_FOLDER, 0, dossier.at)
            case [name] if name == INDEX_NAME:
                return FileAttributes(_FILE, len(index_bytes(dossier)), dossier.at)
            case [name] if dossier.shelf(name):
                return FileAttributes(_FOLDER, 0, dossier.at)
            case [shelf, name]:
                return _attributes(_leaf(dossier, shelf, name))
        raise no_such_file()

    def listing(self, names: Sequence[str], *, again: bool) -> list[tuple[str, FileAttributes]]:
        """`again`: a part of it was already shown and recorded."""
        if not names:
            entries = self._services.wait(self._services.dossiers.entries(MOST_LISTED))
            return [(entry, FileAttributes(_FOLDER, 0, at)) for entry, at in entries if names_entry(entry)]
        dossier = self._dossier(names[0])
        match names[1:]:
            case []:
                if not again:
                    self._note(dossier, "")
                shelves = [shelf for shelf in Shelf if dossier.shelf(shelf)]
                return [
                    (INDEX_NAME, FileAttributes(_FILE, len(index_bytes(dossier)), dossier.at)),
                    *((shelf.value, FileAttributes(_FOLDER, 0, dossier.at)) for shelf in shelves),
                ]
            case [name] if leaves := dossier.shelf(name):
                if not again:
                    self._note(dossier, f"{name}/")
                return [(file.name, _attributes(file)) for file in leaves]
        raise no_such_file()

    def open(self, names: Sequence[str]) -> DownloadHandle:
        match names:
            case [entry, name] if name == INDEX_NAME:
                dossier = self._dossier(entry)
                index = index_bytes(dossier)
                self._note(dossier, name)
                return DownloadHandle(io.BytesIO(index), len(index), dossier.at)
            case [entry, shelf, name]:
                dossier = self._dossier(entry)
                file = _leaf(dossier, shelf, name)
                self._note(dossier, file.path)
                return DownloadHandle(self._opened(file), file.size, file.at)
        self.stat(names)
        raise RequestRefused(Status.FAILURE, "It is a folder")

    def refuse_change(self) -> RequestRefused:
        return denied("Dossiers are for reading only")

    def _dossier(self, entry: str) -> Dossier:
        dossier = self._services.wait(self._services.dossiers.dossier(entry)) if names_entry(entry) else None
        if dossier is None:
            raise no_such_file()
        return dossier

    def _opened(self, file: DossierFile) -> IO[bytes]:
        try:
            if isinstance(file.source, Recorded):
                return io.BytesIO(self._services.wait(self._services.dossiers.body(file.source)))
            return opened_part(file.source, self._services.blobs.open)
        except KeyError:
            raise no_such_file() from None

    def _note(self, dossier: Dossier, part: str) -> None:
        reading = DossierReading(
            at=self._services.clock(),
            actor=self._account,
            entry=dossier.name,
            message=dossier.declaration.id,
            part=part,
            purpose=PURPOSE,
        )
        self._services.wait(self._services.dossiers.note(reading))


def _leaf(dossier: Dossier, shelf: str, name: str) -> DossierFile:
    file = dossier.leaf(f"{shelf}/{name}")
    if file is None:
        raise no_such_file()
    return file


def _attributes(file: DossierFile) -> FileAttributes:
    return FileAttributes(_FILE, file.size, file.at)
