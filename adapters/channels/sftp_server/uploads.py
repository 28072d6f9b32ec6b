"""Uploads that are not messages yet: those being written, and files with unfinished names."""

import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from adapters.channels.sftp_server.remembered import LostUpload, UploadNotes
from adapters.channels.sftp_server.wire import RequestRefused, denied, no_such_file
from adapters.transport.sftp.codec import Status
from gateway.model.blobs import Spool
from gateway.model.unfinished_names import LEFT_AFTER, whole_name

# An unfinished file that nobody has touched for a day will not be finished; its space is released.
KEPT_SECONDS: Final = 24 * 3600


class Upload:
    """An upload in progress. `held` while a handle is open on it: then only that handle's thread uses the
    spool.

    `gone` once it was replaced under its name or its handle was aborted: it can never be committed.
    """

    __slots__ = ("gone", "held", "name", "note", "silent", "size", "spool", "touched")

    def __init__(self, name: str, spool: Spool, now: datetime) -> None:
        self.name = name
        self.spool = spool
        self.size = 0  # the size counted for its account
        self.touched = now
        self.held = True
        self.gone = False
        self.note: Path | None = None  # by which it is remembered over a restart
        self.silent = False  # its sender was notified that it is unfinished, and removed the notice

    def silence(self) -> None:
        self.silent = True


class Uploads:
    """The uploads of one account, shared by all its sessions; each method is atomic.

    They live as long as the process: a restart deletes the spools, and the sender, who got no acknowledgement
    for any of them, sends again. A sender may not know that an upload is unfinished: its name is remembered.
    """

    def __init__(self, account: str = "", notes: UploadNotes | None = None) -> None:
        self._account = account
        self._notes = notes
        self._lock = threading.Lock()
        self._unfinished: dict[str, Upload] = {}
        self._all: set[Upload] = set()
        self._size = 0

    def create(
        self, name: str, make: Callable[[], Spool], now: datetime, most: int, *, unfinished: bool
    ) -> Upload:
        """A new upload, held. An unfinished one with this name is replaced, even while another session writes
        it: that session may be dead without its end having been noticed."""
        with self._lock:
            earlier = self._unfinished.get(name)
            if len(self._all) - (earlier is not None) >= most:
                raise RequestRefused(
                    Status.FAILURE, f"Too many unfinished files ({most}); finish or remove some"
                )
            upload = Upload(name, make(), now)
            for lost in self.lost():
                if name in (lost.name, whole_name(lost.name)):
                    lost.forget()  # it is sent again
            if earlier is not None:
                self._give_up(earlier)
            self._all.add(upload)
            if unfinished:
                self._unfinished[name] = upload
            return upload

    def grow(self, upload: Upload, size: int, most: int) -> None:
        """Counts an upload that grows to `size` bytes; refused if all uploads together would exceed `most`:
        nobody can fill the disk with files that are never finished."""
        with self._lock:
            if upload.gone or size <= upload.size:
                return
            if self._size + size - upload.size > most:
                raise RequestRefused(
                    Status.FAILURE, f"Unfinished files may have {most} bytes together at most"
                )
            self._size += size - upload.size
            upload.size = size

    def find(self, name: str) -> Upload | None:
        with self._lock:
            return self._unfinished.get(name)

    def writes(self, name: str) -> bool:
        """Whether a session is sending a file with this name now."""
        with self._lock:
            return any(upload.name == name and not upload.gone for upload in self._all)

    def together(self) -> tuple[int, int]:
        """Their number, and their bytes."""
        with self._lock:
            return len(self._all), self._size

    def listing(self) -> list[Upload]:
        with self._lock:
            return list(self._unfinished.values())

    def left_unfinished(self, now: datetime) -> list[Upload]:
        """Uploads untouched for so long that their sender is to be notified."""
        with self._lock:
            return [
                upload
                for upload in self._unfinished.values()
                if not upload.held and now - upload.touched >= LEFT_AFTER
            ]

    def lost(self) -> list[LostUpload]:
        """Uploads that a restart has removed."""
        return [] if self._notes is None else self._notes.lost(self._account)

    def hold(self, name: str) -> Upload:
        """The unfinished file, held from now on; refused while a handle is open on it."""
        with self._lock:
            return self._hold(name)

    def release(self, upload: Upload, now: datetime) -> None:
        with self._lock:
            upload.held = upload.silent = False
            upload.touched = now
            self._remember(upload)

    def drop(self, upload: Upload) -> None:
        """Ends a held upload and its spool, if it still has one."""
        with self._lock:
            upload.held = False
            self._give_up(upload)

    def remove(self, name: str) -> None:
        with self._lock:
            upload = self._hold(name)
            upload.held = False
            self._give_up(upload)

    def move(self, old: str, new: str, *, replace: bool) -> None:
        """Renames an unfinished file to another unfinished name."""
        with self._lock:
            upload = self._hold(old)
            upload.held = False
            there = self._unfinished.get(new)
            if there is not None and there is not upload:
                if there.held or not replace:
                    raise denied("A file with the new name exists")
                self._give_up(there)
            del self._unfinished[old]
            upload.name = new
            self._unfinished[new] = upload
            self._remember(upload)

    def expire(self, now: datetime) -> None:
        """Removes uploads that nobody has touched for a day."""
        with self._lock:
            for upload in list(self._unfinished.values()):
                if not upload.held and (now - upload.touched).total_seconds() > KEPT_SECONDS:
                    self._give_up(upload)

    def clear(self) -> None:
        """Called at the end of the process. Names stay remembered."""
        with self._lock:
            for upload in list(self._all):
                upload.note = None
                self._give_up(upload)

    def _remember(self, upload: Upload) -> None:
        self._forget(upload)
        if self._notes is not None:
            upload.note = self._notes.note(self._account, upload.name, upload.touched)

    def _forget(self, upload: Upload) -> None:
        if upload.note is not None:
            upload.note.unlink(missing_ok=True)
            upload.note = None

    def _hold(self, name: str) -> Upload:
        upload = self._unfinished.get(name)
        if upload is None:
            raise no_such_file()
        if upload.held:
            raise denied("The file is being written")
        upload.held = True
        return upload

    def _give_up(self, upload: Upload) -> None:
        upload.gone = True
        self._forget(upload)
        if upload in self._all:
            self._all.discard(upload)
            self._size -= upload.size
        if self._unfinished.get(upload.name) is upload:
            del self._unfinished[upload.name]
        if not upload.held:
            upload.spool.discard()
