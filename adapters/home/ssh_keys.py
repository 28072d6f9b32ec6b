"""Key pairs for SSH in OpenSSH's format: the gateway's host keys and the log-in keys of accounts."""

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat


def make_ed25519() -> tuple[bytes, str]:
    """A new key pair: the private key (OpenSSH PEM, no passphrase) and its line for authorized_keys."""
    return _pair(Ed25519PrivateKey.generate())


def make_ecdsa() -> tuple[bytes, str]:
    """A new pair like `make_ed25519`, on the curve P-256."""
    return _pair(generate_private_key(SECP256R1()))


def make_rsa() -> tuple[bytes, str]:
    """A new pair like `make_ed25519`, RSA with 3,072 bits."""
    return _pair(rsa.generate_private_key(65537, 3072))


def _pair(key: Ed25519PrivateKey | EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> tuple[bytes, str]:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return private, public.decode("ascii")


def write_private(path: Path, key: bytes) -> None:
    """Writes a private key that only its owner can read; never overwrites a file (`FileExistsError`).

    The mode is set when the file is created: OpenSSH refuses a key that others may read, and there must be no
    moment at which they could.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(descriptor)
