"""The rules of one connection: log in by key, then open a few SFTP sessions, and nothing else."""

import base64
import binascii
import threading
import time
from collections.abc import Callable
from typing import Final

import paramiko
from paramiko import Channel, Message, PKey
from paramiko.common import (
    AUTH_FAILED,
    AUTH_SUCCESSFUL,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_FAILED_RESOURCE_SHORTAGE,
    OPEN_SUCCEEDED,
)

from adapters.channels.sftp_server.connection_limits import ATTEMPTS, CHANNELS, IDLE_SECONDS, ConnectionLimits
from adapters.channels.sftp_server.services import SftpServices, log
from adapters.channels.sftp_server.session import Session
from adapters.channels.sftp_server.ssh_transport import PROVE_HOST_KEYS, Connection
from adapters.channels.sftp_server.virtual_tree import Tree
from adapters.channels.sftp_server.wire import denied
from gateway.model.faults import printable
from gateway.model.parties import Account

_SMALLEST_RSA: Final = 2048
_MOST_HOST_KEYS: Final = 16  # that a client may request at once: each takes a signature
_PARAMIKOS_ATTEMPTS: Final = 10


class SshLogin(paramiko.ServerInterface):
    """What a connection may do. paramiko's defaults refuse everything else: passwords, shells, commands,
    terminals, forwarding."""

    def __init__(
        self,
        connection: Connection,
        account: Callable[[str], Account | None],
        limits: ConnectionLimits,
        services: SftpServices,
    ) -> None:
        self._connection = connection
        self._find = account
        self._limits = limits
        self._services = services
        self._lock = threading.Lock()
        self._user: str | None = None
        self._key = b""  # used for the log-in
        self.refused_keys = 0
        self.slowed = False  # by a wrong key
        self._asked: Account | None = None
        self._used: set[int] = set()  # channels on which a subsystem was started
        self._closing = False
        self.account: Account | None = None  # set when the first session is requested
        self.sessions: set[Session] = set()
        self.idle_since = time.monotonic()

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_none(self, username: str) -> int:
        # OpenSSH asks for the methods in this way first; it does not count as an attempt.
        self._begin(username, free=1)
        return AUTH_FAILED

    def check_auth_publickey(self, username: str, key: PKey) -> int:
        """The same answer for an unknown account and a wrong key. paramiko checks the signature next."""
        self._begin(username, free=0)
        account = self._find(username)
        lines = account.keys if account is not None else ()
        if account is None or not _is_strong(key) or key.asbytes() not in map(_key_of, lines):
            self._slow_down()
            return AUTH_FAILED
        self._asked, self._key = account, key.asbytes()
        return AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        # paramiko calls this only for connections that have logged in.
        if kind != "session" or self._closing or self.valid_account() is None:
            return OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        if self.account is None and self._asked is not None:
            self.account = self._asked
            self._limits.logged_in(self._connection.address, slowed=self.slowed)
            self._connection.announce_host_keys()
            log.info("log-in", account=self.account.name, address=self._connection.address)
        if self._connection.open_channels() >= CHANNELS:
            return OPEN_FAILED_RESOURCE_SHORTAGE
        return OPEN_SUCCEEDED

    def check_channel_subsystem_request(self, channel: Channel, name: str) -> bool:
        account = self.valid_account()
        if name != "sftp" or account is None or channel.get_id() in self._used:
            return False
        self._used.add(channel.get_id())
        tree = Tree(self._services, account, self._admitted)
        if not self._limits.begin(account):
            log.warning("too many sessions", account=account.name, address=self._connection.address)
            return False
        session = Session(channel, name, self, tree, IDLE_SECONDS, self._session_ended)
        with self._lock:
            self.sessions.add(session)
        session.start()
        return True

    def check_global_request(  # type: ignore[override]  # the stubs know of no bytes in an answer
        self, kind: str, msg: Message
    ) -> bool | tuple[bytes, ...]:
        if kind != PROVE_HOST_KEYS or self.account is None:
            return False
        blobs: list[bytes] = []
        while msg.get_remainder() and len(blobs) < _MOST_HOST_KEYS:
            blobs.append(msg.get_binary())
        return self._connection.prove_host_keys(blobs) or False

    def valid_account(self) -> Account | None:
        """The account as it is now, as long as the key of the log-in is still valid for it."""
        account = self._find(self._asked.name) if self._asked is not None else None
        return account if account is not None and self._key in map(_key_of, account.keys) else None

    def _admitted(self) -> Account:
        account = self.valid_account()
        if account is None:
            raise denied("The key that you logged in with is valid no more")
        return account

    def close(self) -> list[Session]:
        """Opens nothing more, and returns the open sessions; they begin no further request."""
        self._closing = True
        with self._lock:
            sessions = list(self.sessions)
        for session in sessions:
            session.closing = True
        return sessions

    def stranger(self) -> str | None:
        """The name used by somebody who did not succeed in logging in; for a log line."""
        if self._user is None or self._connection.authenticated:
            return None
        return printable(self._user, 80)

    def _slow_down(self) -> None:
        self.refused_keys += 1
        wait = self._limits.failed(self._connection.address, first=not self.slowed)
        if wait is None:
            self._connection.hang_up()
            return
        self.slowed = True
        self._connection.over.wait(wait)

    def _begin(self, user: str, *, free: int) -> None:
        # paramiko disconnects after ten failures: its count starts higher, so that only a few are left.
        handler = self._connection.auth_handler
        if self._user is None and handler is not None:
            handler.auth_fail_count = _PARAMIKOS_ATTEMPTS - ATTEMPTS - free
        self._user = user

    def _session_ended(self, session: Session) -> None:
        with self._lock:
            self.sessions.discard(session)
            self.idle_since = time.monotonic()
        if self.account is not None:
            self._limits.end(self.account)


def _is_strong(key: PKey) -> bool:
    # Certificates are not supported: an account is known by its key alone.
    if key.public_blob is not None:
        return False
    return not isinstance(key, paramiko.RSAKey) or key.get_bits() >= _SMALLEST_RSA


def _key_of(line: str) -> bytes:
    """The key in a line of an authorized_keys file; an unreadable line has no key."""
    fields = line.split()
    try:
        return base64.b64decode(fields[1], validate=True)
    except (IndexError, binascii.Error):
        return b""
