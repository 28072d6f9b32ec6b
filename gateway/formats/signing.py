"""The gateway's own signature: enveloped XAdES-BES on receipts and submission envelopes."""

from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.xades.xades import XAdESDataObjectFormat, XAdESSigner

from gateway.formats.certificates import Unusable, certificate, outside
from gateway.model.faults import JudgementDeferred

# Inclusive: with exclusive canonicalisation signxml 5.2 computes a wrong digest of SignedProperties.
_C14N: Final = CanonicalizationMethod.CANONICAL_XML_1_0
_FORMAT: Final = XAdESDataObjectFormat(
    Description="Electronic data of customs clearance", MimeType="text/xml"
)
_SIGNING_TIME: Final = "{http://uri.etsi.org/01903/v1.3.2#}SigningTime"
_AGAIN_SECONDS: Final = 30.0


class XadesSigner:
    """Implements `signers.Signer` with one key, RSA 2048-4096, P-256 or P-384, which is loaded once (30 ms
    for RSA).

    `fingerprint` is the SHA-256 (hex) of the certificate. Raises `Unusable` where the key cannot be read, is
    of another kind, has a pass phrase, or does not belong to the certificate. Threads may share a signer.
    """

    def __init__(self, key_pem: bytes, certificate_pem: str) -> None:
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
        self._known = own
        self._key = key
        self._chain = [x509.load_pem_x509_certificate(certificate_pem.encode("ascii"))]
        self._algorithm = (
            SignatureMethod.RSA_SHA256 if isinstance(key, rsa.RSAPrivateKey) else SignatureMethod.ECDSA_SHA256
        )

    def sign(self, root: etree._Element) -> bytes:
        """See `signers.Signer`. Raises `JudgementDeferred` outside the validity of the certificate, when
        nothing may be signed.

        Raises `ValueError` where `root` has an attribute with which signxml would make an invalid signature:
        an Id (signxml then references the element by it instead of the document), or one of the xml namespace
        (signxml omits it from the attributes that SignedInfo inherits).
        """
        for name in root.attrib:
            if name in ("Id", "ID") or name.startswith("{http://www.w3.org/XML/1998/namespace}"):
                raise ValueError(f"the root element must not bear {name}")
        # A new one for each signature, since it keeps every id that it has generated.
        signer = XAdESSigner(
            signature_algorithm=self._algorithm,
            digest_algorithm=DigestAlgorithm.SHA256,
            c14n_algorithm=_C14N,
            data_object_format=_FORMAT,
        )
        signed = signer.sign(root, key=self._key, cert=self._chain, always_add_key_value=False)
        (at,) = signed.iter(_SIGNING_TIME)
        if why_not := outside(self._known, datetime.fromisoformat(at.text or "")):
            raise JudgementDeferred(why_not, _AGAIN_SECONDS)
        return etree.tostring(signed, xml_declaration=True, encoding="UTF-8")
