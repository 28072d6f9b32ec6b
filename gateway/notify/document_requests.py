"""Requests for documents, sent to the parties of a declaration when documents are due or customs asks for
some. Pure.

The format is ours: `schemas/gateway/1/document_request.xsd`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from lxml import etree

from gateway.formats.submission import NAMESPACE
from gateway.formats.xml import LANG
from gateway.model.china import china_date, day_zh
from gateway.model.faults import printable
from gateway.model.obligation import RequestReason
from gateway.model.reform import DocumentName

_LONGEST_NOTE: Final = 1000


_SAID: Final[Mapping[RequestReason, tuple[str, str]]] = {
    RequestReason.DUE: (
        "报关单 {called}已放行，请于{day_zh}24时前补交：{zh}。",
        "Declaration {reference} is released. Send these documents by the end of {day} (China): {en}.",
    ),
    RequestReason.REMINDER: (
        "提醒：报关单 {called}应于{day_zh}24时前补交的单证尚未收到：{zh}。请按期补交。",
        "Reminder: documents of declaration {reference} are due by the end of {day} (China): {en}.",
    ),
    RequestReason.OVERDUE: (
        "报关单 {called}应于{day_zh}24时前补交的单证仍未收到，已逾期：{zh}。请立即补交。",
        "Documents of declaration {reference} are overdue; they were due by the end of {day} (China): {en}.",
    ),
    RequestReason.SUPPLEMENT: (
        "海关要求就报关单 {called}补交单证或补充说明：{note}",
        "Customs asks for a supplement to declaration {reference}: {note}",
    ),
    RequestReason.PAPER: (
        "海关要求就报关单 {called}现场交单（递交纸质单证）：{note}",
        "Customs asks for the papers of declaration {reference} on site: {note}",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRequest:
    """A stored request with the current state of its declaration. `documents` and `due_at` are for documents
    that are due after release, `note` holds customs' own words where customs asks; `fence` is that of the
    claim under which it is sent."""

    id: int
    fence: int
    at: datetime
    why: RequestReason
    documents: tuple[str, ...]
    due_at: datetime | None
    note: str
    message: str
    account: str
    file_name: str
    reference: str
    seq_no: str
    entry_id: str
    facts: Mapping[str, str] = field(default_factory=dict)


def build_request(request: DocumentRequest, names: Mapping[str, DocumentName]) -> bytes:
    """The DocumentRequest as XML, unsigned. `names` maps codes of document classes to their names; a class
    without a name is called by its code."""
    root = etree.Element(f"{{{NAMESPACE}}}DocumentRequest", nsmap={None: NAMESPACE})
    _put(root, "RequestId", str(request.id))
    _put(root, "MessageId", request.message)
    _put(root, "Reference", request.reference)
    for tag, number in (("SeqNo", request.seq_no), ("EntryId", request.entry_id)):
        if number:
            _put(root, tag, number)
    _put(root, "Why", request.why)
    _put(root, "RequestedAt", request.at.astimezone(UTC).isoformat())
    if request.due_at is not None:
        _put(root, "DueAt", request.due_at.astimezone(UTC).isoformat())
    for code in request.documents:
        document = _put(root, "Document")
        document.set("code", code)
        name = names.get(code, DocumentName(zh=code, en=code))
        _put_texts(document, name.zh, name.en)
    note = printable(request.note, _LONGEST_NOTE)
    if note:
        _put(root, "Note", note)
    _put_texts(root, *_sentences(request, names, note))
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _sentences(request: DocumentRequest, names: Mapping[str, DocumentName], note: str) -> Sequence[str]:
    documents = [(code, names.get(code)) for code in request.documents]
    filled = {
        "reference": request.reference,
        "called": f"{request.entry_id}（客户端编号 {request.reference}）".lstrip(),
        "day": "-" if request.due_at is None else china_date(request.due_at).isoformat(),
        "day_zh": "-" if request.due_at is None else day_zh(china_date(request.due_at)),
        "zh": "、".join(code if name is None else f"{name.zh}（{code}）" for code, name in documents),
        "en": ", ".join(code if name is None else f"{code} {name.en}" for code, name in documents),
        "note": note or "-",
    }
    return [sentence.format(**filled) for sentence in _SAID[request.why]]


def _put(parent: etree._Element, tag: str, value: str | None = None) -> etree._Element:
    element = etree.SubElement(parent, f"{{{NAMESPACE}}}{tag}")
    element.text = value
    return element


def _put_texts(parent: etree._Element, zh: str, en: str) -> None:
    for language, text in (("zh", zh), ("en", en)):
        _put(parent, "Text", text).set(LANG, language)
