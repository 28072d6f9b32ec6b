"""Uploads from which another channel makes messages: unfinished here until that channel asks for them by
name."""

import hashlib
import threading
from typing import Final

from adapters.channels.sftp_server.services import SftpServices
from adapters.channels.sftp_server.uploads import Upload
from adapters.channels.sftp_server.wire import RequestRefused
from adapters.transport.sftp.codec import Status
from gateway.model.blobs import Package, Spool
from gateway.model.faults import Fault, MessageRejected, finding, printable

_CHUNK: Final = 1024 * 1024


class ClaimCheck:
    """Each method may be called from any thread, for one claim by one thread at a time; an account reaches
    only its own uploads."""

    def __init__(self, services: SftpServices) -> None:
        self._services = services
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str, int, str], Package] = {}

    def take(self, account: str, file: str, size: int, sha256: str) -> Package:
        """Makes a package of the unfinished `file`, which then disappears from OutBox; the same claim may be
        repeated until `consumed`. If it raises, the upload stays as it is.

        Raises `MessageRejected` if there is none, a handle is open on it, or it differs from the claim;
        `OSError`.
        """
        key = (account, file, size, sha256)
        with self._lock:
            if key in self._kept:
                return self._kept[key]
        upload = self._held(account, file)
        uploads = self._services.uploads(account)
        if upload.spool.size != size or _digest(upload.spool) != sha256:
            uploads.release(upload, self._services.clock())
            raise MessageRejected(finding(Fault.CLAIM_DIFFERS, detail=printable(file, 80)))
        try:
            package = upload.spool.keep()
            with self._lock:
                self._kept[key] = package
        finally:
            uploads.drop(upload)
        return package

    def consumed(self, account: str, file: str, size: int, sha256: str) -> None:
        """Records that the upload is a message now."""
        with self._lock:
            self._kept.pop((account, file, size, sha256), None)

    def _held(self, account: str, file: str) -> Upload:
        try:
            return self._services.uploads(account).hold(file)
        except RequestRefused as refusal:
            missing = refusal.status is Status.NO_SUCH_FILE
            fault = Fault.CLAIM_MISSING if missing else Fault.CLAIM_OPEN
            raise MessageRejected(finding(fault, detail=printable(file, 80))) from None


def _digest(spool: Spool) -> str:
    digest, at = hashlib.sha256(), 0
    while chunk := spool.read(at, _CHUNK):
        digest.update(chunk)
        at += len(chunk)
    return digest.hexdigest()
