"""Decisions by hand (docs/sandbox.md, "Review by hand") on declarations that wait at customs.

Only the ledger is needed, so that decisions can be made while a node's back-end answers from the same ledger.
"""

from datetime import datetime

from adapters.sandbox.customs.courses import WaitReason
from adapters.sandbox.customs.decisions import FITS, OfficerAct
from adapters.sandbox.customs.ledger import Ledger, Waiting
from adapters.sandbox.customs.proceedings import Proceedings
from gateway.formats.submission import read_envelope
from gateway.formats.xml import trusted


class NotInQueue(Exception):
    """No declaration with this key waits for a decision."""


class NotFitting(Exception):
    """The declaration waits for something else than this act; the text says why, as a sentence without its
    subject."""


def facts_of(waiting: Waiting) -> dict[str, str]:
    """The facts of the declaration. The envelope was verified when it was taken."""
    return read_envelope(trusted(waiting.submission.envelope)).facts


def decide(ledger: Ledger, key: str, act: OfficerAct, *, actor: str, reason: str, now: datetime) -> None:
    """Queues the notices that follow the decision, with the reason, and records who decided what, when and
    why.

    Raises `NotInQueue` where the declaration does not wait (any more), and `NotFitting` where it waits for
    something else; then nothing is changed.
    """
    with ledger.transaction():
        waiting = ledger.waits(key)
        if waiting is None:
            raise NotInQueue(key)
        proceedings = Proceedings(ledger, waiting.submission, now)
        if not proceedings.allows(act, waiting.waits):
            raise NotFitting(_why(act, waiting.waits))
        proceedings.decided(act, reason)
        ledger.note_act(key, act, actor, reason, now)


def _why(act: OfficerAct, waits: WaitReason) -> str:
    if waits in FITS[act]:
        return f"is in transit; {act} is not for that"
    return f"waits for {waits}; {act} is for what waits for {', '.join(sorted(FITS[act]))}"
