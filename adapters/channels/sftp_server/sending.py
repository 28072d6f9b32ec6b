"""OutBox as one session sees it: writing, finishing and renaming uploads."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from adapters.channels.sftp_server.handles import FILE, PACKAGES_TOGETHER, UploadHandle
from adapters.channels.sftp_server.remembered import LostUpload
from adapters.channels.sftp_server.services import SftpServices, no_room
from adapters.channels.sftp_server.uploads import Upload
from adapters.channels.sftp_server.wire import FileAttributes, RequestRefused, Space, denied, no_such_file
from adapters.transport.sftp.codec import Mode, Status
from gateway.model.folders import Folder
from gateway.model.parties import Account
from gateway.receive.allowance import UploadAllowance
from gateway.receive.renaming import NotRenamed

# A client looks at a file again after the upload: paramiko's `put` compares its size, WinSCP and others set
# its times. Judgement may be faster and move the file to SentBox; the client would then report an
# acknowledged upload as failed. So its session still sees the file in OutBox for this long.
_STILL_SEEN: Final = timedelta(seconds=5)


class UploadFolder:
    """All methods raise `RequestRefused` with the text for the client, `OSError` if our disk fails.

    `admitted` returns the account as it is now, and raises `RequestRefused` once its key is revoked.
    """

    def __init__(self, services: SftpServices, account: Account, admitted: Callable[[], Account]) -> None:
        self._services = services
        self.account = account
        self._admitted = admitted
        self._uploads = services.uploads(account.name)
        self._writing: dict[str, Upload] = {}  # uploads of this session under final names
        self._done: dict[str, tuple[int, datetime]] = {}  # recently finished by this session, oldest first

    def admit(self) -> Account:
        """Checked before every request: permissions may have changed since the log-in."""
        self.account = self._admitted()
        return self.account

    def space(self) -> Space:
        """The account's space for uploads."""
        count, size = self._uploads.together()
        most = PACKAGES_TOGETHER * self.account.max_package
        return Space(
            most=most,
            free=max(most - size, 0),
            files=self.account.max_files,
            free_files=max(self.account.max_files - count, 0),
        )

    def drafts(self) -> dict[str, FileAttributes]:
        """Files that are not messages yet, by name."""
        drafts = (*self._uploads.listing(), *self._writing.values())
        return {upload.name: _attributes(upload) for upload in drafts if not upload.gone}

    def left_unfinished(self) -> Sequence[Upload]:
        """Unfinished uploads whose sender has not been notified yet."""
        return [
            upload for upload in self._uploads.left_unfinished(self._services.clock()) if not upload.silent
        ]

    def lost(self) -> Sequence[LostUpload]:
        """Uploads that were unfinished when the gateway restarted, and whose sender has not been notified
        yet."""
        return self._uploads.lost()

    def is_unfinished(self, name: str) -> bool:
        return self._uploads.find(name) is not None

    def stat(self, name: str) -> FileAttributes:
        upload = self._writing.get(name) or self._uploads.find(name)
        if upload is not None:
            if upload.gone:
                # Its upload failed. paramiko's client ignores a failed close and trusts this look instead, so
                # it must not find an earlier message with the same name.
                raise no_such_file()
            return _attributes(upload)
        size, at = self._done.get(name, (0, None))
        if at is not None and self._services.clock() - at <= _STILL_SEEN:
            return FileAttributes(FILE, size, at)
        entry = self._services.entry(self.account.name, Folder.OUTBOX, name)
        return FileAttributes(FILE, entry.size, entry.at)

    def write(self, name: str, mode: Mode) -> UploadHandle:
        unfinished = self.account.is_unfinished(name)
        # The flag alone has no meaning (POSIX, open).
        exclusive = Mode.EXCLUSIVE in mode and Mode.CREATE in mode
        fresh = Mode.TRUNCATE in mode and Mode.CREATE in mode and not exclusive
        # A final name that is used again is a new message (names are reused), so it is not even looked up.
        if not fresh:
            there = self.is_unfinished(name) if unfinished else self._acknowledged(name)
            if exclusive and (there or self._uploads.writes(name)):
                raise RequestRefused(Status.FAILURE, "The file exists")
            if not there and Mode.CREATE not in mode:
                raise no_such_file()
            if there and Mode.TRUNCATE not in mode:
                if not unfinished:
                    raise denied("The file was acknowledged and cannot be changed; send it anew")
                return self._upload(self._uploads.hold(name), name, append=Mode.APPEND in mode)
        room = self._services.room(self.account)
        if room is not None and room.most == 0:
            raise no_room(room.why)
        upload = self._uploads.create(
            name,
            self._services.blobs.spool,
            self._services.clock(),
            self.account.max_files,
            unfinished=unfinished,
        )
        if not unfinished:
            self._writing = {each: upload for each, upload in self._writing.items() if not upload.gone}
            self._writing[name] = upload
        return self._upload(upload, name, room, append=Mode.APPEND in mode)

    def remove(self, name: str) -> None:
        if not self.is_unfinished(name):
            self.stat(name)
            raise denied("Only unfinished uploads and receipts in InBox can be removed")
        self._uploads.remove(name)

    def rename(self, name: str, target: str, *, replace: bool) -> None:
        """If the new name is a final one, this is the acknowledgement: it returns after the commit."""
        if not self.is_unfinished(name):
            self._rename_taken(name, target)
        elif self.account.is_unfinished(target):
            self._uploads.move(name, target, replace=replace)
        else:
            self._finish(self._uploads.hold(name), target)

    def change(self, name: str, size: int | None) -> None:
        """Sets attributes: a size truncates or extends an unfinished file; times and permissions are accepted
        and ignored, since clients set them after an upload and treat a refusal as a failed upload."""
        if size is not None and self.account.is_unfinished(name):
            upload = self._upload(self._uploads.hold(name), name)
            upload.truncate(size)
            upload.close()
            return
        now = self.stat(name)
        if size is not None and size != now.size:
            raise denied("A finished file cannot be changed")

    def _rename_taken(self, name: str, target: str) -> None:
        if self.is_unfinished(target):
            raise denied("OutBox has another file of the new name")
        now = self._services.clock()
        try:
            renamed = self._services.wait(self._services.mailbox.rename(self.account.name, name, target, now))
        except NotRenamed as error:
            raise denied(str(error)) from None
        if renamed is None:
            self.stat(name)
            raise denied("The file was taken too long ago to be renamed")
        self._done.pop(name, None)
        self._remember(target, renamed.size, now)

    def _acknowledged(self, name: str) -> bool:
        try:
            self.stat(name)
        except RequestRefused as refusal:
            if refusal.status is Status.NO_SUCH_FILE:
                return False
            raise
        return True

    def _upload(
        self, upload: Upload, name: str, room: UploadAllowance | None = None, *, append: bool = False
    ) -> UploadHandle:
        finish = None if self.account.is_unfinished(name) else partial(self._finish, name=name)
        return UploadHandle(upload, self._uploads, self._services, self.account, finish, room, append=append)

    def _finish(self, upload: Upload, name: str) -> None:
        size = self._services.commit(self.account.name, upload, name, self.admit)
        if self._writing.get(name) is upload:
            del self._writing[name]
        self._remember(name, size, self._services.clock())

    def _remember(self, name: str, size: int, now: datetime) -> None:
        self._done.pop(name, None)
        while self._done and now - self._done[first := next(iter(self._done))][1] > _STILL_SEEN:
            del self._done[first]
        self._done[name] = (size, now)


def _attributes(upload: Upload) -> FileAttributes:
    return FileAttributes(FILE, upload.spool.size, upload.touched)
