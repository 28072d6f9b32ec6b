"""The risk hint that goes to customs with a declaration, with its reasons (docs/reform.md, R8)."""

import hashlib
from datetime import date

from gateway.model.parties import TraderClass
from gateway.model.reform import ReformPolicy, Risk, in_force
from gateway.model.risk_hint import Hint


def triage(
    message: str, trader: TraderClass | None, broker: TraderClass | None, policy: ReformPolicy, day: date
) -> Hint:
    """The hint for one declaration. A trader that declares for itself counts as its own broker, so the caller
    passes its class twice. A missing class matches only rows that match any class."""
    row = next(
        (
            row
            for row in in_force(policy.triage, day)
            if (not row.trader or trader in row.trader) and (not row.broker or broker in row.broker)
        ),
        None,
    )
    risk = Risk.UNKNOWN if row is None else row.risk
    shown = f"trader {trader or '-'}, broker {broker or '-'}"
    reasons = [f"{risk}: {shown}" + ("" if row is None else f" ({row.source})")]
    treated_as = risk
    if risk is Risk.UNKNOWN and drawn(message, policy):
        treated_as = Risk.HIGH
        reasons.append(f"drawn as high: share {policy.unknown_as_high:g} of the unknown")
    rates = [each.rate for each in in_force(policy.inspection, day) if trader in each.trader]
    return Hint(
        risk=risk,
        treated_as=treated_as,
        inspection=rates[0] if rates else "normal",
        reasons=tuple(reasons),
    )


def drawn(message: str, policy: ReformPolicy) -> bool:
    """Whether a declaration of unknown risk falls into the share that is treated as high risk. A hash over
    seed and message decides, so that the draw can be repeated and the sender cannot influence it."""
    digest = hashlib.sha256(f"{policy.seed}\n{message}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < policy.unknown_as_high * 2**64
