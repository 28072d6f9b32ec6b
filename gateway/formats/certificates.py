"""Registered certificates, and the verification of signatures with their keys."""

import hashlib
from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.model.china import moment_zh
from gateway.model.faults import Fault, Finding, finding
from gateway.model.parties import RegisteredCertificate


class Unusable(ValueError):
    """A key or certificate that cannot be used. The text says why in English, `zh` in Chinese; neither quotes
    a library."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en)
        self.zh = zh


class Algorithm(StrEnum):
    """The signature algorithms that are accepted, by the last part of their names in RFC 9231."""

    RSA_SHA256 = "rsa-sha256"
    RSA_SHA384 = "rsa-sha384"
    RSA_SHA512 = "rsa-sha512"
    ECDSA_SHA256 = "ecdsa-sha256"
    ECDSA_SHA384 = "ecdsa-sha384"
    ECDSA_SHA512 = "ecdsa-sha512"

    @property
    def hash(self) -> hashes.HashAlgorithm:
        return {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}[self[-3:]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A parsed certificate. `fingerprint` is the SHA-256 (hex) of `der`, `base64` is `der` for KeyInfo."""

    der: bytes
    base64: str
    fingerprint: str
    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey
    begins: datetime
    ends: datetime

    def fits(self, algorithm: Algorithm) -> bool:
        """Whether a key of this kind can make signatures of this algorithm."""
        return algorithm.startswith("rsa") == isinstance(self.key, rsa.RSAPublicKey)

    @property
    def weakness(self) -> str:
        """The kind of key if it is not accepted; empty for RSA 2048-4096, P-256 and P-384."""
        if isinstance(self.key, rsa.RSAPublicKey):
            return "" if 2048 <= self.key.key_size <= 4096 else f"RSA {self.key.key_size}"
        return "" if isinstance(self.key.curve, ec.SECP256R1 | ec.SECP384R1) else self.key.curve.name

    def has_signed(self, content: bytes, value: bytes, algorithm: Algorithm) -> bool:
        """Whether `value` is this key's signature over `content`, encoded as in XML signatures: for ECDSA the
        two numbers concatenated, each as long as the curve's order (XMLDSIG 1.1, 6.4.3). False for a key that
        is not accepted."""
        if not self.fits(algorithm) or self.weakness:
            return False
        try:
            if isinstance(self.key, rsa.RSAPublicKey):
                self.key.verify(value, content, padding.PKCS1v15(), algorithm.hash)
                return True
            half = self.key.key_size // 8
            if len(value) != 2 * half:
                return False
            r, s = int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big")
            self.key.verify(encode_dss_signature(r, s), content, ec.ECDSA(algorithm.hash))
        except InvalidSignature:
            return False
        return True


@cache
def certificate(pem: str) -> Certificate:
    """Parses a certificate; the result is cached. Raises `Unusable`, also for a key that is neither RSA nor
    of an elliptic curve."""
    try:
        parsed = x509.load_pem_x509_certificate(pem.encode("ascii"))
        key = parsed.public_key()
    except (ValueError, UnsupportedAlgorithm):  # also UnicodeEncodeError
        raise Unusable("holds no certificate in PEM form", "不是 PEM 格式的证书") from None
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        serial = f"{parsed.serial_number:x}"
        raise Unusable(
            f"certificate {serial} has no RSA or elliptic curve key",
            f"证书 {serial} 的密钥不是 RSA 或椭圆曲线",
        )
    der = parsed.public_bytes(Encoding.DER)
    return Certificate(
        der=der,
        base64=b64encode(der).decode("ascii"),
        fingerprint=hashlib.sha256(der).hexdigest(),
        key=key,
        begins=parsed.not_valid_before_utc,
        ends=parsed.not_valid_after_utc,
    )


def outside(own: Certificate, at: datetime) -> str:
    """Why the gateway's own certificate may not be used at `at`; empty where it may."""
    if at < own.begins:
        return f"the certificate begins on {own.begins.isoformat(' ', 'minutes')}"
    return f"the certificate ended on {own.ends.isoformat(' ', 'minutes')}" if at > own.ends else ""


def why_not(registered: RegisteredCertificate, now: datetime) -> Finding | None:
    """The fault of a registered certificate that is revoked or outside its validity at `now`, else None."""
    if registered.revoked_at is not None and registered.revoked_at <= now:
        return finding(
            Fault.CERTIFICATE_REVOKED,
            detail=registered.revoked_at.isoformat(),
            detail_zh=f"{moment_zh(registered.revoked_at)}起",
        )
    parsed = certificate(registered.pem)
    if not parsed.begins <= now <= parsed.ends:
        detail = f"{parsed.begins.isoformat()} – {parsed.ends.isoformat()}"
        detail_zh = f"有效期{moment_zh(parsed.begins)}至{moment_zh(parsed.ends)}"
        return finding(Fault.CERTIFICATE_EXPIRED, detail=detail, detail_zh=detail_zh)
    return None
