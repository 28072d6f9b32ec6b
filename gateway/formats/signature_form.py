"""Reads the structure of an XML signature of the only profile that the gateway accepts into a typed value.

Every part is read from its fixed place and none is looked up by its id, so that a reference cannot be
redirected to another element. Anything else in a Signature is refused, not ignored.
"""

import hashlib
import hmac
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Final, TypeAlias, TypeVar

from lxml import etree

from gateway.formats.canonical import C14N_1_0, Canonicalisation, canonicalisation
from gateway.formats.certificates import Algorithm
from gateway.model.faults import Fault, MessageRejected, finding

DS: Final = "http://www.w3.org/2000/09/xmldsig#"
XADES: Final = "http://uri.etsi.org/01903/v1.3.2#"
SIGNATURE: Final = f"{{{DS}}}Signature"

_T = TypeVar("_T")
_Hash: TypeAlias = Callable[[bytes], "hashlib._Hash"]

_ENVELOPED: Final = f"{DS}enveloped-signature"
_SIGNED_PROPERTIES: Final = "http://uri.etsi.org/01903#SignedProperties"
_MORE: Final = "http://www.w3.org/2001/04/xmldsig-more#"
_ALGORITHMS: Final = {f"{_MORE}{algorithm}": algorithm for algorithm in Algorithm}
_DIGESTS: Final[Mapping[str, _Hash]] = {
    "http://www.w3.org/2001/04/xmlenc#sha256": hashlib.sha256,
    f"{_MORE}sha384": hashlib.sha384,
    "http://www.w3.org/2001/04/xmlenc#sha512": hashlib.sha512,
}
_BEARING: Final = etree.XPath("count(//@*[translate(local-name(), 'ID', 'id') = 'id'][. = $id])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """A DigestMethod and its DigestValue."""

    hash: _Hash
    value: bytes

    def is_of(self, content: bytes) -> bool:
        return hmac.compare_digest(self.hash(content).digest(), self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The canonicalisation and the digest of a signed part."""

    method: Canonicalisation
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A Signature of the accepted structure, not yet verified. `properties` is XAdES' SignedProperties.

    `document` is the reference to the document without the Signature; `parts` are the references to
    `properties`, if present, and to `key_info`, if it is signed.
    """

    signed_info: etree._Element
    method: Canonicalisation
    algorithm: Algorithm
    document: Reference
    parts: tuple[tuple[etree._Element, Reference], ...]
    value: bytes
    key_info: etree._Element | None
    properties: etree._Element | None


def read_form(root: etree._Element) -> Form:
    """Reads the only Signature of a document. Raises `MessageRejected` where there is none, or where it is of
    another structure or algorithm, or holds no base64."""
    signature = _only_signature(root)
    parts = {
        etree.QName(part).localname: part
        for part in children(
            signature,
            _ds("SignedInfo", "SignatureValue"),
            _ds("SignedInfo", "SignatureValue", "KeyInfo"),
            _ds("SignedInfo", "SignatureValue", "Object"),
            _ds("SignedInfo", "SignatureValue", "KeyInfo", "Object"),
        )
    }
    signed_info, key_info, holder = parts["SignedInfo"], parts.get("KeyInfo"), parts.get("Object")
    properties = None if holder is None else _signed_properties(holder, signature)

    canonical, signing, *elements = children(
        signed_info,
        *(_ds("CanonicalizationMethod", "SignatureMethod", *["Reference"] * count) for count in (1, 2, 3)),
    )
    algorithm = _algorithm(signing, _ALGORITHMS)
    references = [_reference(element, key_info, properties) for element in elements]
    covered = [part for part, _ in references]
    if covered.count(None) != 1 or len(set(covered)) < len(covered) or properties not in [None, *covered]:
        raise refusal("not one reference each", "应有且仅有一个引用（Reference）", signed_info)
    return Form(
        signed_info=signed_info,
        method=canonicalisation(canonical),
        algorithm=algorithm,
        document=references[covered.index(None)][1],
        parts=tuple((part, reference) for part, reference in references if part is not None),
        value=_decoded(parts["SignatureValue"]),
        key_info=key_info,
        properties=properties,
    )


def _only_signature(root: etree._Element) -> etree._Element:
    signatures = list(islice(root.iter(SIGNATURE), 2))
    if not signatures:
        raise MessageRejected(finding(Fault.SIGNATURE_MISSING))
    if len(signatures) > 1:
        raise refusal("more than one signature", "只能有一个签名（Signature）", signatures[1])
    # Any child of the root, not only the last: the Signature is the one element that is not signed, so its
    # place proves nothing, and the schemas decide it (in the CEB messages of 2018 an element may follow).
    if signatures[0].getparent() is not root:
        raise refusal("it is not a child of the root element", "签名应为根元素的子元素", signatures[0])
    return signatures[0]


def _signed_properties(holder: etree._Element, signature: etree._Element) -> etree._Element:
    # ETSI TS 101 903, 6.3.1: one Object with one QualifyingProperties. Unsigned properties are refused: no
    # reference covers them.
    (qualifying,) = children(holder, (f"{{{XADES}}}QualifyingProperties",))
    (properties,) = children(qualifying, (f"{{{XADES}}}SignedProperties",))
    if qualifying.get("Target") != f"#{signature.get('Id')}":
        said_zh = "QualifyingProperties 的 Target 应指向该签名"
        raise refusal("Target of QualifyingProperties", said_zh, qualifying)
    return properties


def _reference(
    element: etree._Element, key_info: etree._Element | None, properties: etree._Element | None
) -> tuple[etree._Element | None, Reference]:
    """The reference with the part of the Signature that it refers to, None for the document."""
    *before, method, value = children(
        element, _ds("DigestMethod", "DigestValue"), _ds("Transforms", "DigestMethod", "DigestValue")
    )
    transforms = children(before[0], _ds("Transform"), _ds("Transform", "Transform")) if before else []
    part = None
    if element.get("URI") == "" and not element.get("Type"):
        if not transforms or transforms[0].get("Algorithm") != _ENVELOPED:
            for transform in transforms[:1]:
                canonicalisation(transform)  # raises SIGNATURE_ALGORITHM for an unknown one
            raise refusal("no enveloped-signature transform", "缺少 enveloped-signature 变换", element)
        children(transforms.pop(0), ())
    else:
        part = properties if element.get("Type") == _SIGNED_PROPERTIES else key_info
        _refuse_another_target(element, part)
    if len(transforms) > 1:
        raise refusal("too many transforms", "变换（Transform）过多", element)
    # XMLDSIG, 4.4.3.2: where no transform turns the nodes into octets, C14N 1.0 does.
    canonical = canonicalisation(transforms[0]) if transforms else C14N_1_0
    return part, Reference(method=canonical, digest=read_digest(method, value))


def _refuse_another_target(reference: etree._Element, part: etree._Element | None) -> None:
    name = None if part is None else part.get("Id")
    if part is None or name is None or reference.get("URI") != f"#{name}":
        raise refusal("a reference to something else", "引用（Reference）指向了其他内容", reference)
    if _BEARING(part, id=name) != 1:
        raise refusal("an Id that is not unique", "Id 不唯一", reference)


def read_digest(method: etree._Element, value: etree._Element) -> Digest:
    """The digest in two elements. Raises `MessageRejected` with SIGNATURE_ALGORITHM for any method but
    SHA-256, SHA-384 and SHA-512."""
    return Digest(hash=_algorithm(method, _DIGESTS), value=_decoded(value))


def children(element: etree._Element, *shapes: tuple[str, ...]) -> list[etree._Element]:
    """The children of an element. Raises `MessageRejected` unless the sequence of their tags is one of
    `shapes` and there is no text between them."""
    elements = list(element)
    texts = [element.text, *(child.tail for child in elements)] if elements else []
    if tuple(child.tag for child in elements) not in shapes or any(
        text and not text.isspace() for text in texts
    ):
        name = etree.QName(element).localname
        raise refusal(f"content of {name}", f"{name} 中的内容不符合要求", element)
    return elements


def refusal(detail: str, detail_zh: str, element: etree._Element) -> MessageRejected:
    """A SIGNATURE_FORM fault at the line of `element`."""
    return MessageRejected(
        finding(Fault.SIGNATURE_FORM, detail=detail, detail_zh=detail_zh, line=element.sourceline)
    )


@cache
def _ds(*names: str) -> tuple[str, ...]:
    return tuple(f"{{{DS}}}{name}" for name in names)


def _algorithm(method: etree._Element, accepted: Mapping[str, _T]) -> _T:
    name = method.get("Algorithm", "")
    if name not in accepted:
        raise MessageRejected(finding(Fault.SIGNATURE_ALGORITHM, detail=name, line=method.sourceline))
    children(method, ())  # no HMACOutputLength, no parameters
    return accepted[name]


def _decoded(element: etree._Element) -> bytes:
    children(element, ())
    try:
        return b64decode("".join((element.text or "").split()), validate=True)
    except ValueError:
        raise MessageRejected(finding(Fault.SIGNATURE_INVALID, line=element.sourceline)) from None
