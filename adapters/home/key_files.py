"""Log-in keys and certificates in files from parties, checked before they are registered."""

from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_ssh_public_key

from gateway.formats.certificates import certificate

_SMALLEST_RSA: Final = 2048  # the same minimum as at log-in to the SFTP server
_LARGEST: Final = 1 << 20


class BadFile(ValueError):
    """A key or certificate file that cannot be registered; the text says why, and names the file."""


def read_keys(path: Path, shown: str) -> tuple[str, ...]:
    """The lines of an OpenSSH public key file; `shown` is what the file is called in errors.

    Raises `BadFile` if there is none, or one that is not accepted: only ed25519, ECDSA and RSA from 2048 bits
    are.
    """
    stripped = (line.strip() for line in _text(path, shown).splitlines())
    lines = tuple(line for line in stripped if line and not line.startswith("#"))
    if not lines:
        raise BadFile(f"{shown}: no key in it")
    for line in lines:
        try:
            key = load_ssh_public_key(line.encode())
        except (ValueError, UnsupportedAlgorithm):
            raise BadFile(f"{shown}: no OpenSSH public key") from None
        if not isinstance(key, ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
            raise BadFile(f"{shown}: neither ed25519 nor ECDSA nor RSA")
        if isinstance(key, rsa.RSAPublicKey) and key.key_size < _SMALLEST_RSA:
            raise BadFile(f"{shown}: RSA with {key.key_size} bits; {_SMALLEST_RSA} are asked")
    return lines


def read_certificate(path: Path, shown: str) -> str:
    """The certificate of a PEM file, as PEM, without anything else in the file: a private key is never taken
    along.

    Raises `BadFile` if there is none, or one that cannot be used for signatures.
    """
    try:
        parsed = x509.load_pem_x509_certificate(_text(path, shown).encode())
        pem = parsed.public_bytes(Encoding.PEM).decode("ascii")
        weakness = certificate(pem).weakness
    except (ValueError, UnsupportedAlgorithm) as error:
        raise error if isinstance(error, BadFile) else BadFile(f"{shown}: no usable certificate") from None
    if weakness:
        raise BadFile(f"{shown}: {weakness} is too weak or not supported")
    return pem


def _text(path: Path, shown: str) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise BadFile(f"{shown}: larger than any key or certificate")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadFile(f"{shown}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadFile(f"{shown}: not text") from None
