"""How much risk there is: the hint that goes to customs with a declaration (REFORM 4, R8)."""

from gateway.china import china_date
from gateway.message import Facts, Received
from gateway.parties import Party
from gateway.policy import Policy
from gateway.ports import Register
from gateway.triage import Hint, triage


def assess(received: Received, facts: Facts, party: Party, register: Register, policy: Policy) -> Hint:
    """By the classes that trader and declaring party had on the day of receipt. A trader that is not
    registered has none; one that declares itself counts as its own broker."""
    named = facts.values.get("trader_code", "")
    trader = party if party.is_called(named) else register.party_called(named)
    day = china_date(received.arrival.received_at)
    return triage(
        received.arrival.id,
        None if trader is None else trader.class_on(day),
        party.class_on(day),
        policy.reform,
        day,
    )
