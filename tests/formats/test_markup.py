"""XML that is written as text reads as what was put in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gateway.formats.markup import document, element, escaped, text

_XML = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=[*map(chr, range(32)), "\ufffe", "\uffff"])
    | st.sampled_from("&<>\"'\t\n\r")
)


@given(value=_XML, other=_XML)
def test_values_are_read_as_they_were_written(value: str, other: str) -> None:
    root = document("a", "urn:a", [element("b", {"c": value}, escaped(other)), text("d", value)])
    first, second = root
    assert (first.get("c"), first.text or "", second.text or "") == (value, other, value)
    assert {each.tag for each in root.iter()} == {"{urn:a}a", "{urn:a}b", "{urn:a}d"}


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\ufffe"])
def test_a_character_that_xml_cannot_carry_is_refused(character: str) -> None:
    with pytest.raises(etree.XMLSyntaxError):
        document("a", "urn:a", [text("b", f"1{character}2")])
