"""Logs in at another party's SFTP server: with a key, modern algorithms only, and after checking the host
key."""

import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

import paramiko
from paramiko.common import OPEN_FAILED_RESOURCE_SHORTAGE
from paramiko.packet import Packetizer
from paramiko.ssh_exception import IncompatiblePeer

from adapters.transport.files.folders import NotLetIn, Overloaded, Unreachable
from adapters.transport.sftp.algorithms import COMPRESSION, KEY_EXCHANGES, KEYS, MACS
from gateway.config.connections import RemoteFolders
from gateway.model.faults import printable

PATIENCE: Final = 20.0  # seconds for each step of a log-in, and for each answer after it
_LONGEST_PACKET: Final = 64 * 1024  # RFC 4253, 6.1 asks for 35,000 bytes
_WIRE_LOG: Final = "gateway.sftp-client.wire"

# paramiko's log lines repeat the bytes of the other side unescaped.
logging.getLogger(_WIRE_LOG).setLevel(logging.CRITICAL + 1)


class _BoundedPackets(Packetizer):
    """Limits the length of packets: paramiko would accept any length, even before the key exchange."""

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        if n > _LONGEST_PACKET:
            raise paramiko.SSHException("packet too long")
        return super().read_all(n, check_rekey)


class _Connection(paramiko.Transport):
    """Modern algorithms only, and strict key exchange with servers that support it (CVE-2023-48795)."""

    _preferred_kex = KEY_EXCHANGES
    _preferred_ciphers = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes256-ctr")
    _preferred_macs = MACS
    _preferred_pubkeys = KEYS
    _preferred_compression = COMPRESSION

    def __init__(self, sock: socket.socket, host_key_type: str) -> None:
        super().__init__(sock, packetizer_class=_BoundedPackets)
        # A server with several keys must show the one of the configured type.
        algorithms = ("rsa-sha2-512", "rsa-sha2-256") if host_key_type == "ssh-rsa" else (host_key_type,)
        self._preferred_keys = algorithms
        self.local_version = "SSH-2.0-gateway"
        self.banner_timeout = self.auth_timeout = self.channel_timeout = PATIENCE
        self.set_log_channel(_WIRE_LOG)

    def _log(self, level: int, msg: object, *args: object) -> None:
        """Logs nothing, see `_WIRE_LOG`."""


def read_key(file: Path) -> paramiko.PKey:
    """Reads a private key. Raises `NotLetIn` where the file cannot be read or holds no usable key."""
    try:
        return paramiko.PKey.from_path(file)
    except (OSError, ValueError, paramiko.SSHException) as error:
        raise NotLetIn(f"the key {file.name} cannot be read: {type(error).__name__}") from None


def logged_in(
    settings: RemoteFolders, key: paramiko.PKey, dialling: Callable[[socket.socket], None]
) -> tuple[paramiko.Transport, paramiko.Channel]:
    """A connection, and its channel to the SFTP subsystem. Raises `Unreachable`, `Overloaded`, or `NotLetIn`.
    Nothing about us, not even the user name, is sent before the host key has been checked.

    `dialling` is called with each socket before it is used: another thread can shut the socket down to end
    the log-in.
    """
    key_type, host_key = settings.host_key.split()
    try:
        transport = _Connection(_connected(settings.host, settings.port, dialling), key_type)
    except (OSError, paramiko.SSHException) as error:
        raise Unreachable(_reason(error)) from None
    try:
        return transport, _channel(transport, settings.user, key, host_key)
    except BaseException:
        transport.close()
        raise


def _connected(host: str, port: int, dialling: Callable[[socket.socket], None]) -> socket.socket:
    """Like `socket.create_connection`, but passes each socket to `dialling` before it is connected."""
    trouble = OSError("no address")
    for *kind, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = socket.socket(*kind)
        try:
            sock.settimeout(PATIENCE)
            dialling(sock)
            sock.connect(address)
        except OSError as error:
            sock.close()
            trouble = error
        else:
            return sock
    raise trouble


def _channel(transport: paramiko.Transport, user: str, key: paramiko.PKey, host_key: str) -> paramiko.Channel:
    try:
        transport.start_client(timeout=PATIENCE)
        shown = transport.get_remote_server_key()
    except IncompatiblePeer as error:
        raise NotLetIn(f"the server has no host key or algorithm that we accept: {_reason(error)}") from None
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise Unreachable(_reason(error)) from None
    if shown.get_base64() != host_key:
        raise NotLetIn("the server shows another host key than the one in the settings")
    try:
        if transport.auth_publickey(user, key):
            raise NotLetIn("the server asks for more than a key")
        channel = transport.open_session(timeout=PATIENCE)
        channel.settimeout(PATIENCE)
    except paramiko.AuthenticationException as error:
        if transport.is_active() and "timeout" not in str(error).lower():
            raise NotLetIn(f"the log-in was refused: {_reason(error)}") from None
        raise Unreachable(_reason(error)) from None
    except paramiko.ChannelException as error:
        if error.code == OPEN_FAILED_RESOURCE_SHORTAGE:
            raise Overloaded(_reason(error)) from None
        raise NotLetIn(f"no session is given: {_reason(error)}") from None
    except NotLetIn:
        raise
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise Unreachable(_reason(error)) from None
    try:
        channel.invoke_subsystem("sftp")
    except (OSError, EOFError, paramiko.SSHException) as error:
        if transport.is_active():
            raise NotLetIn("the server offers no SFTP to this log-in") from None
        raise Unreachable(_reason(error)) from None
    return channel


def _reason(error: BaseException) -> str:
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return printable(text, 200)
