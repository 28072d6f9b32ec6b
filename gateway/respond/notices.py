"""What parties receive for an answer of customs: its own words, and notices of the gateway. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from gateway.families.notice_texts import NoticeTexts, class_of
from gateway.formats.notice_documents import Draft, Goods, agreement_use, declaration_notice
from gateway.model.addressee import Addressee
from gateway.model.agreements import Act
from gateway.model.answer import AnsweredDeclaration, AnswerEffect, CustomsAnswer
from gateway.model.message import Receipt
from gateway.model.receipt_names import receipt_name
from gateway.model.register import Parties
from gateway.rules.recipients import recipients_of_answer

_PLAIN: Final = re.compile(r"[0-9A-Za-z-]{1,32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notified:
    """What the parties receive for one answer: receipts in customs' own words, and notices to be signed."""

    receipts: tuple[Receipt, ...]
    drafts: tuple[Draft, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """One answer with everything that its notices are written from."""

    parsed: CustomsAnswer
    declaration: AnsweredDeclaration
    effect: AnswerEffect
    texts: NoticeTexts
    now: datetime


def notified(
    parsed: CustomsAnswer,
    declaration: AnsweredDeclaration,
    effect: AnswerEffect,
    parties: Parties,
    texts: NoticeTexts | None,
    now: datetime,
) -> Notified:
    """Everything that parties receive for an answer with this `effect` on this `declaration`.
    `effect.receipts` hold customs' own words for the sender. With `texts` None only the sender receives
    something: those receipts."""
    if texts is None:
        return Notified(receipts=effect.receipts, drafts=())
    case = _Case(parsed=parsed, declaration=declaration, effect=effect, texts=texts, now=now)
    to = recipients_of_answer(parsed, declaration, effect.customs_status, parties, now)
    return Notified(
        receipts=tuple(replace(own, account=name) for name in to.relayed for own in effect.receipts),
        drafts=(
            *(_notice(case, each) for each in to.answer),
            *(_release(case, each) for each in to.release),
            *_freed(case, to.freed),
        ),
    )


def _notice(case: _Case, to: Addressee) -> Draft:
    parsed, declaration, effect = case.parsed, case.declaration, case.effect
    class_ = class_of(parsed.status)
    numbers = {"reference": declaration.reference, "seq_no": effect.seq_no, "entry_id": effect.entry_id}
    return declaration_notice(
        to,
        name=receipt_name("Notice", declaration.file_name, case.now),
        message=declaration.message,
        office=declaration.facts.get("office", ""),
        class_=class_,
        code=parsed.code,
        at=parsed.at,
        note=parsed.note,
        texts=case.texts.of_answer(class_, code=parsed.code, note=parsed.note, **numbers),
        goods=None,
        created_at=case.now,
        **numbers,
    )


def _release(case: _Case, to: Addressee) -> Draft:
    """The notice to premises: what they need to let the goods go, and nothing else of the declaration."""
    facts, entry_id = case.declaration.facts, case.effect.entry_id
    containers = tuple(facts.get("containers", "").split())
    values = {name: facts.get(name, "") for name in ("bill_no", "packages", "gross_weight")}
    base = entry_id if _PLAIN.fullmatch(entry_id) else case.declaration.message
    return declaration_notice(
        to,
        name=receipt_name("Notice", base, case.now),
        message=case.declaration.message,
        reference="",
        seq_no="",
        entry_id=entry_id,
        office=facts.get("office", ""),
        class_=class_of(case.parsed.status),
        code=case.parsed.code,
        at=case.parsed.at,
        note="",
        texts=case.texts.of_release(
            direction=facts.get("direction", ""), entry_id=entry_id, containers=" ".join(containers), **values
        ),
        goods=Goods(containers=containers, **values),
        created_at=case.now,
    )


def _freed(case: _Case, to: tuple[Addressee, ...]) -> Iterator[Draft]:
    declaration = case.declaration
    if declaration.uses is not None:
        for each in to:
            yield agreement_use(
                each,
                used=declaration.uses,
                act=Act.FREED,
                message=declaration.message,
                reference=declaration.reference,
                entry_id=case.effect.entry_id,
                at=case.now,
            )
