"""Signing keys and self-signed certificates, for the gateway itself and for the clients that `init` makes."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from gateway.model.parties import RegisteredCertificate

VALID: Final = timedelta(days=3 * 365)


def make_rsa_pair(name: str, now: datetime) -> tuple[bytes, bytes]:
    """An RSA-2048 key and its certificate, both PEM; valid from an hour before `now` for `VALID`."""
    return _pair(generate_rsa_key(65537, 2048), name, now)


def make_p256_pair(name: str, now: datetime) -> tuple[bytes, bytes]:
    """An ECDSA P-256 key and its certificate, both PEM; valid from an hour before `now` for `VALID`."""
    return _pair(generate_private_key(SECP256R1()), name, now)


def last_end(certificates: Iterable[RegisteredCertificate]) -> datetime | None:
    """When the last certificate that is not revoked ends: one that has a successor is no problem. None if
    there is none."""
    live = (each for each in certificates if each.revoked_at is None)
    return max(
        (x509.load_pem_x509_certificate(each.pem.encode()).not_valid_after_utc for each in live), default=None
    )


def _pair(key: RSAPrivateKey | EllipticCurvePrivateKey, name: str, now: datetime) -> tuple[bytes, bytes]:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_for_signing(), critical=True)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, certificate.public_bytes(Encoding.PEM)


def _for_signing() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
