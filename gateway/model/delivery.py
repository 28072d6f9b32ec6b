"""A delivery to a back-end under way, and the outcome of sending it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gateway.model.message import Submission


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A delivery that the outbox has claimed, with the fence of the claim; if `unknown`, the back-end is
    asked before it is sent again. `unsure`: customs may have it already. `since`: the start of its time for
    delivery."""

    id: int
    message: str
    attempts: int
    fence: int
    unknown: bool
    submission: Submission
    since: datetime
    unsure: bool = False


class Outcome(StrEnum):
    """The outcome of sending a submission."""

    TAKEN = "taken"
    LATER = "later"  # not taken, an outage; may be sent again
    BUSY = "busy"  # not taken: the back-end asks us to send less, or later
    DENIED = "denied"  # not taken: it denies us access; an operator has to repair the connection
    NEVER = "never"  # refused for good as it is
    UNKNOWN = "unknown"  # sent, no reply: ask before sending again
