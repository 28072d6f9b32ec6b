"""The shipped samples: for a new user's first messages, and for `gateway demo`, with expected results."""

import tomllib
from importlib import resources
from importlib.resources.abc import Traversable
from io import BytesIO
from pathlib import Path
from typing import Final, Literal
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from lxml import etree
from pydantic import BaseModel, ConfigDict
from signxml.algorithms import (
    CanonicalizationMethod,
    DigestAlgorithm,
    SignatureConstructionMethod,
    SignatureMethod,
)
from signxml.signer import XMLSigner

from gateway.formats import xml
from gateway.model.states import CustomsStatus

# Fixed, so that every new home has identical packages.
_PACKED_AT: Final = (2026, 11, 2, 9, 30, 0)

# Registers the trader of class C that one of the samples needs.
FURTHER_PARTY: Final = "trader-c.toml"


class FollowUp(BaseModel):
    """A package that is sent after another. The fields are explained in `config/samples/samples.toml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str
    account: str
    package: str
    kind: Literal["zip", "bare"]
    sign: bool

    def path(self, home: Path) -> Path:
        """Where `write_samples` puts the package, ready to be sent by the account."""
        return home / "samples" / self.account / self.package


class Sample(FollowUp):
    """A declaration, and its expected result."""

    verdict: Literal["accepted", "rejected"]
    customs_status: CustomsStatus
    story: bool = False
    pauses: str = ""
    follow_up: str = ""
    decided: str = ""
    zh: str
    en: str


def read_samples() -> tuple[Sample, ...]:
    """The shipped declarations, in the order in which they are sent."""
    return tuple(Sample.model_validate(entry) for entry in _listed()["sample"])


def read_follow_ups() -> tuple[FollowUp, ...]:
    """The packages that follow some of the declarations."""
    return tuple(FollowUp.model_validate(entry) for entry in _listed()["follow_up"])


def read_others() -> tuple[FollowUp, ...]:
    """Packages that are neither declarations nor follow one."""
    return tuple(FollowUp.model_validate(entry) for entry in _listed()["other"])


def write_samples(home: Path) -> tuple[Sample, ...]:
    """Writes each sample to its `path`, replacing an existing file; signed ones need
    `home`/clients/<account>/sign.key and sign.crt."""
    samples = read_samples()
    for each in (*samples, *read_follow_ups(), *read_others()):
        target = each.path(home)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(_package(each, home / "clients" / each.account))
    (home / "samples" / FURTHER_PARTY).write_bytes(_shipped().joinpath(FURTHER_PARTY).read_bytes())
    return samples


def _listed() -> dict[str, list[object]]:
    return tomllib.loads(_shipped().joinpath("samples.toml").read_text("utf-8"))


def signed(document: bytes, key: bytes, certificate: bytes) -> bytes:
    """The XML document as UTF-8 with an enveloped XML-DSig signature as last child of its root: RSA or ECDSA
    according to the PEM key, SHA-256, exclusive canonicalisation. Comments are left out."""
    loaded = load_pem_private_key(key, password=None)
    elliptic = isinstance(loaded, EllipticCurvePrivateKey)
    signer = XMLSigner(
        method=SignatureConstructionMethod.enveloped,
        signature_algorithm=SignatureMethod.ECDSA_SHA256 if elliptic else SignatureMethod.RSA_SHA256,
        digest_algorithm=DigestAlgorithm.SHA256,
        c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    )
    root = signer.sign(xml.parse(document), key=key, cert=certificate.decode("ascii"))
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _shipped() -> Traversable:
    return resources.files("config").joinpath("samples")


def _package(sample: FollowUp, client: Path) -> bytes:
    folder = _shipped().joinpath(sample.folder)
    name = f"{sample.folder}.xml"
    document = folder.joinpath(name).read_bytes()
    if sample.sign:
        key, certificate = (client / "sign.key").read_bytes(), (client / "sign.crt").read_bytes()
        document = signed(document, key, certificate)
    if sample.kind == "bare":
        return document
    attachments = sorted((part for part in folder.iterdir() if part.name != name), key=lambda part: part.name)
    out = BytesIO()
    with ZipFile(out, "w") as archive:
        for entry, body in ((name, document), *((part.name, part.read_bytes()) for part in attachments)):
            archive.writestr(ZipInfo(entry, _PACKED_AT), body, ZIP_DEFLATED)
    return out.getvalue()
