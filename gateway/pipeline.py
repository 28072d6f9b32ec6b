"""The way of a message, from stored bytes to a decision: read this first.

Straight-line code over pure stages. No clock, disk or network of its own: `now`, the rules in force, the
register and the signer are arguments, and the package is opened for it. It runs in worker processes; what it
returns is committed by the node in one transaction.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.families import Families
from gateway.faults import Finding, Rejected
from gateway.message import Blob, Decision, Receipt, Received
from gateway.policy import Policy
from gateway.ports import Register, Signer
from gateway.stages.assess import assess
from gateway.stages.authorise import Authority, authorise, read_facts, sender
from gateway.stages.receipt import Known, Verdict, gateway_receipt, refusal, wanted
from gateway.stages.route import Routes, route
from gateway.stages.sign import sign
from gateway.stages.unpack import unpack
from gateway.stages.validate import recognise, validate
from gateway.stages.verify import verify
from gateway.states import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is in force: message families with their schemas and rules, policy, routes. Swapped whole."""

    families: Families
    policy: Policy
    routes: Routes


def judge(
    received: Received, blob: Blob, rules: Rules, register: Register, signer: Signer, now: datetime
) -> Decision:
    """The decision on one message. Never raises `Rejected`: a refusal is a decision too."""
    families, policy = rules.families, rules.policy
    known = Known()
    try:
        party, account = sender(received, register)
        known = Known(party=party)
        package = unpack(
            received.arrival.name,
            blob,
            received.arrival.size,
            policy.package,
            policy.pdf,
            account.max_package,
        )
        known = Known(party=party, package=package)
        recognised = recognise(package, families, policy)
        try:
            validated = validate(recognised, package, policy)
            evidence = verify(validated, package, party, now)
            authority = authorise(evidence, package, party, register, policy)
        except Rejected:
            # Only a refusal tells the facts of a document that nobody has vouched for.
            known = replace(known, facts=read_facts(recognised.type, recognised.root, package, party))
            raise
        known = replace(known, facts=authority.facts, linked=authority.linked)
        if authority.repeats:
            return _repeated(received, authority, rules)
        way = route(authority.facts, rules.routes)
        hint = assess(received, authority.facts, party, register, policy)
        submission = sign(
            received, package, validated, evidence, authority, party, way, hint, families, policy, signer, now
        )
    except Rejected as refused:
        return _refused(received, known, refused.findings, rules, signer, now)
    warnings = validated.warnings + authority.warnings
    receipt = gateway_receipt(received, Verdict.ACCEPTED, known, warnings, families, policy, signer, now)
    return Decision(
        message=received.arrival.id,
        attempt=received.attempts,
        event=Event.PASSED,
        findings=warnings,
        facts=authority.facts,
        receipts=wanted([receipt], party),
        submission=submission,
        holder=authority.holder,
        linked=authority.linked,
        trail=_trail(rules) | {"route": way.name, "receipt": _digest(receipt)},
    )


def held_receipt(
    received: Received, rules: Rules, register: Register, signer: Signer, now: datetime
) -> Receipt:
    """The pending receipt of a message that is held: it says that we have it, and nothing of our insides."""
    known = Known(party=register.party_of(received.arrival.account))
    return gateway_receipt(received, Verdict.HELD, known, (), rules.families, rules.policy, signer, now)


def _repeated(received: Received, authority: Authority, rules: Rules) -> Decision:
    return Decision(
        message=received.arrival.id,
        attempt=received.attempts,
        event=Event.REPEATED,
        facts=authority.facts,
        linked=authority.linked,
        trail=_trail(rules),
    )


def _refused(
    received: Received,
    known: Known,
    findings: Sequence[Finding],
    rules: Rules,
    signer: Signer,
    now: datetime,
) -> Decision:
    receipt = gateway_receipt(
        received, Verdict.REJECTED, known, findings, rules.families, rules.policy, signer, now
    )
    answers = refusal(received, known, findings, rules.families, now)
    return Decision(
        message=received.arrival.id,
        attempt=received.attempts,
        event=Event.REFUSED,
        findings=tuple(findings),
        facts=known.facts,
        receipts=wanted([receipt, *answers], known.party),
        linked=known.linked,
        trail=_trail(rules) | {"receipt": _digest(receipt)},
    )


def _trail(rules: Rules) -> dict[str, str]:
    return {"rules": rules.families.digest, "policy": rules.policy.digest}


def _digest(receipt: Receipt) -> str:
    return hashlib.sha256(receipt.body).hexdigest()
