"""The outer element that some senders put around a message (docs/formats.md, `[wrapper]`).

The wrapped message is judged as if it had come alone; findings give the places in the file that was sent.
"""

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Final

from lxml import etree

from gateway.formats.locations import xml_path
from gateway.formats.reading import stripped
from gateway.formats.signature_form import SIGNATURE
from gateway.model.faults import Fault, Finding, MessageRejected, finding
from gateway.model.shown import shown

_UNCOMPRESSED: Final = ("", "0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapper:
    """The element names of one family's wrapper: `root` contains `content`, which contains the message, and
    optionally a `head`, in which `compressed` says whether the content is compressed."""

    family: str
    root: str
    head: str
    compressed: str
    content: str

    def wrapped(self, root: etree._Element) -> etree._Element:
        """A copy of the only message in a wrapper, as the root of its own tree.

        Raises `MessageRejected` where the wrapper says that it is compressed, or holds anything besides one
        message, so that no other reader can find something in it that was not judged.
        """
        for head in root.findall(self.head):
            self._refuse_compressed(head)
        self._refuse_others(root)
        content = root.find(self.content)
        if content is None:
            raise _refusal(f"no {self.content}", f"缺少 {self.content}", root)
        if _has_text(root) or _has_text(content):
            raise _refusal("text beside it", "其外另有文字", content)
        if len(content) != 1:
            raise _refusal(f"{len(content)} messages", f"其中有 {len(content)} 份", content)
        (message,) = content
        if message.tag == self.root:
            raise _refusal("a wrapper in a wrapper", "其中又有外层", message)
        return deepcopy(message)

    def placed(self, finding: Finding) -> Finding:
        """A finding in the message with its path changed to the one in the whole file."""
        within = finding.place.xpath
        if within is None:
            return finding
        return replace(finding, place=replace(finding.place, xpath=f"/{self.root}/{self.content}{within}"))

    def of_others(self, name: str, message: etree._Element) -> Finding:
        """The fault of a wrapped message of another family, whose messages are sent without a wrapper."""
        return self.placed(
            finding(
                Fault.WRAPPER_CONTENT,
                detail=f"{name} is sent without a wrapper",
                detail_zh=f"{name} 须不带外层发送",
                line=message.sourceline,
                xpath=xml_path(message),
            )
        )

    def _refuse_compressed(self, head: etree._Element) -> None:
        for stated in head.iter(f"{{*}}{self.compressed}"):
            if stripped("".join(map(str, stated.itertext()))) not in _UNCOMPRESSED:
                value = shown(stated, frozenset())
                raise MessageRejected(_about(Fault.WRAPPER_COMPRESSED, stated, value=value))

    def _refuse_others(self, root: etree._Element) -> None:
        """Refuses unknown and repeated elements in the wrapper, and elements inside a field of its head."""
        seen = set()
        for child in root:
            name = etree.QName(child).localname
            if child.tag not in (self.head, self.content, SIGNATURE):
                raise _refusal(f"{name} in {self.root}", f"{self.root} 中不应有 {name}", child)
            if child.tag in seen:
                raise _refusal(f"{name} more than once", f"{name} 只能有一个", child)
            seen.add(child.tag)
        for inner in root.iterfind(f"{self.head}/*/*"):
            name = etree.QName(inner).localname
            raise _refusal(f"{name} in {self.head}", f"{self.head} 中不应有 {name}", inner)


def _has_text(parent: etree._Element) -> bool:
    return any(stripped(text) for text in (parent.text, *(child.tail for child in parent)))


def _refusal(en: str, zh: str, element: etree._Element) -> MessageRejected:
    return MessageRejected(_about(Fault.WRAPPER_CONTENT, element, en, zh))


def _about(
    fault: Fault, element: etree._Element, en: str = "", zh: str = "", value: str | None = None
) -> Finding:
    return finding(
        fault, detail=en, detail_zh=zh, line=element.sourceline, xpath=xml_path(element), value=value
    )
