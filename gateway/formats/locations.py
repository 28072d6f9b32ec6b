"""The place of a finding in a document, in a form that its sender can look up."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from lxml import etree

from gateway.model.faults import Finding, MessageRejected

MOST_FINDINGS: Final = 200  # of one kind in one receipt; more would only make it longer

# As XPath, which runs in C, since a document may have a hundred thousand siblings of one name.
_BEFORE: Final = etree.XPath("count(preceding-sibling::*[local-name() = $name])")
_AFTER: Final = etree.XPath("boolean(following-sibling::*[local-name() = $name])")


def xml_path(element: etree._Element) -> str:
    """The path of an element like `/DecMessage/DecLists/DecList[3]/GNo`: local names, and a position only
    where a name repeats."""
    steps = []
    for each in (element, *element.iterancestors()):
        name = etree.QName(each).localname
        before = _BEFORE(each, name=name)
        alone = before == 0 and not _AFTER(each, name=name)
        steps.append(name if alone else f"{name}[{before + 1:.0f}]")
    return "/" + "/".join(reversed(steps))


@contextmanager
def in_findings_of(document: str) -> Iterator[None]:
    """Adds the document's name to the findings that are raised inside the block, which have only a line and
    a path."""
    try:
        yield
    except MessageRejected as refused:
        raise MessageRejected(in_document(document, refused.findings)) from None


def in_document(document: str, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings with the document's name added to their places."""
    return tuple(replace(found, place=replace(found.place, file=document)) for found in findings)
