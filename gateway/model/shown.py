"""How much of a sender's value a fault shows (docs/threat-model.md, "Disclosure")."""

import re
from collections.abc import Set
from typing import Final

from lxml import etree

from gateway.model.faults import printable

_LONGEST: Final = 80


def shown(element: etree._Element, private: Set[str], text: str | None = None) -> str:
    """The element's text, or `text` of one of its attributes, made fit for a receipt. The text of a `private`
    element is masked, since more people see receipts and reports than declarations."""
    value = (element.text or "") if text is None else text
    return mask(value) if etree.QName(element).localname in private else value


_LETTER: Final = re.compile(r"\w")


def mask(value: str) -> str:
    """The masked value: it only shows the first character, the length, the blanks and the points."""
    text = printable(value, _LONGEST)
    return text[:1] + _LETTER.sub("*", text[1:]) if len(text) > 1 else _LETTER.sub("*", text)
