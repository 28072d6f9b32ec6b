"""The host keys of the SFTP server: one of each kind is shown to clients, others are announced.

Each is in `keys/` as `ssh_host_…`, in OpenSSH's format. Of several keys of one kind, the first by name is
used at the key exchange; the next (`ssh_host_ed25519.next`) is only announced, so that clients which learn
host keys (OpenSSH's UpdateHostKeys) know it before it replaces the first.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import Final

import paramiko
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key
from paramiko import PKey

from gateway.config.bad_settings import BadSettings

# Part of their names, `ssh_host_<kind>`; clients of all ages support one of these kinds (JSch before 0.2:
# ECDSA).
KINDS: Final = ("ed25519", "ecdsa", "rsa")
_KINDS_OF: Final = (
    (paramiko.Ed25519Key, "ed25519"),
    (paramiko.ECDSAKey, "ecdsa"),
    (paramiko.RSAKey, "rsa"),
)
_SMALLEST_RSA: Final = 2048


@dataclass(frozen=True, slots=True)
class HostKey:
    file: str
    kind: str
    key: PKey

    @property
    def fingerprint(self) -> str:
        digest = hashlib.sha256(self.key.asbytes()).digest()
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def host_key_files(keys: Path) -> list[Path]:
    return sorted(path for path in keys.glob("ssh_host_*") if path.suffix != ".pub")


def read_host_keys(keys: Path) -> list[HostKey]:
    """The host keys in the order of their names. Raises `BadSettings` if one cannot be used, or there is
    none."""
    host_keys = [_read(path) for path in host_key_files(keys)]
    if not host_keys:
        raise BadSettings(f"keys: no host key (ssh_host_{KINDS[0]})")
    return host_keys


def shown(host_keys: Sequence[HostKey]) -> Iterator[HostKey]:
    """The keys that a key exchange may show: one of each type."""
    seen = set()
    for each in host_keys:
        if each.key.get_name() not in seen:
            seen.add(each.key.get_name())
            yield each


@lru_cache(maxsize=16)
def _parsed(content: bytes) -> PKey:
    """Kept, since the library checks the primes of an RSA key each time it parses it: that takes 60 ms."""
    parse = load_ssh_private_key if b"BEGIN OPENSSH" in content else load_pem_private_key
    key = parse(content, password=None)
    if isinstance(key, RSAPrivateKey):
        return paramiko.RSAKey(key=key)
    if isinstance(key, EllipticCurvePrivateKey):
        return paramiko.ECDSAKey(vals=(key, key.public_key()))
    return paramiko.Ed25519Key(file_obj=StringIO(content.decode("ascii")))


def _read(path: Path) -> HostKey:
    try:
        key = _parsed(path.read_bytes())
    except Exception as error:  # whatever is wrong with the file: the library raises a dozen kinds of errors
        raise BadSettings(
            f"keys/{path.name}: no host key that can be read ({type(error).__name__})"
        ) from None
    for type_, kind in _KINDS_OF:
        if isinstance(key, type_):
            if kind == "rsa" and key.get_bits() < _SMALLEST_RSA:
                raise BadSettings(f"keys/{path.name}: an RSA key has {_SMALLEST_RSA} bits or more")
            return HostKey(path.name, kind, key)
    raise BadSettings(f"keys/{path.name}: a host key is of one of the kinds {', '.join(KINDS)}")
