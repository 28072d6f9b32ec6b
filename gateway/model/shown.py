"""What of a sender's value is shown in a fault (CONTRACT.md, "Receipts")."""

import re
from collections.abc import Set
from typing import Final

from lxml import etree

from gateway.model.faults import printable

_LONGEST: Final = 80


def shown(element: etree._Element, private: Set[str], text: str | None = None) -> str:
    """The element's text, or this one of its attributes, fit for a receipt: of a `private` element masked,
    since receipts and reports go further than declarations do."""
    value = (element.text or "") if text is None else text
    return mask(value) if etree.QName(element).localname in private else value


_LETTER: Final = re.compile(r"\w")


def mask(value: str) -> str:
    """A value that only shows its form: its first character, its length, its blanks and its points."""
    text = printable(value, _LONGEST)
    return text[:1] + _LETTER.sub("*", text[1:]) if len(text) > 1 else _LETTER.sub("*", text)
