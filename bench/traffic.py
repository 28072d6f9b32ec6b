"""Test packages: signed declarations of 7 KB and 55 KB with unique references, bare or with PDFs."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, SignatureConstructionMethod
from signxml.signer import XMLSigner

from adapters.home.home import Home
from gateway.formats import xml
from tests.support.declarations import Declaration, Document, middle, small
from tests.support.pdfs import pdf
from tests.support.rendering import files, package, render

ACCOUNT: Final = "broker-aa"  # signs with RSA-2048, like most parties
PDF_SIZE: Final = 200 * 1000
SIZES: Final = {"7 KB": small, "55 KB": middle}
TYPES: Final = {".xml": "application/xml", ".zip": "application/zip"}  # by the suffix of a name


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A package as a broker sends it."""

    name: str
    body: bytes


class Broker:
    """Makes packages of the account `ACCOUNT` of a home, signed by its key."""

    def __init__(self, home: Home) -> None:
        client = home.path / "clients" / ACCOUNT
        # Parsed once: it takes 30 ms, and some runs send a thousand.
        self._key: Any = load_pem_private_key((client / "sign.key").read_bytes(), password=None)
        self._certificate = (client / "sign.crt").read_text()

    def bare(self, size: str, reference: str) -> Sent:
        return Sent(name=f"{reference}.xml", body=self.signed(SIZES[size](reference)))

    def with_pdf(self, size: str, reference: str) -> Sent:
        return self._zipped(replace(SIZES[size](reference), documents=(Document(body=scan(PDF_SIZE)),)))

    def _zipped(self, declaration: Declaration) -> Sent:
        name = f"{declaration.reference}.xml"
        body = package(self.signed(declaration), files(declaration), name)
        return Sent(name=f"{declaration.reference}.zip", body=body)

    def signed(self, declaration: Declaration) -> bytes:
        signer = XMLSigner(
            method=SignatureConstructionMethod.enveloped,
            c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
        )
        root = signer.sign(xml.parse(render(declaration)), key=self._key, cert=self._certificate)
        return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


KINDS: Final[dict[str, Callable[[Broker, str, str], Sent]]] = {
    "signed": Broker.bare,
    "signed, PDF of 200 KB": Broker.with_pdf,
}


@cache
def scan(size: int, pages: int = 1) -> bytes:
    """A PDF that compresses no better than a scan."""
    return pdf(pages, size)
