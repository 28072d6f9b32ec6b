"""The final receipt of a message that an operator rejects, and the notices to others about it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.judge.pipeline import Rules
from gateway.judge.receipt import ReceiptContext, Verdict, gateway_receipt, refusal, wanted
from gateway.model.agreements import AgreementUse
from gateway.model.faults import Fault, Finding, finding
from gateway.model.message import Facts, Receipt, Received
from gateway.model.register import Register
from gateway.model.signers import Signer
from gateway.notify.recipients import notices_of_release


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A message that is to be rejected, as the store has it; `revision` is for the commit that follows.

    `facts` are None where no judgement came far enough to read them; `uses` is the agreement that the message
    used up, if any.
    """

    received: Received
    facts: Facts | None
    linked: str | None
    uses: AgreementUse | None
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A rejection by an operator: everything that one commit writes."""

    message: str
    revision: int
    findings: tuple[Finding, ...]
    receipts: tuple[Receipt, ...]
    trail: dict[str, str]


def rejection_of(
    hold: Hold, reason: str, rules: Rules, register: Register, signer: Signer, now: datetime
) -> Rejection:
    """The final receipt of a message that an operator rejects, and the notices to others about it.

    Uses only what the store has: the package itself may be what crashes every judgement, so it is not
    opened.
    """
    received, arrival = hold.received, hold.received.arrival
    party = register.party_of(arrival.account)
    context = ReceiptContext(party=party, facts=hold.facts, linked=hold.linked)
    findings = (finding(Fault.DISMISSED, detail=reason),)
    receipt = gateway_receipt(
        received, Verdict.REJECTED, context, findings, rules.families, rules.policy, signer, now
    )
    answers: Sequence[Receipt] = refusal(received, context, findings, rules.families, now)
    freed: tuple[Receipt, ...] = ()
    if hold.uses is not None and hold.facts is not None:
        reference = hold.facts.key.reference
        drafts = notices_of_release(hold.uses, arrival.id, reference, "", register, party, now)
        freed = tuple(draft.receipt(signer.sign(draft.root)) for draft in drafts)
    return Rejection(
        message=arrival.id,
        revision=hold.revision,
        findings=findings,
        receipts=wanted([receipt, *answers], party) + freed,
        trail={
            "rules": rules.families.digest,
            "policy": rules.policy.digest,
            "receipt": hashlib.sha256(receipt.body).hexdigest(),
        },
    )
