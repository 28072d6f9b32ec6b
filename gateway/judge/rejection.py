"""The final receipt of a message that an operator rejects, and the notices to others about it."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

from gateway.judge.agreement_use_notices import notices_of_freed
from gateway.judge.pipeline import Rules
from gateway.judge.receipt import ReceiptContext, Verdict, gateway_receipt, in_chosen_forms, refusal
from gateway.model.faults import Fault, finding
from gateway.model.message import Receipt
from gateway.model.register import Register
from gateway.model.rejection import Hold, Rejection
from gateway.model.signers import Signer


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
        freed = notices_of_freed(hold.uses, arrival.id, reference, register, party, signer, now)
    return Rejection(
        message=arrival.id,
        revision=hold.revision,
        findings=findings,
        receipts=in_chosen_forms([receipt, *answers], party) + freed,
        trail={
            "rules": rules.families.digest,
            "policy": rules.policy.digest,
            "receipt": hashlib.sha256(receipt.body).hexdigest(),
        },
    )
