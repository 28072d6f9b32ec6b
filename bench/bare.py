"""The bare loop: only what any program must do for one message with these libraries.

Per message, in this order: read the file; of a zip, read and digest each entry with `zipfile`, and count a
PDF's pages with pikepdf; parse the document with lxml (no other checks of the text), validate it against the
compiled XSD, evaluate the compiled XPaths of the business rules; canonicalise SignedInfo and verify its
value with the sender's RSA key, then canonicalise the document without its signature and compare the digest;
and sign an envelope and a receipt from templates (`bench.job.xades`), the very elements that the gateway made
of this message.

Not included: reading facts, the register, duplicates, routes, form of the signature, certificates' validity,
strictness of the zip, names, encodings, making envelope and receipt. Those are the gateway's own costs.
"""

import hashlib
import zipfile
from base64 import b64decode
from io import BytesIO
from typing import IO, Final

import pikepdf
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree

from adapters.home.home import Home
from bench.harness import Harness
from bench.job.xades import LeanSigner
from bench.traffic import ACCOUNT
from gateway.formats import xml
from gateway.judge.unpack import unpack
from gateway.model.message import Received

_DS: Final = "{http://www.w3.org/2000/09/xmldsig#}"


class Bare:
    """One message, processed repeatedly."""

    def __init__(self, home: Home, harness: Harness, received: Received) -> None:
        self._harness = harness
        self._sha256 = received.arrival.sha256
        policy = harness.rules.policy
        size = received.arrival.size
        self._package = unpack(received.arrival.name, self._open, size, policy.package, policy.pdf, 1 << 29)
        self._type = harness.rules.families.recognise(xml.parse(self._package.document))
        decision = harness.judge(received)
        (submission,) = decision.submissions
        self._made = [_unsigned(submission.envelope), _unsigned(decision.receipts[0].body)]
        sender = (home.path / "clients" / ACCOUNT / "sign.crt").read_bytes()
        key = x509.load_pem_x509_certificate(sender).public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        self._sender = key
        self._signer = LeanSigner(home.signing_key.read_bytes(), home.certificate.read_text())

    def __call__(self) -> None:
        with self._open() as stream:
            document = self._unpacked(stream) if self._package.is_zip else stream.read()
        root = etree.fromstring(document, etree.XMLParser(resolve_entities=False, remove_comments=True))
        assert self._type.schema.validate(root)
        assert self._type.rules is not None
        self._type.rules.check(root, self._package, self._harness.rules.policy)
        self._verify(root)
        for made in self._made:
            self._signer.sign(made)

    def _open(self) -> IO[bytes]:
        return self._harness.opened(self._sha256)

    def _unpacked(self, stream: IO[bytes]) -> bytes:
        document = b""
        with zipfile.ZipFile(stream) as archive:
            for name in archive.namelist():
                body = archive.read(name)
                hashlib.sha256(body).hexdigest()
                if name.endswith(".xml"):
                    document = body
                else:
                    with pikepdf.open(BytesIO(body)) as file:
                        assert len(file.pages) == 1
        return document

    def _verify(self, root: etree._Element) -> None:
        signature = root[-1]
        info = signature[0]
        self._sender.verify(
            b64decode(_text(signature, "SignatureValue")),
            etree.tostring(info, method="c14n", exclusive=True),
            padding.PKCS1v15(),
            hashes.SHA256(),
        )
        stated = b64decode(_text(info, f"Reference/{_DS}DigestValue"))
        root.remove(signature)
        assert hashlib.sha256(etree.tostring(root, method="c14n", exclusive=True)).digest() == stated


def _text(parent: etree._Element, name: str) -> str:
    return parent.findtext(_DS + name) or ""


def _unsigned(body: bytes) -> etree._Element:
    root = xml.parse(body)
    etree.strip_elements(root, f"{_DS}Signature", with_tail=False)
    return root
