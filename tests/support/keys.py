"""Keys, certificates and the reference implementation of XML signatures, for tests that need real ones."""

import subprocess
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from gateway.model.parties import RegisteredCertificate

Kind = Literal["rsa-1024", "rsa-2048", "rsa-3072", "rsa-4096", "p-256", "p-384", "p-521"]
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

BEGINS = datetime(2020, 1, 1, tzinfo=UTC)
ENDS = datetime(2049, 12, 31, tzinfo=UTC)

# xmlsec1 knows the Id of XML-DSig's own elements, not of XAdES'.
_IDS = ("--id-attr:Id", "SignedProperties")
_CURVES: dict[str, ec.EllipticCurve] = {
    "p-256": ec.SECP256R1(),
    "p-384": ec.SECP384R1(),
    "p-521": ec.SECP521R1(),
}


@dataclass(frozen=True, slots=True)
class Identity:
    """A private key and a self-signed certificate for it."""

    key: PrivateKey
    key_pem: bytes
    certificate_pem: str

    @property
    def registered(self) -> RegisteredCertificate:
        return RegisteredCertificate(pem=self.certificate_pem)

    @property
    def fingerprint(self) -> str:
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    @property
    def certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate_pem.encode())


@cache
def _private_key(kind: Kind, owner: str) -> PrivateKey:
    if kind in _CURVES:
        return ec.generate_private_key(_CURVES[kind])
    return rsa.generate_private_key(public_exponent=65537, key_size=int(kind.removeprefix("rsa-")))


@cache
def identity(
    kind: Kind, owner: str = "trader-a", *, begins: datetime = BEGINS, ends: datetime = ENDS
) -> Identity:
    """One key for each kind and owner in a test run; other dates make another certificate for that key."""
    key = _private_key(kind, owner)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, owner)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .sign(key, hashes.SHA256())
    )
    return Identity(
        key,
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        certificate.public_bytes(Encoding.PEM).decode(),
    )


def xmlsec1_sign(document: bytes, signer: Identity) -> bytes:
    """Fills in the signature template that stands in the document."""
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        (at / "key.pem").write_bytes(signer.key_pem)
        (at / "certificate.pem").write_text(signer.certificate_pem)
        (at / "template.xml").write_bytes(document)
        key = f"{at / 'key.pem'},{at / 'certificate.pem'}"
        return _run("--sign", *_IDS, "--privkey-pem", key, str(at / "template.xml")).stdout


def xmlsec1_accepts(document: bytes, signer: Identity) -> bool:
    """Whether xmlsec1 finds the signature valid by the signer's certificate, given to it and trusted."""
    return xmlsec1_trusts(document, signer.certificate_pem)


def xmlsec1_trusts(document: bytes, certificate_pem: str, at: datetime | None = None) -> bool:
    """The same for a certificate alone, and as if it were `at`, since certificates end."""
    with tempfile.TemporaryDirectory() as folder:
        certificate = Path(folder) / "certificate.pem"
        certificate.write_text(certificate_pem)
        signed = Path(folder) / "document.xml"
        signed.write_bytes(document)
        verdict = _run(
            "--verify",
            *_IDS,
            *("--trusted-pem", str(certificate)),
            *("--pubkey-cert-pem", str(certificate)),
            *(() if at is None else ("--verification-gmt-time", f"{at:%Y-%m-%d %H:%M:%S}")),
            str(signed),
            check=False,
        )
        return verdict.returncode == 0


def _run(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["xmlsec1", *arguments], check=check, capture_output=True, timeout=60)
