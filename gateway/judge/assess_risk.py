"""Assesses the risk of a declaration: the hint that goes to customs with it (docs/reform.md, R8)."""

from gateway.judge.authorise import Authority
from gateway.model.china import china_date
from gateway.model.message import Received
from gateway.model.parties import Party
from gateway.model.policy import Policy
from gateway.model.risk_hint import Hint
from gateway.rules.risk_triage import triage


def assess_risk(received: Received, authority: Authority, party: Party, policy: Policy) -> Hint:
    """The hint by the classes of trader and declaring party on the day of receipt. A trader that is not
    registered has no class; one that declares for itself counts as its own broker."""
    day = china_date(received.arrival.received_at)
    return triage(
        received.arrival.id,
        None if authority.trader is None else authority.trader.class_on(day),
        party.class_on(day),
        policy.reform,
        day,
    )
