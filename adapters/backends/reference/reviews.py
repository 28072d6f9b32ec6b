"""Review by hand (REFORM.md 5): the declarations that wait for a person, and what is decided of them.

It needs the ledger only, so that it works beside the node whose back-end answers from the same ledger.
"""

from datetime import datetime

from adapters.backends.reference.answers import notice_of
from adapters.backends.reference.courses import DECISIONS, Act
from adapters.backends.reference.ledger import Ledger, Waiting
from gateway.submission import read_envelope
from gateway.xml import trusted


class NotInQueue(Exception):
    """Nothing with this key waits to be decided."""


def facts_of(waiting: Waiting) -> dict[str, str]:
    """The facts of the declaration. The envelope was verified when it was taken."""
    return read_envelope(trusted(waiting.taken.envelope)).facts


def decide(ledger: Ledger, key: str, act: Act, *, actor: str, reason: str, now: datetime) -> None:
    """Queues what customs says then, each notice with the reason, and notes who decided what, when and why.

    Raises `NotInQueue`, and changes nothing, where the submission does not wait (any more).
    """
    notices, waits = DECISIONS[act]
    with ledger.transaction():
        found = next((each for each in ledger.waiting() if each.taken.key == key), None)
        if found is None:
            raise NotInQueue(key)
        facts = facts_of(found)
        said = [notice_of(found.taken, notice.because(reason), facts, now) for notice in notices]
        ledger.queue_due(key, said)
        ledger.wait(key, waits, now)
        ledger.note_act(key, act, actor, reason, now)
