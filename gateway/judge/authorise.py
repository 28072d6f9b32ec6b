"""Authorisation: the message names the party that sent it, and does not declare the same a second time."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lxml import etree

from gateway.families.families import MessageType
from gateway.formats.locations import in_findings_of, xml_path
from gateway.judge.verify import Evidence
from gateway.model.agreements import ENDED
from gateway.model.china import china_date
from gateway.model.faults import Fault, Finding, MessageRejected, Severity, finding
from gateway.model.message import (
    EarlierMessage,
    Facts,
    Key,
    Operation,
    Package,
    Part,
    Received,
    Version,
)
from gateway.model.parties import ROLES_ZH, Account, Party, Role
from gateway.model.policy import Policy
from gateway.model.register import Register
from gateway.model.states import State
from gateway.rules.order_of_receipt import repeated_from, replaced_by

_TRADER: Final = ("trader_code", "trader_scc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A message that its sender may send. `earlier` is the message that it repeats, corrects or updates;
    `repeats` the one that it repeats, accepted or waiting; `holder` the accepted one that holds its key.

    `trader` is the party that a declaration is made for, None where it is not registered; `brokered` says
    whether that is another than the sender.
    """

    facts: Facts
    earlier: EarlierMessage | None
    repeats: str | None
    warnings: tuple[Finding, ...]
    trader: Party | None
    brokered: bool

    @property
    def linked(self) -> str | None:
        return None if self.earlier is None else self.earlier.id

    @property
    def holder(self) -> str | None:
        if self.earlier is None or self.earlier.state is State.REJECTED:
            return None
        return self.earlier.id


def sender(received: Received, register: Register) -> tuple[Party, Account]:
    """The party that the account belongs to, as the register has it now."""
    party = register.party_of(received.arrival.account)
    if party is None or party.account is None:
        raise MessageRejected(finding(Fault.ACCOUNT_UNKNOWN, value=received.arrival.account))
    return party, party.account


def authorise(
    evidence: Evidence,
    package: Package,
    received: Received,
    party: Party,
    register: Register,
    policy: Policy,
) -> Authority:
    """Raises `MessageRejected` where the sender has no role that may send such a message, where the message
    names another party than that, or as its trader one that is none, and where it repeats a reference with
    other content."""
    facts = read_facts(evidence.type, evidence.root, package, party)
    with in_findings_of(package.document_name):
        refuse_other_roles(evidence.type.senders, party)
        _refuse_other_parties(evidence, facts, party)
        earlier = register.holder(facts.key, received.arrival.id)
        repeats: EarlierMessage | Version | None = None
        if earlier is not None and _repeats(earlier, facts, evidence, received, register):
            repeats = earlier
        else:
            versions = register.versions(facts.key, received.arrival.id)
            if (latest := replaced_by(versions, facts.content)) is not None:
                raise MessageRejected(_about(Fault.REPLACED, "reference", evidence, facts, detail=latest.id))
            repeats = repeated_from(versions, facts.content)
        warnings = () if repeats is not None else _same_goods(register, facts, policy)
        trader, brokered = _trader(evidence, facts, party, register)
        _refuse_no_trader(evidence, facts, trader)
    return Authority(
        facts=facts,
        earlier=earlier,
        repeats=None if repeats is None else repeats.id,
        warnings=warnings,
        trader=trader,
        brokered=brokered,
    )


def read_facts(kind: MessageType, root: etree._Element, package: Package, party: Party) -> Facts:
    """The facts of a document, by its family's profile. Without a reference, its content's digest is one."""
    values = kind.facts(root)
    content = _digest((part.name, part.sha256) for part in _nameless(package))
    return Facts(
        key=Key(
            party=party.code,
            family=kind.family,
            type=kind.name,
            reference=values.get("reference", content),
        ),
        content=content,
        body=_body(kind, root, package.attachments),
        operation=kind.operation(values),
        values=values,
    )


def _nameless(package: Package) -> Iterable[Part]:
    # A bare XML document is named after the file, and brokers' software counts its retries in that name,
    # so the name is not part of the content (decision 6 in docs/decisions).
    if not package.is_zip:
        return (Part(name="", sha256=package.parts[0].sha256, size=package.parts[0].size),)
    return package.parts


def _digest(pairs: Iterable[tuple[str, str]]) -> str:
    lines = sorted(f"{name}\0{sha256}\n" for name, sha256 in pairs)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _body(kind: MessageType, root: etree._Element, attachments: Iterable[Part]) -> str:
    # Element by element, so that what identifies the message can be left out without copying the tree.
    digest = hashlib.sha256()
    left_out = set(kind.identified_by(root))
    for child in root:
        if child not in left_out:
            digest.update(etree.tostring(child, encoding="utf-8", with_tail=False))
    digest.update(_digest((part.name, part.sha256) for part in attachments).encode())
    return digest.hexdigest()


