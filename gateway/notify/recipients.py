"""Who is told of a declaration besides its sender, of what, and in which form (REFORM R11). Pure.

A trader hears what customs says of its declarations, premises of a release, the association of the use of its
agreements. Only parties with an account are told anything, and nobody of a temporary save but its sender.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.families.customs_codes import AnswerKind
from gateway.families.notice_texts import NoticeTexts, class_of
from gateway.model.agreements import Act, Used
from gateway.model.china import china_date
from gateway.model.message import Operation, Receipt
from gateway.model.parties import Party, ReceiptForm, Role, district_of
from gateway.model.ports import Register
from gateway.model.receipt_names import receipt_name
from gateway.model.states import CustomsStatus
from gateway.notify.notice_documents import (
    Addressee,
    Concern,
    Draft,
    Goods,
    agreement_use,
    declaration_notice,
)
from gateway.respond.answer import Answered, Target, Told

_PLAIN: Final = re.compile(r"[0-9A-Za-z-]{1,32}")
_NO_RELEASE_ANY_MORE: Final = (CustomsStatus.DELETED, CustomsStatus.REFUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What parties get of one answer: customs' own words, and notices that are still to be signed."""

    receipts: tuple[Receipt, ...]
    drafts: tuple[Draft, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """One answer and all that it is told by."""

    told: Told
    target: Target
    answered: Answered
    texts: NoticeTexts
    now: datetime


def given(
    told: Told,
    target: Target,
    answered: Answered,
    register: Register,
    texts: NoticeTexts | None,
    now: datetime,
) -> Given:
    """What everyone gets of an answer that makes `answered` of `target`; its receipts are what the sender may
    have of customs' own words. `texts` is None for an answer that concerns the sender alone.

    The sender gets customs' words, or the notice instead where its account takes no other form and there is
    one. A trader gets each in the form that its account takes. What is for premises and for the association
    has one form only.
    """
    sender = register.party_of(target.account)
    forms = tuple(ReceiptForm) if sender is None or sender.account is None else sender.account.receipts
    receipts = answered.receipts if ReceiptForm.SINGLE_WINDOW in forms else ()
    if texts is None:
        return Given(receipts=answered.receipts, drafts=())
    case = _Case(told=told, target=target, answered=answered, texts=texts, now=now)
    drafts: list[Draft] = []
    signed = sender is not None and ReceiptForm.GATEWAY in forms
    if sender is not None and signed and not receipts:
        drafts.extend(_notice(case, to) for to in _addressed(sender, Concern.SENDER))
    if target.operation is not Operation.SAVE:
        relayed, others = _to_trader(case, register)
        receipts += relayed
        drafts += others
        drafts += _to_premises(case, register)
        if target.uses is not None and answered.customs_status is CustomsStatus.REFUSED:
            freed = (target.uses, target.message, target.reference, answered.entry_id)
            drafts += told_of_freeing(*freed, register, sender, now)
    return Given(receipts=receipts, drafts=tuple(drafts))


def told_of_use(used: Used, message: str, reference: str, register: Register, now: datetime) -> list[Draft]:
    """The notices to the association that a declaration was accepted under its agreement."""
    return [
        _use(to, used, message, reference, "", Act.USED, now)
        for party in register.in_role(Role.ASSOCIATION)
        for to in _addressed(party, Concern.ASSOCIATION)
    ]


def told_of_freeing(
    used: Used,
    message: str,
    reference: str,
    entry_id: str,
    register: Register,
    sender: Party | None,
    now: datetime,
) -> Iterator[Draft]:
    """The notices that an agreement came free, since the declaration that had used it up was refused: to the
    association, and to the sender where its account takes the gateway's own words."""
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
    """What the trader gets of another's declaration for it: each step at customs, and that customs' import
    refused it. That it was imported is for the software that sent it."""
    told, target = case.told, case.target
    named = target.facts.get("trader_code") or target.facts.get("trader_scc", "")
    trader = register.party_called(named)
    if trader is None or trader.account is None or trader.account.name == target.account:
        return (), []
    if told.kind is not AnswerKind.BUSINESS and not told.refused:
        return (), []
    account = trader.account
    relayed = tuple(
        Receipt(account=account.name, name=own.name, kind=own.kind, body=own.body)
        for own in case.answered.receipts
        if ReceiptForm.SINGLE_WINDOW in account.receipts
    )
    signed = ReceiptForm.GATEWAY in account.receipts
    return relayed, [_notice(case, to) for to in _addressed(trader, Concern.TRADER)] if signed else []


def _to_premises(case: _Case, register: Register) -> list[Draft]:
    """Of a release, once: to every premises that are in the paperless pilot of the declaration's district and
    where the goods may be. None where the entry was deleted or refused by an answer that came before."""
    facts, target = case.target.facts, case.target
    office = facts.get("office", "")
    if case.told.status is not CustomsStatus.RELEASED or target.customs_status in _NO_RELEASE_ANY_MORE:
        return []
    places = {facts.get("goods_place"), facts.get("yard")}
    return [
        _release(case, to)
        for party in register.in_role(Role.PREMISES)
        if party.has_contract(district_of(office), china_date(case.now))
        if not party.places or places.intersection(party.places)
        for to in _addressed(party, Concern.PREMISES)
        if to.account.name not in target.released_to
    ]


def _notice(case: _Case, to: Addressee) -> Draft:
    told, target, answered = case.told, case.target, case.answered
    class_ = class_of(told.status)
    numbers = {"reference": target.reference, "seq_no": answered.seq_no, "entry_id": answered.entry_id}
    root = declaration_notice(
        to,
        message=target.message,
        office=target.facts.get("office", ""),
        class_=class_,
        code=told.code,
        at=told.at,
        note=told.note,
        texts=case.texts.of_answer(class_, code=told.code, note=told.note, **numbers),
        goods=None,
        created_at=case.now,
        **numbers,
    )
    name = receipt_name("Notice", target.file_name, case.now)
    return Draft(account=to.account.name, name=name, says=class_, root=root)


def _release(case: _Case, to: Addressee) -> Draft:
    """What premises need to let the goods go, and nothing else of the declaration."""
    facts, entry_id = case.target.facts, case.answered.entry_id
    containers = tuple(facts.get("containers", "").split())
    known = {name: facts.get(name, "") for name in ("bill_no", "packages", "gross_weight")}
    root = declaration_notice(
        to,
        message=case.target.message,
        reference="",
        seq_no="",
        entry_id=entry_id,
        office=facts.get("office", ""),
        class_=class_of(case.told.status),
        code=case.told.code,
        at=case.told.at,
        note="",
        texts=case.texts.of_release(
            direction=facts.get("direction", ""), entry_id=entry_id, containers=" ".join(containers), **known
        ),
        goods=Goods(containers=containers, **known),
        created_at=case.now,
    )
    base = entry_id if _PLAIN.fullmatch(entry_id) else case.target.message
    name = receipt_name("Notice", base, case.now)
    return Draft(account=to.account.name, name=name, says=CustomsStatus.RELEASED, root=root)


def _use(
    to: Addressee, used: Used, message: str, reference: str, entry_id: str, act: Act, now: datetime
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
    # By the message too: many declarations are made under one mandate, some at the same moment.
    name = receipt_name("Notice", f"{used.number}_{message}", now)
    return Draft(account=to.account.name, name=name, says=act, root=root)
