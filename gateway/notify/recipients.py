"""Who is notified of an answer about a declaration, and in which form (docs/reform.md, R11). Pure.

A trader is notified of customs' answers to its declarations, premises of a release, the association of the
use of its agreements. Only parties with an account are notified, and only the sender of a temporary save.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.families.notice_texts import NoticeTexts, class_of
from gateway.model.agreements import Act, AgreementUse
from gateway.model.answer import AnsweredDeclaration, AnswerEffect, AnswerKind, CustomsAnswer
from gateway.model.china import china_date
from gateway.model.message import Operation, Receipt
from gateway.model.parties import Party, ReceiptForm, Role, district_of
from gateway.model.receipt_names import receipt_name
from gateway.model.register import Register
from gateway.model.states import CustomsStatus
from gateway.notify.notice_documents import (
    Addressee,
    Concern,
    Draft,
    Goods,
    agreement_use,
    declaration_notice,
)

_PLAIN: Final = re.compile(r"[0-9A-Za-z-]{1,32}")
_NO_RELEASE_ANY_MORE: Final = (CustomsStatus.DELETED, CustomsStatus.REFUSED)


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


def receipts_for(
    parsed: CustomsAnswer,
    declaration: AnsweredDeclaration,
    effect: AnswerEffect,
    register: Register,
    texts: NoticeTexts | None,
    now: datetime,
) -> Notified:
    """Everything that parties receive for an answer with this `effect` on this `declaration`.
    `effect.receipts` hold customs' own words for the sender. With `texts` None only the sender receives
    something: those receipts.

    The sender gets customs' own words if its account takes them and there are any, else the gateway's notice
    if its account takes that. A trader gets each form that its account takes. Premises and the association
    always get the gateway's notice.
    """
    sender = register.party_of(declaration.account)
    forms = tuple(ReceiptForm) if sender is None or sender.account is None else sender.account.receipts
    receipts = effect.receipts if ReceiptForm.SINGLE_WINDOW in forms else ()
    if texts is None:
        return Notified(receipts=effect.receipts, drafts=())
    case = _Case(parsed=parsed, declaration=declaration, effect=effect, texts=texts, now=now)
    drafts: list[Draft] = []
    signed = sender is not None and ReceiptForm.GATEWAY in forms
    if sender is not None and signed and not receipts:
        drafts.extend(_notice(case, to) for to in _addressed(sender, Concern.SENDER))
    if declaration.operation is not Operation.SAVE:
        relayed, others = _to_trader(case, register)
        receipts += relayed
        drafts += others
        drafts += _to_premises(case, register)
        if declaration.uses is not None and effect.customs_status is CustomsStatus.REFUSED:
            freed = (declaration.uses, declaration.message, declaration.reference, effect.entry_id)
            drafts += notices_of_release(*freed, register, sender, now)
    return Notified(receipts=receipts, drafts=tuple(drafts))


def notices_of_use(
    used: AgreementUse, message: str, reference: str, register: Register, now: datetime
) -> list[Draft]:
    """Notices to the association that a declaration was accepted under an agreement."""
    return [
        _use(to, used, message, reference, "", Act.USED, now)
        for party in register.in_role(Role.ASSOCIATION)
        for to in _addressed(party, Concern.ASSOCIATION)
    ]


def notices_of_release(
    used: AgreementUse,
    message: str,
    reference: str,
    entry_id: str,
    register: Register,
    sender: Party | None,
    now: datetime,
) -> Iterator[Draft]:
    """Notices that an agreement is released, since customs refused the declaration that had used it: to the
    association, and to the sender where its account takes the gateway's own notices."""
    parties = [(each, Concern.ASSOCIATION) for each in register.in_role(Role.ASSOCIATION)]
    if sender is not None and sender.account is not None and ReceiptForm.GATEWAY in sender.account.receipts:
        parties.append((sender, Concern.SENDER))
    for party, concern in parties:
        for to in _addressed(party, concern):
            yield _use(to, used, message, reference, entry_id, Act.FREED, now)


