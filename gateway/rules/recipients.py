"""Who is notified of an answer about a declaration, and in which form (docs/reform.md, R11).

A trader is notified of customs' answers to its declarations, premises of a release, the association of the
use of its agreements. Only parties with an account are notified, and only the sender of a temporary save.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.model.addressee import Addressee, Concern
from gateway.model.answer import AnsweredDeclaration, AnswerKind, CustomsAnswer
from gateway.model.china import china_date
from gateway.model.message import Operation
from gateway.model.parties import Party, ReceiptForm, Role, district_of
from gateway.model.register import Parties
from gateway.model.states import CustomsStatus

_NO_RELEASE_ANY_MORE: Final = (CustomsStatus.DELETED, CustomsStatus.REFUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipients:
    """Who is notified of one answer. `relayed` are the accounts that get customs' own words; each other field
    has those that get a notice of the gateway: of the answer, of the release, of the agreement that may be
    used again."""

    relayed: tuple[str, ...]
    answer: tuple[Addressee, ...]
    release: tuple[Addressee, ...] = ()
    freed: tuple[Addressee, ...] = ()


def recipients_of_answer(
    parsed: CustomsAnswer,
    declaration: AnsweredDeclaration,
    status: CustomsStatus,
    parties: Parties,
    now: datetime,
) -> Recipients:
    """Everybody that is notified of an answer which leaves this `declaration` with this `status`.

    The sender gets customs' own words if its account takes them, else the gateway's notice if its account
    takes that. A trader gets each form that its account takes. Premises and the association always get the
    gateway's notice.
    """
    sender = parties.party_of(declaration.account)
    relayed, answer = list[str](), list[Addressee]()
    if _takes(sender, ReceiptForm.SINGLE_WINDOW):
        relayed.append(declaration.account)
    elif sender is not None and _takes(sender, ReceiptForm.GATEWAY):
        answer += _addressed(sender, Concern.SENDER)
    if declaration.operation is Operation.SAVE:
        return Recipients(relayed=tuple(relayed), answer=tuple(answer))
    trader = _trader(parsed, declaration, parties)
    if trader is not None:
        if _takes(trader.party, ReceiptForm.SINGLE_WINDOW):
            relayed.append(trader.account.name)
        if _takes(trader.party, ReceiptForm.GATEWAY):
            answer.append(trader)
    freed = declaration.uses is not None and status is CustomsStatus.REFUSED
    return Recipients(
        relayed=tuple(relayed),
        answer=tuple(answer),
        release=tuple(_premises(parsed, declaration, parties, now)),
        freed=recipients_of_freed(parties, sender) if freed else (),
    )


def recipients_of_use(parties: Parties) -> tuple[Addressee, ...]:
    """Who is notified that a declaration was accepted under an agreement: the association."""
    return tuple(
        to for each in parties.in_role(Role.ASSOCIATION) for to in _addressed(each, Concern.ASSOCIATION)
    )


def recipients_of_freed(parties: Parties, sender: Party | None) -> tuple[Addressee, ...]:
    """Who is notified that an agreement may be used again, since the declaration that had used it was
    refused: the association, and the sender where its account takes the gateway's own notices."""
    association = recipients_of_use(parties)
    if sender is None or not _takes(sender, ReceiptForm.GATEWAY):
        return association
    return (*association, *_addressed(sender, Concern.SENDER))


def _takes(party: Party | None, form: ReceiptForm) -> bool:
    """An account that is not known any more takes every form."""
    return party is None or party.account is None or form in party.account.receipts


def _addressed(party: Party, concern: Concern) -> Iterator[Addressee]:
    if party.account is not None:
        yield Addressee(party=party, account=party.account, concern=concern)


def _trader(parsed: CustomsAnswer, declaration: AnsweredDeclaration, parties: Parties) -> Addressee | None:
    """The trader of a declaration that another party sent for it, if it is notified: of each step at customs,
    and of a refusal by the import service. A successful import only matters to the software that sent it."""
    named = declaration.facts.get("trader_code") or declaration.facts.get("trader_scc", "")
    trader = parties.party_called(named)
    if trader is None or trader.account is None or trader.account.name == declaration.account:
        return None
    if parsed.kind is not AnswerKind.BUSINESS and not parsed.refused:
        return None
    return Addressee(party=trader, account=trader.account, concern=Concern.TRADER)


def _premises(
    parsed: CustomsAnswer, declaration: AnsweredDeclaration, parties: Parties, now: datetime
) -> Iterator[Addressee]:
    """All premises where the goods of a release may be and which have a contract for the paperless pilot with
    the declaration's district; each is notified once. None where an earlier answer deleted or refused the
    entry."""
    facts = declaration.facts
    if parsed.status is not CustomsStatus.RELEASED or declaration.customs_status in _NO_RELEASE_ANY_MORE:
        return
    district = district_of(facts.get("office", ""))
    places = {facts.get("goods_place"), facts.get("yard")}
    for party in parties.in_role(Role.PREMISES):
        if not party.has_contract(district, china_date(now)):
            continue
        if party.places and not places.intersection(party.places):
            continue
        for to in _addressed(party, Concern.PREMISES):
            if to.account.name not in declaration.released_to:
                yield to
