"""The gateway's own signature: enveloped XAdES-BES on receipts, notices and submission envelopes.

The parts of the signature are templates that are in canonical form already (Canonical XML 1.0), so that only
the document itself is canonicalised: a signature costs little more than the key's own work. That holds for
documents of our own making alone, so others are refused, and a sample of what is signed is verified.
"""

import hashlib
from base64 import b64encode
from collections import Counter
from datetime import UTC, datetime
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from lxml import etree

from gateway.formats import xml
from gateway.formats.certificates import Unusable, certificate, outside
from gateway.formats.signatures import verify_enveloped
from gateway.formats.submission import NAMESPACE
from gateway.model.clock import Clock
from gateway.model.faults import JudgementDeferred, MessageRejected
from gateway.model.parties import RegisteredCertificate

SAMPLE: Final = 1_000  # of each kind of document the first and then every so many are verified
_AGAIN_SECONDS: Final = 30.0

_DS: Final = "http://www.w3.org/2000/09/xmldsig#"
_XADES: Final = "http://uri.etsi.org/01903/v1.3.2#"
_C14N: Final = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
_SHA256: Final = "http://www.w3.org/2001/04/xmlenc#sha256"
_MORE: Final = "http://www.w3.org/2001/04/xmldsig-more#"
# Each part is digested with the namespaces in scope on it (`_in_scope`), and stands in the document without.
_SCOPE: Final = f' xmlns="{NAMESPACE}" xmlns:ds="{_DS}" xmlns:xades="{_XADES}"'
_METHOD: Final = f'<ds:DigestMethod Algorithm="{_SHA256}"></ds:DigestMethod>'
_SIGNED_INFO: Final = (
    "<ds:SignedInfo>"
    f'<ds:CanonicalizationMethod Algorithm="{_C14N}"></ds:CanonicalizationMethod>'
    '<ds:SignatureMethod Algorithm="{algorithm}"></ds:SignatureMethod>'
    '<ds:Reference Id="R{mark}" URI=""><ds:Transforms>'
    f'<ds:Transform Algorithm="{_DS}enveloped-signature"></ds:Transform>'
    f'<ds:Transform Algorithm="{_C14N}"></ds:Transform></ds:Transforms>'
    f"{_METHOD}<ds:DigestValue>{{document}}</ds:DigestValue></ds:Reference>"
    f'<ds:Reference Type="http://uri.etsi.org/01903#SignedProperties" URI="#P{{mark}}">{_METHOD}'
    "<ds:DigestValue>{properties}</ds:DigestValue></ds:Reference>"
    f'<ds:Reference URI="#K{{key}}">{_METHOD}<ds:DigestValue>{{key_info}}</ds:DigestValue></ds:Reference>'
    "</ds:SignedInfo>"
)
_KEY_INFO: Final = (
    '<ds:KeyInfo Id="K{key}"><ds:X509Data>'
    "<ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
)
_PROPERTIES: Final = (
    '<xades:SignedProperties Id="P{mark}"><xades:SignedSignatureProperties>'
    "<xades:SigningTime>{at}</xades:SigningTime>"
    "<xades:SigningCertificateV2><xades:Cert><xades:CertDigest>"
    f"{_METHOD}<ds:DigestValue>{{certificate}}</ds:DigestValue>"
    "</xades:CertDigest></xades:Cert></xades:SigningCertificateV2></xades:SignedSignatureProperties>"
    '<xades:SignedDataObjectProperties><xades:DataObjectFormat ObjectReference="#R{mark}">'
    "<xades:Description>Electronic data of customs clearance</xades:Description>"
    "<xades:MimeType>text/xml</xades:MimeType></xades:DataObjectFormat>"
    "</xades:SignedDataObjectProperties></xades:SignedProperties>"
)
_SIGNATURE: Final = (
    f'<ds:Signature xmlns:ds="{_DS}" xmlns:xades="{_XADES}" Id="S{{mark}}">'
    "{signed_info}<ds:SignatureValue>{value}</ds:SignatureValue>{key_info}"
    '<ds:Object><xades:QualifyingProperties Target="#S{mark}">{properties}'
    "</xades:QualifyingProperties></ds:Object></ds:Signature>"
)


class UnsoundSignature(Exception):
    """A signature of our own does not verify: nothing is sent with it."""


