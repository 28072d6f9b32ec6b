"""Customs answers, and what follows from them for the declaration and its sender. Pure.

`read` extracts what the family's profile names; `decide` returns the effect on the message that the answer
belongs to. Answers come out of order and twice: thanks to `further`, neither makes a
difference.
"""

from datetime import UTC, datetime
from typing import Final

from gateway.families.families import Families
from gateway.formats import xml
from gateway.formats.reading import reading
from gateway.model.answer import AnsweredDeclaration, AnswerEffect, AnswerKind, CustomsAnswer
from gateway.model.china import CHINA
from gateway.model.faults import Fault, MessageRejected, finding
from gateway.model.message import Operation, Receipt, ReceiptKind
from gateway.model.obligation import RequestReason
from gateway.model.policy import Policy
from gateway.model.receipt_names import receipt_name
from gateway.model.states import CustomsStatus, Event, further
from gateway.rules.deadlines import deadline

_RELEASED: Final = (CustomsStatus.RELEASED, CustomsStatus.CLOSED)
_ASKS: Final = {
    CustomsStatus.SUPPLEMENT_ASKED: RequestReason.SUPPLEMENT,
    CustomsStatus.PAPER_ASKED: RequestReason.PAPER,
}


class NoAnswer(MessageRejected):
    """A message of a known type that is not an answer."""


def read(body: bytes, families: Families) -> CustomsAnswer:
    """Raises `MessageRejected` for what is not XML, is of no known family, is no answer of a known one
    (`NoAnswer`), for an answer without its code, and for one that contains several returns: no family says
    how to divide these, and they need not be about one declaration."""
    root = reading(xml.parse(body)).root
    type_ = families.recognise(root)
    if type_.answer is None:
        raise NoAnswer(finding(Fault.FAMILY_UNKNOWN, detail=type_.name))
    if several := type_.several(root):
        raise MessageRejected(finding(Fault.ANSWER_SEVERAL, detail=several))
    facts = type_.facts(root)
    kind, code = type_.answer.kind, facts.get("status", "")
    if not code and kind is not AnswerKind.FAILURE:
        raise MessageRejected(
            finding(Fault.SCHEMA_MISSING, detail=f"code of {type_.name}", detail_zh=f"{type_.name} 的代码")
        )
    seq_no = facts.get("seq_no", "")
    entry_id = facts.get("entry_id", "")
    return CustomsAnswer(
        kind=kind,
        family=type_.family,
        client_reference=facts.get("reference", ""),
        seq_no=seq_no,
        # Until the entry is stored, some channels show the unified number in its place.
        entry_id="" if entry_id == seq_no else entry_id,
        status=type_.answer.codes.status(code),
        step=type_.answer.codes.step(code),
        code=code,
        note=facts.get("text", ""),
        at=_instant(facts.get("time", "")),
    )


def _instant(text: str) -> datetime | None:
    """NOTICE_DATE has no zone and is in China time."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=CHINA)).astimezone(UTC)
    except (ValueError, OverflowError):  # the second where the year in UTC would be 0 or 10000
        return None


def decide(
    parsed: CustomsAnswer, declaration: AnsweredDeclaration, body: bytes, policy: Policy, now: datetime
) -> AnswerEffect:
    """The effect of an answer on its declaration. The answer is relayed byte for byte; `now` makes its file
    name differ from those of the declaration's other receipts.

    A temporary save is finished when it is imported: customs does nothing more with it. A declaration is
    finished by a final status.
    """
    imported = parsed.kind is AnswerKind.TECHNICAL and not parsed.refused
    saved = declaration.operation is Operation.SAVE and imported
    final = parsed.status is not None and parsed.status.final
    status = further(declaration.customs_status, parsed.status or declaration.customs_status)
    released = status in _RELEASED and declaration.customs_status not in _RELEASED
    return AnswerEffect(
        event=Event.SETTLED if saved or final else Event.ANSWERED,
        customs_status=status,
        seq_no=parsed.seq_no or declaration.seq_no,
        entry_id=parsed.entry_id or declaration.entry_id,
        receipts=(_relayed(parsed, declaration, body, now),),
        deadline=deadline(now, policy.reform.after_release_days, policy.documents.reminders)
        if released
        else None,
        asks=None if parsed.status is None else _ASKS.get(parsed.status),
    )


def _relayed(parsed: CustomsAnswer, declaration: AnsweredDeclaration, body: bytes, now: datetime) -> Receipt:
    if parsed.kind is AnswerKind.BUSINESS:
        kind, prefix = ReceiptKind.BUSINESS, "Receipt"
    else:
        kind, prefix = ReceiptKind.TECHNICAL, "Failed" if parsed.refused else "Successed"
    name = receipt_name(prefix, declaration.file_name, now)
    return Receipt(account=declaration.account, name=name, kind=kind, body=body)
