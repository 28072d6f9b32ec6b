"""XAdES-BES from templates that are in canonical form already: the least that a signature of this form costs.

The same three references as those of the gateway's signer (document, signed properties, KeyInfo). Only for
documents of our own making, since nothing here is canonicalised but the document itself.
"""

import hashlib
import secrets
from base64 import b64encode
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from lxml import etree

from gateway.formats.submission import NAMESPACE

_DS: Final = "http://www.w3.org/2000/09/xmldsig#"
_XADES: Final = "http://uri.etsi.org/01903/v1.3.2#"
_C14N: Final = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
_SHA256: Final = "http://www.w3.org/2001/04/xmlenc#sha256"
_MORE: Final = "http://www.w3.org/2001/04/xmldsig-more#"
_OWN: Final = {None: NAMESPACE}
# In scope where the parts are digested; in the document they stand on the elements around.
_SCOPE: Final = f' xmlns="{NAMESPACE}" xmlns:ds="{_DS}" xmlns:xades="{_XADES}"'
_METHOD: Final = f'<ds:DigestMethod Algorithm="{_SHA256}"></ds:DigestMethod>'
_INFO: Final = (
    "<ds:SignedInfo%s>"
    f'<ds:CanonicalizationMethod Algorithm="{_C14N}"></ds:CanonicalizationMethod>'
    '<ds:SignatureMethod Algorithm="{algorithm}"></ds:SignatureMethod>'
    '<ds:Reference Id="%s" URI=""><ds:Transforms>'
    f'<ds:Transform Algorithm="{_DS}enveloped-signature"></ds:Transform>'
    f'<ds:Transform Algorithm="{_C14N}"></ds:Transform></ds:Transforms>'
    f"{_METHOD}<ds:DigestValue>%s</ds:DigestValue></ds:Reference>"
    f'<ds:Reference Type="http://uri.etsi.org/01903#SignedProperties" URI="#%s">{_METHOD}'
    "<ds:DigestValue>%s</ds:DigestValue></ds:Reference>"
    f'<ds:Reference URI="#%s">{_METHOD}<ds:DigestValue>%s</ds:DigestValue></ds:Reference>'
    "</ds:SignedInfo>"
)
_PROPERTIES: Final = (
    '<xades:SignedProperties%s Id="%s"><xades:SignedSignatureProperties>'
    "<xades:SigningTime>%s</xades:SigningTime>"
    "<xades:SigningCertificateV2><xades:Cert><xades:CertDigest>"
    f"{_METHOD}<ds:DigestValue>{{certificate}}</ds:DigestValue>"
    "</xades:CertDigest></xades:Cert></xades:SigningCertificateV2></xades:SignedSignatureProperties>"
    '<xades:SignedDataObjectProperties><xades:DataObjectFormat ObjectReference="#%s">'
    "<xades:Description>Electronic data of customs clearance</xades:Description>"
    "<xades:MimeType>text/xml</xades:MimeType></xades:DataObjectFormat>"
    "</xades:SignedDataObjectProperties></xades:SignedProperties>"
)


class LeanSigner:
    """gateway.model.signers.Signer with the gateway's key."""

    def __init__(self, key: bytes, certificate_pem: str) -> None:
        loaded = load_pem_private_key(key, password=None)
        assert isinstance(loaded, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
        known = x509.load_pem_x509_certificate(certificate_pem.encode())
        der = known.public_bytes(Encoding.DER)
        self.certificate_pem = certificate_pem
        self.fingerprint = known.fingerprint(hashes.SHA256()).hex()
        self._key = loaded
        algorithm = "rsa-sha256" if isinstance(loaded, rsa.RSAPrivateKey) else "ecdsa-sha256"
        self._info = _INFO.replace("{algorithm}", _MORE + algorithm)
        self._properties = _PROPERTIES.replace("{certificate}", _digest(der))
        body = "".join(certificate_pem.split("-----")[2].split())
        # The same in each signature, so that it is digested once.
        self._key_id = f"K{secrets.token_hex(4)}"
        key_info = (
            f'<ds:KeyInfo%s Id="{self._key_id}"><ds:X509Data>'
            f"<ds:X509Certificate>{body}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
        )
        self._key_info = key_info % ""
        self._key_digest = _digest((key_info % _SCOPE).encode())

    def sign(self, root: etree._Element) -> bytes:
        assert root.nsmap == _OWN, "the templates are canonical in our own namespace only"
        body = etree.tostring(root, method="c14n")
        mark = secrets.token_hex(8)
        signature, properties, reference = f"S{mark}", f"P{mark}", f"R{mark}"
        at = datetime.now(UTC).isoformat(timespec="seconds")
        said = self._properties % (_SCOPE, properties, at, reference)
        digests = (_digest(body), properties, _digest(said.encode()), self._key_id, self._key_digest)
        value = self._value((self._info % (_SCOPE, reference, *digests)).encode())
        made = (
            f'<ds:Signature xmlns:ds="{_DS}" xmlns:xades="{_XADES}" Id="{signature}">'
            f"{self._info % ('', reference, *digests)}<ds:SignatureValue>{value}</ds:SignatureValue>"
            f'{self._key_info}<ds:Object><xades:QualifyingProperties Target="#{signature}">'
            f"{self._properties % ('', properties, at, reference)}"
            "</xades:QualifyingProperties></ds:Object></ds:Signature>"
        )
        end = body.rindex(b"</")
        return b"<?xml version='1.0' encoding='UTF-8'?>\n" + body[:end] + made.encode() + body[end:]

    def _value(self, info: bytes) -> str:
        if isinstance(self._key, rsa.RSAPrivateKey):
            return b64encode(self._key.sign(info, padding.PKCS1v15(), hashes.SHA256())).decode()
        numbers = utils.decode_dss_signature(self._key.sign(info, ec.ECDSA(hashes.SHA256())))
        size = (self._key.key_size + 7) // 8
        return b64encode(b"".join(number.to_bytes(size, "big") for number in numbers)).decode()


def _digest(data: bytes) -> str:
    return b64encode(hashlib.sha256(data).digest()).decode()
