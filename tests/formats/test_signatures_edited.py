"""Whatever is done to a signed document: it is refused, or its content is canonically what was signed."""

from functools import cache
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway.formats import xml
from gateway.model.faults import MessageRejected
from tests.support.keys import identity
from tests.support.xml_signatures import C14N, ENVELOPED, Habit, verified, xades

SIGNER = identity("rsa-2048")
DOCUMENT = (
    '<m xmlns="urn:m" xmlns:e="urn:e" version="3.1"><head Id="H"><name a="1" b="2">上海 &amp;</name></head>'
    "<list><e:line>1</e:line><e:line>2</e:line></list>{signature}\n<end/></m>"
)
UNSIGNED = DOCUMENT.replace("{signature}", "").encode()
HABITS: Final = {
    "inclusive": Habit(),
    "exclusive, unprefixed": Habit(c14n="exclusive", reference="exclusive", prefix=""),
    "XAdES": xades(),
}
FRAGMENTS: Final = [
    *(fragment.encode() for fragment in (C14N["1.1"], C14N["exclusive"], ENVELOPED, "#H", "#P", "#K", "")),
    *(
        b"<x/>",
        b"<!--",
        b"-->",
        b"<![CDATA[",
        b"]]>",
        b"&#10;",
        b"&amp;",
        b' Id="P"',
        b' xmlns=""',
        b" ",
        b"\n",
    ),
    *(b"<ds:Object>", b"</ds:Object>", b"<ds:Transform/>", b"<?x?>", b'URI="#H"', b"</m>", b'"', b"<", b">"),
]


@cache
def signed(name: str) -> bytes:
    return HABITS[name].sign(DOCUMENT, SIGNER)


def canonical(root: etree._Element, exclusive: bool) -> bytes:
    return etree.tostring(root.getroottree(), method="c14n", exclusive=exclusive)


def check(changed: bytes, *, exclusive: bool) -> None:
    try:
        root = verified(changed, SIGNER.registered).root
    except MessageRejected:
        return
    assert canonical(root, exclusive) == canonical(xml.parse(UNSIGNED), exclusive)


@st.composite
def splices(draw: st.DrawFn, data: bytes) -> bytes:
    """`data` with up to three places cut, filled with a fragment, with bytes, or with another piece of it."""
    for _ in range(draw(st.integers(1, 3))):
        begin = draw(st.integers(0, len(data)))
        end = min(len(data), begin + draw(st.integers(0, 40)))
        at = draw(st.integers(0, len(data)))
        another = data[at : at + draw(st.integers(0, 400))]
        piece = draw(st.one_of(st.sampled_from(FRAGMENTS), st.binary(max_size=3), st.just(another)))
        data = data[:begin] + piece + data[end:]
    return data


@st.composite
def rearrangements(draw: st.DrawFn, data: bytes) -> bytes:
    """`data` with up to three elements copied, moved, removed, renamed or given another's attributes."""
    root = xml.parse(data)
    for _ in range(draw(st.integers(1, 3))):
        elements = list(root.iter())
        one, other = (elements[draw(st.integers(0, len(elements) - 1))] for _ in range(2))
        act = draw(st.sampled_from(["copy", "move", "remove", "rename", "attributes", "text", "wrap"]))
        parent = one.getparent()
        if act == "rename":
            one.tag = other.tag
        elif act == "attributes":
            one.attrib.update(other.attrib)
        elif act == "text":
            one.text = other.text
        elif act == "wrap":
            root, inner = etree.Element(root.tag, nsmap=root.nsmap), root
            root.append(inner)
        elif parent is None or one in other.iterancestors() or one is other:
            continue
        elif act == "copy":
            other.append(xml.trusted(etree.tostring(one, with_tail=False)))
        elif act == "move":
            other.append(one)
        else:
            parent.remove(one)
    return etree.tostring(root)


@pytest.mark.parametrize("name", HABITS)
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_edited_bytes_are_refused_or_canonically_equal(name: str, data: st.DataObject) -> None:
    check(data.draw(splices(signed(name))), exclusive=name.startswith("exclusive"))


@pytest.mark.parametrize("name", HABITS)
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_rearranged_elements_are_refused_or_canonically_equal(name: str, data: st.DataObject) -> None:
    check(data.draw(rearrangements(signed(name))), exclusive=name.startswith("exclusive"))
