"""One SSH connection run by paramiko, with modern algorithms only, and limits where paramiko has none."""

import logging
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import paramiko
from paramiko import Channel, Message, PKey
from paramiko.common import MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA
from paramiko.packet import Packetizer

from adapters.home.host_keys import HostKey, shown
from adapters.transport.sftp.algorithms import COMPRESSION, KEY_EXCHANGES, KEYS, MACS

# RFC 4253, 6.1: packets of 35,000 bytes must be accepted; nobody sends more to a window with packets of 32
# KB.
_LONGEST_PACKET: Final = 64 * 1024
_WINDOW: Final = 2 * 1024 * 1024
PROVE_HOST_KEYS: Final = "hostkeys-prove-00@openssh.com"
_HOST_KEYS: Final = "hostkeys-00@openssh.com"
_WIRE_LOG: Final = "gateway.sftp.wire"

# paramiko's log repeats what strangers sent, unfiltered; our own lines report the outcome of each connection.
logging.getLogger(_WIRE_LOG).setLevel(logging.CRITICAL + 1)


class ReadAhead(socket.socket):
    """Takes over a socket and reads all available data in one call: paramiko reads each packet in pieces."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(fileno=sock.detach())
        self._ahead = b""
        self._at = 0

    def recv(self, most: int, flags: int = 0) -> bytes:
        if self._at == len(self._ahead):
            self._ahead = super().recv(_LONGEST_PACKET, flags)
            self._at = 0
        start = self._at
        self._at = min(start + most, len(self._ahead))
        return self._ahead[start : self._at]


class BoundedPackets(Packetizer):
    """paramiko would accept a packet of any length that fits the length field, before any log-in."""

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        if n > _LONGEST_PACKET:
            raise paramiko.SSHException("packet too long")
        return super().read_all(n, check_rekey)

    def start_handshake(self, timeout: float) -> None:
        """Does nothing: the grace time limits the handshake, and paramiko's timer is a thread that would
        outlive the connection."""


def _feed(channel: Channel, message: Message) -> None:
    """Accepts channel data; ends a connection that sends more than its window, which paramiko would keep."""
    channel._feed(message)  # type: ignore[attr-defined]  # as in paramiko's own table
    if len(channel.in_buffer) > _WINDOW:
        raise paramiko.SSHException("window exceeded")


def _ignore(channel: Channel, message: Message) -> None:
    """Ignores data outside the SFTP stream, which nobody would read."""


class Connection(paramiko.Transport):
    """Modern algorithms only; strict key exchange with all clients that support it (CVE-2023-48795)."""

    _preferred_kex = KEY_EXCHANGES
    _preferred_ciphers = (
        "aes128-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        "aes128-ctr",
        "aes192-ctr",
        "aes256-ctr",
    )
    _preferred_macs = MACS
    _preferred_keys = KEYS
    _preferred_pubkeys = KEYS
    _preferred_compression = COMPRESSION
    # Reads wait until there is data, or for `hang_up`: with paramiko's interval of a tenth of a second, each
    # connection would wake a thread ten times a second for nothing.
    _active_check_timeout = None
    _channel_handler_table = {  # noqa: RUF012  # as paramiko declares it
        **paramiko.Transport._channel_handler_table,  # type: ignore[attr-defined]  # not in its stubs
        MSG_CHANNEL_DATA: _feed,
        MSG_CHANNEL_EXTENDED_DATA: _ignore,
    }

    def __init__(
        self,
        sock: socket.socket,
        address: str,
        host_keys: Sequence[HostKey],
        ended: Callable[["Connection"], None],
    ) -> None:
        super().__init__(ReadAhead(sock), default_window_size=_WINDOW, packetizer_class=BoundedPackets)
        self.local_version = "SSH-2.0-gateway"  # does not show software and version
        self.set_log_channel(_WIRE_LOG)
        self._host_keys = host_keys
        for each in shown(host_keys):
            self.add_server_key(each.key)
        self.address = address
        self._opened: list[Channel] = []
        self.over = threading.Event()  # from `hang_up` on
        self._when_ended = ended

    def run(self) -> None:
        try:
            super().run()
        finally:
            self._when_ended(self)

    def hang_up(self) -> None:
        """Ends the connection without waiting: its thread notices the end of the stream and cleans up."""
        self.over.set()
        with suppress(OSError):  # it may have ended by itself
            self.sock.shutdown(socket.SHUT_RDWR)

    def announce_host_keys(self) -> None:
        """Sends all host keys to a client that has logged in, so that it may learn the next one (PROTOCOL,
        2.5)."""
        self.global_request(_HOST_KEYS, tuple(each.key.asbytes() for each in self._host_keys), wait=False)

    def prove_host_keys(self, blobs: Sequence[bytes]) -> tuple[bytes, ...] | None:
        """A signature by each of these keys; None if one of them is not ours."""
        own = {each.key.asbytes(): each.key for each in self._host_keys}
        if not blobs or any(blob not in own for blob in blobs):
            return None
        return tuple(self._proof(own[blob]) for blob in blobs)

    def _proof(self, key: PKey) -> bytes:
        signed = Message()
        signed.add_string(PROVE_HOST_KEYS)
        signed.add_string(self.session_id or b"")
        signed.add_string(key.asbytes())
        algorithm = None
        if isinstance(key, paramiko.RSAKey):
            # With the algorithm of the key exchange if that was RSA (sshd, hostkeys-prove).
            agreed = self.host_key_type
            algorithm = agreed if agreed in ("rsa-sha2-512", "rsa-sha2-256") else "rsa-sha2-512"
        return key.sign_ssh_data(signed.asbytes(), algorithm).asbytes()

    @property
    def greeted(self) -> bool:
        """Whether the client has identified itself."""
        return bool(self.remote_version)

    def open_channels(self) -> int:
        self._opened = [channel for channel in self._opened if not channel.closed]
        return len(self._opened)

    def _log(self, level: int, msg: object, *args: object) -> None:
        """Does nothing, see `_WIRE_LOG`."""

    def _queue_incoming_channel(self, channel: Channel) -> None:
        # paramiko itself holds channels weakly, and would keep them here for an `accept` that nobody calls.
        self._opened.append(channel)