def refuse_other_roles(allowed: tuple[Role, ...], party: Party) -> None:
    if set(allowed).isdisjoint(party.roles):
        own, own_zh = ", ".join(party.roles), _roles_zh(party.roles)
        if allowed == (Role.ASSOCIATION,):
            raise MessageRejected(finding(Fault.NOT_ASSOCIATION, detail=own, detail_zh=own_zh))
        raise MessageRejected(
            finding(
                Fault.SENDER_ROLE,
                detail=f"registered as {own}, senders: {', '.join(allowed)}",
                detail_zh=f"登记为{own_zh}，可发送的为{_roles_zh(allowed)}",
            )
        )


def _refuse_no_trader(evidence: Evidence, facts: Facts, trader: Party | None) -> None:
    """A declaration is made for a trader: a party that is registered only with other roles is none. A
    trader that is not registered is judged by the agreement alone."""
    if evidence.type.kind != "declaration" or trader is None or Role.TRADER in trader.roles:
        return
    named = [name for name in _TRADER if name in facts.values]
    if not named and facts.operation is Operation.SAVE:
        return  # the trader may be added later
    raise MessageRejected(
        _about(
            Fault.TRADER_ROLE,
            named[0] if named else _TRADER[0],
            evidence,
            facts,
            detail=f"{trader.code}: {', '.join(trader.roles)}",
            detail_zh=f"{trader.code}：{_roles_zh(trader.roles)}",
        )
    )


def _roles_zh(roles: Iterable[Role]) -> str:
    return "、".join(ROLES_ZH[role] for role in roles)


def _refuse_other_parties(evidence: Evidence, facts: Facts, party: Party) -> None:
    required = evidence.type.sender_facts
    named = [name for name in required if name in facts.values]
    wrong = [name for name in named if not party.is_called(facts.values[name])]
    if wrong or (required and not named):
        raise MessageRejected(
            _about(Fault.WRONG_PARTY, name, evidence, facts) for name in (wrong or required[:1])
        )


def _trader(evidence: Evidence, facts: Facts, party: Party, register: Register) -> tuple[Party | None, bool]:
    """The party that it is declared for, None where it is not registered, and whether that is another than
    the sender. Raises `MessageRejected` where its two codes are not those of one party: a broker could pass
    for the trader by one code and declare by the other. An unregistered code next to a code of a registered
    party counts as another party's."""
    named = [facts.values[name] for name in _TRADER if name in facts.values]
    others = [code for code in named if not party.is_called(code)]
    if not others:
        return party, False
    called = {code: register.party_called(code) for code in named}
    if not all(each.is_called(code) for each in called.values() if each is not None for code in named):
        raise MessageRejected(_about(Fault.TRADERS_DIFFER, _TRADER[1], evidence, facts))
    return called[others[0]], True


def _about(
    fault: Fault, fact: str, evidence: Evidence, facts: Facts, detail: str = "", detail_zh: str = ""
) -> Finding:
    element = evidence.type.element_of(fact, evidence.root)
    problem = finding(
        fault,
        line=None if element is None else element.sourceline,
        xpath=None if element is None else xml_path(element),
        value=facts.values.get(fact),
        detail=detail,
        detail_zh=detail_zh,
    )
    return problem if evidence.wrapper is None else evidence.wrapper.placed(problem)


def _repeats(
    earlier: EarlierMessage, facts: Facts, evidence: Evidence, received: Received, register: Register
) -> bool:
    """The cases of docs/for-brokers.md, "Sent twice": True for a repetition, False for a new judgement."""
    if earlier.state is State.REJECTED or earlier.refused_by_customs:
        return False  # judged anew, or as a correction
    if earlier.content == facts.content:
        return evidence.type.kind != "agreement-request" or not _is_over(earlier, received, register)
    if earlier.id > received.arrival.id:  # this one waited while a later one was accepted
        raise MessageRejected(_about(Fault.REPLACED, "reference", evidence, facts, detail=earlier.id))
    if earlier.operation is Operation.SAVE and facts.operation is Operation.DECLARE:
        return False  # a temporary save becomes a declaration: an update
    raise MessageRejected(_about(Fault.DUPLICATE_REFERENCE, "reference", evidence, facts))


def _is_over(request: EarlierMessage, received: Received, register: Register) -> bool:
    """Whether the agreement that this request proposed was never concluded or is out of date: then the same
    shipment may be proposed again, under a new number."""
    agreement = register.agreement(request.seq_no) if request.seq_no else None
    if agreement is None:
        return False
    until = agreement.agreement.valid_until
    expired = until is not None and until < china_date(received.arrival.received_at)
    return expired or agreement.agreement.state in ENDED


def _same_goods(register: Register, facts: Facts, policy: Policy) -> tuple[Finding, ...]:
    twin = register.same_body(facts.key, facts.body)
    if twin is None:
        return ()
    refused = policy.declaration.same_content == "refuse"
    warning = finding(
        Fault.SAME_CONTENT,
        detail=twin.reference,
        severity=Severity.ERROR if refused else Severity.WARNING,
    )
    if refused:
        raise MessageRejected(warning)
    return (warning,)
