"""Canonical XML for XML signatures: the exact bytes of a document, or of a part of it, that are digested."""

from dataclasses import dataclass
from typing import Final

from lxml import etree

from gateway.formats import xml
from gateway.model.faults import Fault, MessageRejected, finding

EXCLUSIVE: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"

_LONGEST_PART: Final = 64 * 1024
_XML: Final = "{http://www.w3.org/XML/1998/namespace}"
_BASE: Final = f"{_XML}base"


@dataclass(frozen=True, slots=True, kw_only=True)
class Canonicalisation:
    """A method of canonicalisation, always without comments.

    `inherits` are the attributes of the xml namespace that a part takes from its ancestors when it is
    canonicalised on its own. `prefixes` is the PrefixList of an exclusive canonicalisation.
    """

    exclusive: bool = False
    inherits: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()

    def of_document(self, root: etree._Element) -> bytes:
        """The canonical form of the whole document of `root`, with the processing instructions before and
        after the root element.

        Raises `MessageRejected` where libxml2 has none, as with a relative namespace (C14N 1.0, section 1.3).
        """
        try:
            return etree.tostring(
                root.getroottree(),
                method="c14n",
                exclusive=self.exclusive,
                with_comments=False,
                inclusive_ns_prefixes=list(self.prefixes) or None,
            )
        except etree.C14NError:
            raise _refusal("it cannot be canonicalised", "无法规范化", root) from None

    def of_part(self, element: etree._Element) -> bytes:
        """The canonical form of an element of a document.

        The element is serialised with the namespaces in scope and parsed again as a root, since lxml 6.1
        canonicalises a sub-element with a wrong `xmlns=""`. Raises `MessageRejected` for more than 64 KB, far
        above any real part of a signature: libxml2's time is quadratic in the attributes of an element.
        """
        text = etree.tostring(element, encoding="utf-8", with_tail=False)
        if len(text) > _LONGEST_PART:
            raise _refusal(f"{len(text)} > {_LONGEST_PART}", f"{len(text)} > {_LONGEST_PART}", element)
        alone = xml.trusted(text)
        for ancestor in element.iterancestors():
            for name, value in ancestor.items():
                if name == _BASE and self is C14N_1_1:
                    # Section 2.4 of C14N 1.1 has rules for joining the values, which no sender needs.
                    raise _refusal("xml:base with C14N 1.1", "xml:base 不能与 C14N 1.1 同用", ancestor)
                if name in self.inherits and name not in alone.attrib:
                    alone.set(name, value)
        return self.of_document(alone)


# C14N 1.0, section 2.4, and C14N 1.1, section 2.4; exclusive canonicalisation inherits nothing (section 3).
C14N_1_0: Final = Canonicalisation(
    inherits=frozenset({_BASE, *(f"{_XML}{n}" for n in ("lang", "space", "id"))})
)
C14N_1_1: Final = Canonicalisation(inherits=frozenset({f"{_XML}lang", f"{_XML}space"}))

_INCLUSIVE: Final = {
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315": C14N_1_0,
    "http://www.w3.org/2006/12/xml-c14n11": C14N_1_1,
}


# Without comments these give the same result; `judge/verify.py` rejects them where there is a comment.
_WITH_COMMENTS: Final = {
    f"{EXCLUSIVE}WithComments": EXCLUSIVE,
    **{f"{algorithm}#WithComments": algorithm for algorithm in _INCLUSIVE},
}


def canonicalisation(method: etree._Element) -> Canonicalisation:
    """The canonicalisation that a CanonicalizationMethod or Transform element names; raises `MessageRejected`
    for any other algorithm.

    `#default` in a PrefixList is refused: lxml would silently leave it out.
    """
    stated = method.get("Algorithm", "")
    algorithm = _WITH_COMMENTS.get(stated, stated)
    children = list(method)
    if algorithm == EXCLUSIVE:
        if [child.tag for child in children] not in ([], [f"{{{EXCLUSIVE}}}InclusiveNamespaces"]):
            raise _superfluous(method)
        prefixes = tuple(dict.fromkeys(children[0].get("PrefixList", "").split())) if children else ()
        if "#default" in prefixes:
            raise MessageRejected(
                finding(Fault.SIGNATURE_ALGORITHM, detail="PrefixList #default", line=method.sourceline)
            )
        return Canonicalisation(exclusive=True, prefixes=prefixes)
    if algorithm not in _INCLUSIVE:
        raise MessageRejected(finding(Fault.SIGNATURE_ALGORITHM, detail=algorithm, line=method.sourceline))
    if children:
        raise _superfluous(method)
    return _INCLUSIVE[algorithm]


def _superfluous(method: etree._Element) -> MessageRejected:
    said_zh = "规范化方法（CanonicalizationMethod）中有多余内容"
    return _refusal("children of a canonicalisation", said_zh, method)


def _refusal(detail: str, detail_zh: str, element: etree._Element) -> MessageRejected:
    return MessageRejected(
        finding(Fault.SIGNATURE_FORM, detail=detail, detail_zh=detail_zh, line=element.sourceline)
    )
