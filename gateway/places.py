"""Where in a document a finding is, as its sender can look it up."""

from typing import Final

from lxml import etree

MOST_FINDINGS: Final = 200  # of one kind in one receipt; more help nobody and only grow it


def xml_path(element: etree._Element) -> str:
    """Names without prefixes, positions only where a name repeats: `/DecMessage/DecLists/DecList[3]/GNo`."""
    steps = []
    for each in (element, *element.iterancestors()):
        name = etree.QName(each)
        before = len(list(each.itersiblings(name, preceding=True)))
        alone = before == 0 and next(each.itersiblings(name), None) is None
        steps.append(name.localname if alone else f"{name.localname}[{before + 1}]")
    return "/" + "/".join(reversed(steps))
