"""Where in a document a finding is, as its sender can look it up."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from lxml import etree

from gateway.model.faults import Finding, MessageRejected

MOST_FINDINGS: Final = 200  # of one kind in one receipt; more help nobody and only grow it

# In C, since a document may have a hundred thousand siblings of one name.
_BEFORE: Final = etree.XPath("count(preceding-sibling::*[local-name() = $name])")
_AFTER: Final = etree.XPath("boolean(following-sibling::*[local-name() = $name])")


def xml_path(element: etree._Element) -> str:
    """Names without prefixes, positions only where a name repeats: `/DecMessage/DecLists/DecList[3]/GNo`."""
    steps = []
    for each in (element, *element.iterancestors()):
        name = etree.QName(each).localname
        before = _BEFORE(each, name=name)
        alone = before == 0 and not _AFTER(each, name=name)
        steps.append(name if alone else f"{name}[{before + 1:.0f}]")
    return "/" + "/".join(reversed(steps))


@contextmanager
def told_of(document: str) -> Iterator[None]:
    """Adds the document's name to what is found inside, which knows lines and elements only."""
    try:
        yield
    except MessageRejected as refused:
        raise MessageRejected(in_document(document, refused.findings)) from None


def in_document(document: str, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings with the document's name to their places."""
    return tuple(replace(found, place=replace(found.place, file=document)) for found in findings)
