"""A receipt that says that another will follow."""

from dataclasses import dataclass
from datetime import datetime

from gateway.model.message import Facts, Received


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingReceipt:
    """A message that goes on later and whose sender is not notified yet. `down_since`: when the destination
    of an accepted message went down; None where it is held. `facts` are None where it was never judged.
    `item` and `fence` are those of the claim under which the receipt is sent."""

    item: int
    fence: int
    received: Received
    facts: Facts | None
    down_since: datetime | None
