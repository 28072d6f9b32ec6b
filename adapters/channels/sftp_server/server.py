"""The SFTP server: listens, admits connections, ends those that overstay, and stops in order."""

import asyncio
import errno
import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import paramiko

from adapters.channels.sftp_server.auth import SshLogin
from adapters.channels.sftp_server.claim_check import ClaimCheck
from adapters.channels.sftp_server.connection_limits import BANNER_SECONDS, GRACE_SECONDS, ConnectionLimits
from adapters.channels.sftp_server.remembered import UploadNotes
from adapters.channels.sftp_server.services import SftpServices, log
from adapters.channels.sftp_server.ssh_transport import Connection
from adapters.home.host_keys import HostKey
from gateway.dossier.ports import DossierStore
from gateway.model.blobs import BlobStore
from gateway.model.clock import Clock
from gateway.model.faults import printable
from gateway.model.parties import Account
from gateway.receive.allowance import AllowanceQuery
from gateway.receive.ports import Intake, Mailbox

_ROUND_SECONDS: Final = 1.0
_BACKLOG: Final = 256
_EXPIRY_SECONDS: Final = 600.0
_JOIN_SECONDS: Final = 5.0
_TCP_OPTIONS: Final = {
    socket.TCP_NODELAY: 1,
    socket.TCP_KEEPIDLE: 60,
    socket.TCP_KEEPINTVL: 15,
    socket.TCP_KEEPCNT: 4,
}


class SftpServer:
    """What it has acknowledged is durable in `blobs` and `intake` (docs/for-brokers.md, "When the gateway
    has taken a package").

    `account` is called in the server's threads for each log-in; the store's methods run on `loop`, which must
    run in its own thread until `stop` has returned.
    """

    def __init__(
        self,
        host: str,
        port: int,
        host_keys: Sequence[HostKey],
        account: Callable[[str], Account | None],
        intake: Intake,
        mailbox: Mailbox,
        dossiers: DossierStore,
        blobs: BlobStore,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        room: AllowanceQuery | None = None,
        unfinished: Path | None = None,
    ) -> None:
        """`unfinished` is a separate folder, for the names of unfinished files that must survive a
        restart."""
        self._address = (host, port)
        self._host_keys = host_keys
        self._account = account
        notes = None if unfinished is None else UploadNotes(unfinished, clock())
        self._services = SftpServices(intake, mailbox, dossiers, blobs, clock, loop, room, notes)
        self.claim_check = ClaimCheck(self._services)
        self.left_unfinished = self._services.left_unfinished
        self._limits = ConnectionLimits()
        self._lock = threading.Lock()
        self._doors: dict[Connection, SshLogin] = {}
        self._stopping = threading.Event()
        self._listener = socket.socket()
        self._thread = threading.Thread(target=self._listen, name="sftp-listener", daemon=True)

    def show(self, host_keys: Sequence[HostKey]) -> None:
        """Later connections are shown these host keys; existing ones continue."""
        self._host_keys = host_keys

    def start(self) -> tuple[str, int]:
        """Listens and returns the bound address; port 0 asks for any free one. Raises `OSError`."""
        self._listener.close()
        self._listener = socket.create_server(self._address, backlog=_BACKLOG)
        self._listener.setblocking(False)
        self._thread.start()
        host, port = self._listener.getsockname()[:2]
        return host, port

    def stop(self, grace: float) -> None:
        """Lets requests in progress finish for `grace` seconds, then ends every session; all threads have
        ended when it returns. Uploads that were not closed by then leave nothing.

        Blocks, while commits need the loop: call it from another thread than the loop's. Safe to call twice,
        and after `start` has failed.
        """
        until = time.monotonic() + grace
        self._stopping.set()
        with suppress(OSError):  # it was stopped before
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for it
        if self._thread.ident is not None:  # it never ran if the address was in use
            self._thread.join()
        with self._lock:
            doors = dict(self._doors)
        sessions = [session for login in doors.values() for session in login.close()]
        while any(session.working for session in sessions) and time.monotonic() < until:
            time.sleep(0.01)
        for connection in doors:
            connection.hang_up()
        for thread in (*doors, *sessions):
            thread.join(_JOIN_SECONDS)
        for uploads in self._services.all_uploads():
            uploads.clear()

    def _listen(self) -> None:
        expired = time.monotonic()
        with self._listener, selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            while not self._stopping.is_set():
                if selector.select(_ROUND_SECONDS):
                    self._accept()
                self._end_overdue()
                if time.monotonic() > expired + _EXPIRY_SECONDS:
                    expired = time.monotonic()
                    for uploads in self._services.all_uploads():
                        uploads.expire(self._services.clock())

    def _accept(self) -> None:
        try:
            sock, (address, *_) = self._listener.accept()
        except OSError as error:
            # The client has disconnected, or we are out of descriptors or stopping; the listener continues.
            if error.errno in (errno.EMFILE, errno.ENFILE):
                log.error("connection refused", reason=error.strerror)
                self._stopping.wait(_ROUND_SECONDS)
            return
        if not self._limits.admit(address):
            log.warning("connection refused", address=address, reason="too many connections")
            sock.close()
            return
        # Each answer is small and waited for; a broken connection is noticed after two minutes.
        for option, value in _TCP_OPTIONS.items():
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection = Connection(sock, address, self._host_keys, self._ended)
        login = SshLogin(connection, self._account, self._limits, self._services)
        with self._lock:
            self._doors[connection] = login
        connection.start_server(event=threading.Event(), server=login)

    def _ended(self, connection: Connection) -> None:
        with self._lock:
            login = self._doors.pop(connection)
        stranger = login.stranger()
        self._limits.release(connection.address, logged_in=login.account is not None, slowed=login.slowed)
        error = connection.saved_exception
        if stranger is not None:
            log.warning(
                "log-in failed", account=stranger, address=connection.address, keys=login.refused_keys
            )
        elif login.account is None and isinstance(error, paramiko.SSHException):
            log.info("connection failed", address=connection.address, reason=printable(str(error)))

    def _end_overdue(self) -> None:
        """Disconnects clients that send nothing at all, that have opened no session within the grace time, or
        that have had none for as long again; and those whose key was revoked."""
        now = time.monotonic()
        with self._lock:
            doors = dict(self._doors)
        for connection, login in doors.items():
            grace = GRACE_SECONDS if connection.greeted else BANNER_SECONDS
            if not login.sessions and login.idle_since < now - grace:
                connection.hang_up()
                continue
            try:
                revoked = login.account is not None and login.valid_account() is None
            except Exception as error:  # the register cannot be read: no session can be opened then either
                log.error("keys cannot be looked up", error=type(error).__name__)
                return
            if revoked:
                log.warning("key revoked, connection ended", address=connection.address)
                connection.hang_up()
