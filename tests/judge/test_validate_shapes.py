"""Children of a block come in any order, and an empty element is an absent one: in every block."""

from importlib import resources
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway.formats import xml
from tests.judge.rule_cases import FILES, Operation, everything
from tests.support.rendering import NAMESPACE
from tests.support.validating import findings, put, written

SCHEMA = "{http://www.w3.org/2001/XMLSchema}"


def fields() -> dict[str, list[str]]:
    """The fields of every block as the schema has them: those whose type is no block itself."""
    schema = xml.trusted((resources.files("schemas") / "cn-dec/1/DecMessage.xsd").read_bytes())
    blocks = {element.get("name", ""): element for element in schema.iterfind(f"{SCHEMA}complexType")}
    return {
        name: [
            field.get("name", "")
            for field in block.iter(f"{SCHEMA}element")
            if field.get("type") not in blocks
        ]
        for name, block in blocks.items()
    }


FIELDS = {name: names for name, names in fields().items() if names}


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=True))
def test_the_children_of_every_block_may_come_in_any_order(random: Random) -> None:
    root = everything()
    for block in list(root.iter()):
        children = list(block)
        if etree.QName(block).localname != "DecLists":  # the order of lines is their number
            random.shuffle(children)
            block[:] = children

    assert findings(written(root), *FILES) == ()


@pytest.mark.parametrize("operation", ["C", "D", "G"])
@pytest.mark.parametrize("block", FIELDS)
def test_every_field_of_a_block_may_be_an_empty_element(block: str, operation: Operation) -> None:
    root = everything(operation)
    element = list(root.iter(f"{{{NAMESPACE}}}{block}"))
    assert element
    for child in element:
        for name in FIELDS[block]:
            if child.find(f"{{{NAMESPACE}}}{name}") is None:
                put(child, name)

    assert findings(written(root), *FILES) == ()


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(sorted(FIELDS)), st.data())
def test_a_field_that_stands_twice_is_refused_wherever_it_stands(block: str, data: st.DataObject) -> None:
    root = everything()
    parent = next(root.iter(f"{{{NAMESPACE}}}{block}"))
    name = data.draw(st.sampled_from(FIELDS[block]))
    put(parent, name)
    place = data.draw(st.integers(0, len(parent)))
    parent.insert(place, parent.makeelement(f"{{{NAMESPACE}}}{name}"))

    faults = findings(written(root), *FILES)

    assert "schema-element" in {finding.code for finding in faults}