class XadesSigner:
    """Implements `signers.Signer` with one key, RSA 2048-4096, P-256 or P-384, which is loaded once (30 ms
    for RSA).

    `fingerprint` is the SHA-256 (hex) of the certificate. Raises `Unusable` where the key cannot be read, is
    of another kind, has a pass phrase, or does not belong to the certificate. Threads may share a signer.
    """

    def __init__(self, key_pem: bytes, certificate_pem: str, clock: Clock) -> None:
        try:
            key = load_pem_private_key(key_pem, password=None)
        except TypeError:
            raise Unusable(
                "the signing key has a pass phrase; keep it without one",
                "签名私钥设有口令，请改存无口令的私钥",
            ) from None
        except (ValueError, UnsupportedAlgorithm):
            raise Unusable(
                "the signing key is no private key in PEM form", "签名私钥不是 PEM 格式的私钥"
            ) from None
        if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise Unusable(
                "the signing key is neither RSA nor of an elliptic curve", "签名私钥既不是 RSA 也不是椭圆曲线"
            )
        own = certificate(certificate_pem)
        if key.public_key() != own.key:
            raise Unusable("the signing key does not belong to the certificate", "签名私钥与证书不是一对")
        if own.weakness:
            raise Unusable(
                f"the signing key is not accepted: {own.weakness}",
                f"签名私钥强度不合要求：{own.weakness}",
            )
        self.certificate_pem = certificate_pem
        self.fingerprint = own.fingerprint
        self._own = own
        self._key = key
        self._clock = clock
        self._signed = Counter[str]()
        self._algorithm = _MORE + ("rsa-sha256" if isinstance(key, rsa.RSAPrivateKey) else "ecdsa-sha256")
        self._certificate_digest = b64encode(hashlib.sha256(own.der).digest()).decode()
        # The same in each signature, so that it is digested once.
        self._key_info = _KEY_INFO.format(key=own.fingerprint[:16], certificate=own.base64)
        self._key_info_digest = _digest(_in_scope("ds:KeyInfo", self._key_info))

    def sign(self, root: etree._Element) -> bytes:
        """See `signers.Signer`. Comments are left out. Raises `JudgementDeferred` outside the validity of the
        certificate, when nothing may be signed, and `UnsoundSignature` where a sample does not verify.

        Raises `ValueError` for what the templates are not made for: a part of a document, a root whose
        namespaces are others than the gateway's own alone, or with an attribute of the xml namespace, which
        the signature would inherit; and for an Id, which other signers would reference the document by.
        """
        if root.getparent() is not None:
            raise ValueError("only a whole document is signed")
        if root.nsmap != {None: NAMESPACE}:
            raise ValueError(f"the root element must declare {NAMESPACE} alone")
        for name in root.attrib:
            if name in ("Id", "ID") or name.startswith("{http://www.w3.org/XML/1998/namespace}"):
                raise ValueError(f"the root element must not bear {name}")
        now = self._clock().astimezone(UTC)
        if why_not := outside(self._own, now):
            raise JudgementDeferred(why_not, _AGAIN_SECONDS)
        document = etree.tostring(root, method="c14n", with_comments=False)
        signature = self._signature(document, now).encode()
        end = document.rindex(b"</")
        signed = b"".join(
            (b"<?xml version='1.0' encoding='UTF-8'?>\n", document[:end], signature, document[end:])
        )
        kind = str(root.tag)
        if self._signed[kind] % SAMPLE == 0:
            self._verify(signed, document, now)
        self._signed[kind] += 1
        return signed

    def _signature(self, document: bytes, now: datetime) -> str:
        """The Signature element for a document in canonical form."""
        digest = hashlib.sha256(document)
        mark = digest.hexdigest()[:16]  # in its Ids, so that they differ from those of other documents
        properties = _PROPERTIES.format(
            mark=mark, at=now.isoformat(timespec="seconds"), certificate=self._certificate_digest
        )
        signed_info = _SIGNED_INFO.format(
            mark=mark,
            algorithm=self._algorithm,
            document=b64encode(digest.digest()).decode(),
            properties=_digest(_in_scope("xades:SignedProperties", properties)),
            key=self.fingerprint[:16],
            key_info=self._key_info_digest,
        )
        return _SIGNATURE.format(
            mark=mark,
            signed_info=signed_info,
            value=self._value(_in_scope("ds:SignedInfo", signed_info).encode()),
            key_info=self._key_info,
            properties=properties,
        )

    def _value(self, content: bytes) -> str:
        if isinstance(self._key, rsa.RSAPrivateKey):
            return b64encode(self._key.sign(content, padding.PKCS1v15(), hashes.SHA256())).decode()
        # Both numbers one after the other, as long as the key each (RFC 4050, 3.3).
        numbers = utils.decode_dss_signature(self._key.sign(content, ec.ECDSA(hashes.SHA256())))
        size = (self._key.key_size + 7) // 8
        return b64encode(b"".join(number.to_bytes(size, "big") for number in numbers)).decode()

    def _verify(self, signed: bytes, document: bytes, now: datetime) -> None:
        try:
            own = RegisteredCertificate(pem=self.certificate_pem)
            result = verify_enveloped(xml.trusted(signed), [own], now)
        except MessageRejected as refused:
            raise UnsoundSignature(refused.findings[0].en) from refused
        if etree.tostring(result.root, method="c14n") != document:
            raise UnsoundSignature("the document that was signed is another")


def _in_scope(name: str, part: str) -> str:
    """The part, an element of this name, with the namespaces in scope on it."""
    return f"<{name}{_SCOPE}{part[len(name) + 1 :]}"


def _digest(text: str) -> str:
    return b64encode(hashlib.sha256(text.encode()).digest()).decode()