def _addressed(party: Party, concern: Concern) -> Iterator[Addressee]:
    if party.account is not None:
        yield Addressee(party=party, account=party.account, concern=concern)


def _to_trader(case: _Case, register: Register) -> tuple[tuple[Receipt, ...], list[Draft]]:
    """What the trader receives about a declaration that another party sent for it: each step at customs, and
    a refusal by the import service. A successful import only matters to the software that sent it."""
    parsed, declaration = case.parsed, case.declaration
    named = declaration.facts.get("trader_code") or declaration.facts.get("trader_scc", "")
    trader = register.party_called(named)
    if trader is None or trader.account is None or trader.account.name == declaration.account:
        return (), []
    if parsed.kind is not AnswerKind.BUSINESS and not parsed.refused:
        return (), []
    account = trader.account
    relayed = tuple(
        Receipt(account=account.name, name=own.name, kind=own.kind, body=own.body)
        for own in case.effect.receipts
        if ReceiptForm.SINGLE_WINDOW in account.receipts
    )
    signed = ReceiptForm.GATEWAY in account.receipts
    return relayed, [_notice(case, to) for to in _addressed(trader, Concern.TRADER)] if signed else []


def _to_premises(case: _Case, register: Register) -> list[Draft]:
    """Notices of a release to all premises where the goods may be and which have a contract for the paperless
    pilot with the declaration's district; each is notified once. None where an earlier answer deleted or
    refused the entry."""
    facts, declaration = case.declaration.facts, case.declaration
    office = facts.get("office", "")
    if case.parsed.status is not CustomsStatus.RELEASED or declaration.customs_status in _NO_RELEASE_ANY_MORE:
        return []
    places = {facts.get("goods_place"), facts.get("yard")}
    return [
        _release(case, to)
        for party in register.in_role(Role.PREMISES)
        if party.has_contract(district_of(office), china_date(case.now))
        if not party.places or places.intersection(party.places)
        for to in _addressed(party, Concern.PREMISES)
        if to.account.name not in declaration.released_to
    ]


def _notice(case: _Case, to: Addressee) -> Draft:
    parsed, declaration, effect = case.parsed, case.declaration, case.effect
    class_ = class_of(parsed.status)
    numbers = {"reference": declaration.reference, "seq_no": effect.seq_no, "entry_id": effect.entry_id}
    root = declaration_notice(
        to,
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
    name = receipt_name("Notice", declaration.file_name, case.now)
    return Draft(account=to.account.name, name=name, says=class_, root=root)


def _release(case: _Case, to: Addressee) -> Draft:
    """The notice to premises: what they need to let the goods go, and nothing else of the declaration."""
    facts, entry_id = case.declaration.facts, case.effect.entry_id
    containers = tuple(facts.get("containers", "").split())
    known = {name: facts.get(name, "") for name in ("bill_no", "packages", "gross_weight")}
    root = declaration_notice(
        to,
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
            direction=facts.get("direction", ""), entry_id=entry_id, containers=" ".join(containers), **known
        ),
        goods=Goods(containers=containers, **known),
        created_at=case.now,
    )
    base = entry_id if _PLAIN.fullmatch(entry_id) else case.declaration.message
    name = receipt_name("Notice", base, case.now)
    return Draft(account=to.account.name, name=name, says=CustomsStatus.RELEASED, root=root)


def _use(
    to: Addressee, used: AgreementUse, message: str, reference: str, entry_id: str, act: Act, now: datetime
) -> Draft:
    root = agreement_use(
        to,
        message=message,
        number=used.number,
        kind=used.kind,
        act=act,
        reference=reference,
        entry_id=entry_id,
        at=now,
    )
    # With the message in the name, since many declarations use one mandate, some at the same moment.
    name = receipt_name("Notice", f"{used.number}_{message}", now)
    return Draft(account=to.account.name, name=name, says=act, root=root)
