"""XML of our own, written as text and parsed at the end: made element by element it takes longer."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from lxml import etree

from gateway.formats import xml

_SPECIAL: Final = re.compile('[&<>"\t\n\r]')
# White space too: a parser makes blanks of it in attributes, and one line end of two characters.
_ESCAPES: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)
_NOTHING: Final[Mapping[str, str]] = {}


def document(tag: str, namespace: str, content: Iterable[str]) -> etree._Element:
    """The document with this root element; all its elements are of the namespace. Raises `XMLSyntaxError`
    where a value holds a character that XML cannot carry."""
    return xml.trusted(f'<{tag} xmlns="{namespace}">{"".join(content)}</{tag}>'.encode())


def element(tag: str, attributes: Mapping[str, str] = _NOTHING, content: str = "") -> str:
    """An element with these attributes; `content` is markup."""
    written = tag
    for name, value in attributes.items():
        written += f' {name}="{escaped(value)}"'
    return f"<{written}>{content}</{tag}>"


def text(tag: str, value: str) -> str:
    """An element that holds only this text."""
    return f"<{tag}>{escaped(value)}</{tag}>"


def escaped(value: str) -> str:
    return value.translate(_ESCAPES) if _SPECIAL.search(value) else value
