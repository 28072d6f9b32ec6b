"""How much risk there is: the hint that goes to customs with a declaration (REFORM 4, R8)."""

from gateway.china import china_date
from gateway.message import Received
from gateway.parties import Party
from gateway.policy import Policy
from gateway.stages.authorise import Authority
from gateway.triage import Hint, triage


def assess(received: Received, authority: Authority, party: Party, policy: Policy) -> Hint:
    """By the classes that trader and declaring party had on the day of receipt. A trader that is not
    registered has none; one that declares itself counts as its own broker."""
    day = china_date(received.arrival.received_at)
    return triage(
        received.arrival.id,
        None if authority.trader is None else authority.trader.class_on(day),
        party.class_on(day),
        policy.reform,
        day,
    )
