"""Decisions by hand (REFORM.md 5) of what waits at customs.

It needs the ledger only, so that it works beside the node whose back-end answers from the same ledger.
"""

from datetime import datetime

from adapters.sandbox.customs.courses import Wait
from adapters.sandbox.customs.decisions import FITS, Act
from adapters.sandbox.customs.ledger import Ledger, Waiting
from adapters.sandbox.customs.proceedings import Proceedings
from gateway.formats.submission import read_envelope
from gateway.formats.xml import trusted


class NotInQueue(Exception):
    """Nothing with this key waits to be decided."""


class NotFitting(Exception):
    """The act is none for the declaration as it stands; the text says why, without a subject."""


def facts_of(waiting: Waiting) -> dict[str, str]:
    """The facts of the declaration. The envelope was verified when it was taken."""
    return read_envelope(trusted(waiting.taken.envelope)).facts


def decide(ledger: Ledger, key: str, act: Act, *, actor: str, reason: str, now: datetime) -> None:
    """Queues what customs says then, each notice with the reason, and notes who decided what, when and why.

    Raises `NotInQueue` where the submission does not wait (any more), and `NotFitting` where it waits for
    something else; then nothing is changed.
    """
    with ledger.transaction():
        found = ledger.waits(key)
        if found is None:
            raise NotInQueue(key)
        proceedings = Proceedings(ledger, found.taken, now)
        if not proceedings.allows(act, found.waits):
            raise NotFitting(_why(act, found.waits))
        proceedings.decided(act, reason)
        ledger.note_act(key, act, actor, reason, now)


def _why(act: Act, waits: Wait) -> str:
    if waits in FITS[act]:
        return f"is in transit; {act} is not for that"
    return f"waits for {waits}; {act} is for what waits for {', '.join(sorted(FITS[act]))}"
