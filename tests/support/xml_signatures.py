"""Signature templates in the habits of different signers, filled in by xmlsec1."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

import pytest

from gateway.formats import xml
from gateway.formats.signatures import VerifiedSignature, verify_enveloped
from gateway.model.faults import Finding, MessageRejected
from gateway.model.parties import RegisteredCertificate
from tests.support.keys import Identity, xmlsec1_sign

C14N: Final = {
    "1.0": "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
    "1.1": "http://www.w3.org/2006/12/xml-c14n11",
    "exclusive": "http://www.w3.org/2001/10/xml-exc-c14n#",
    "1.0 with comments": "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments",
    "1.1 with comments": "http://www.w3.org/2006/12/xml-c14n11#WithComments",
    "exclusive with comments": "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
}
DIGEST: Final = {
    "sha1": "http://www.w3.org/2000/09/xmldsig#sha1",
    "sha256": "http://www.w3.org/2001/04/xmlenc#sha256",
    "sha384": "http://www.w3.org/2001/04/xmldsig-more#sha384",
    "sha512": "http://www.w3.org/2001/04/xmlenc#sha512",
}
SIGNING: Final = {
    "rsa-sha1": "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
    "dsa-sha1": "http://www.w3.org/2000/09/xmldsig#dsa-sha1",
    "hmac-sha256": "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
    "rsa-md5": "http://www.w3.org/2001/04/xmldsig-more#rsa-md5",
    "rsa-pss": "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1",
    **{
        f"{kind}-{name}": f"http://www.w3.org/2001/04/xmldsig-more#{kind}-{name}"
        for kind in ("rsa", "ecdsa")
        for name in ("sha256", "sha384", "sha512")
    },
}
KeyInfo: TypeAlias = Literal["certificate", "value", "name", "none"]
ENVELOPED: Final = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
DS: Final = "http://www.w3.org/2000/09/xmldsig#"
XADES: Final = "http://uri.etsi.org/01903/v1.3.2#"
EXCLUSIVE: Final = C14N["exclusive"]
NOW: Final = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


def verified(
    signed: str | bytes, *registered: RegisteredCertificate, now: datetime = NOW
) -> VerifiedSignature:
    body = signed.encode() if isinstance(signed, str) else signed
    return verify_enveloped(xml.parse(body), registered, now)


def finding_of(signed: str | bytes, *registered: RegisteredCertificate, now: datetime = NOW) -> Finding:
    """Why it is refused, which it must be."""
    with pytest.raises(MessageRejected) as refusal:
        verified(signed, *registered, now=now)
    (finding,) = refusal.value.findings
    return finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """How one signer writes a signature. `reference` is its C14N transform, None where it writes none;
    `prefixes` is the PrefixList of an exclusive one; `attributes` and `objects` go in as they are."""

    prefix: str = "ds"
    c14n: str = "1.0"
    reference: str | None = None
    prefixes: str = ""
    digest: str = "sha256"
    signing: str = "rsa-sha256"
    key_info: KeyInfo = "certificate"
    key_info_id: str = ""
    attributes: str = ""
    references: str = ""
    objects: str = ""
    after: str = ""
    transforms: str | None = None
    uri: str | None = 'URI=""'

    def template(self) -> str:
        p = f"{self.prefix}:" if self.prefix else ""
        list_ = f'<x:InclusiveNamespaces xmlns:x="{EXCLUSIVE}" PrefixList="{self.prefixes}"/>'
        inside = list_ if self.prefixes else ""
        transforms = f'<{p}Transform Algorithm="{ENVELOPED}"/>'
        if self.reference:
            transforms += f'<{p}Transform Algorithm="{C14N[self.reference]}">{inside}</{p}Transform>'
        if self.transforms is not None:
            transforms = self.transforms
        key_info = {
            "certificate": f"<{p}X509Data/>",
            "value": f"<{p}KeyValue/>",
            "name": f"<{p}KeyName>0001</{p}KeyName>",
            "none": "",
        }[self.key_info]
        if key_info:
            id_ = f' Id="{self.key_info_id}"' if self.key_info_id else ""
            key_info = f"<{p}KeyInfo{id_}>{key_info}</{p}KeyInfo>"
        return (
            f'<{p}Signature xmlns{":" + self.prefix if self.prefix else ""}="{DS}"{self.attributes}>'
            f"\n  <{p}SignedInfo>"
            f'<{p}CanonicalizationMethod Algorithm="{C14N[self.c14n]}"/>'
            f'<{p}SignatureMethod Algorithm="{SIGNING[self.signing]}"/>\n'
            f"<{p}Reference {self.uri or ''}><{p}Transforms>{transforms}</{p}Transforms>"
            f'<{p}DigestMethod Algorithm="{DIGEST[self.digest]}"/><{p}DigestValue/></{p}Reference>'
            f"{self.references}</{p}SignedInfo>\n  <{p}SignatureValue/>{key_info}{self.objects}"
            f"</{p}Signature>{self.after}"
        )

    def sign(self, document: str, signer: Identity) -> bytes:
        """The document signed by xmlsec1, the signature where `document` has `{signature}`."""
        return xmlsec1_sign(document.replace("{signature}", self.template()).encode(), signer)


def xades(
    *,
    c14n: str = "1.0",
    time: str = "2026-11-23T12:00:00+08:00",
    certificate: str = "",
    target: str = "#S",
    type_: str = "http://uri.etsi.org/01903#SignedProperties",
) -> Habit:
    """A habit that adds what XAdES adds, by hand: references to SignedProperties `#P` and KeyInfo `#K`."""
    transforms = f'<ds:Transforms><ds:Transform Algorithm="{C14N[c14n]}"/></ds:Transforms>'
    digest = f'<ds:DigestMethod Algorithm="{DIGEST["sha256"]}"/><ds:DigestValue/>'
    return Habit(
        c14n=c14n,
        reference=c14n,
        attributes=' Id="S"',
        key_info_id="K",
        references=(
            f'<ds:Reference URI="#P" Type="{type_}">{transforms}{digest}</ds:Reference>'
            f'<ds:Reference URI="#K">{transforms}{digest}</ds:Reference>'
        ),
        objects=(
            f'<ds:Object><xades:QualifyingProperties xmlns:xades="{XADES}" Target="{target}">'
            '<xades:SignedProperties Id="P"><xades:SignedSignatureProperties>'
            f"<xades:SigningTime>{time}</xades:SigningTime>{certificate}"
            "</xades:SignedSignatureProperties></xades:SignedProperties></xades:QualifyingProperties></ds:Object>"
        ),
    )
