"""The two state machines, each as one table; nothing else may change a state.

README.md says what each state of a message means ("States of a message"); its diagram is generated from
`TRANSITIONS`.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """The state of a message at rest."""

    RECEIVED = "received"
    WAITING = "waiting"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    CLOSED = "closed"
    REJECTED = "rejected"
    HELD = "held"


STATES_ZH: Mapping[State, str] = {
    State.RECEIVED: "待校验",
    State.WAITING: "等待",
    State.ACCEPTED: "已受理",
    State.DELIVERED: "已递交海关",
    State.CLOSED: "已完结",
    State.REJECTED: "网关已拒收",
    State.HELD: "暂停处理",
}


class Event(StrEnum):
    """What can happen to a message; the value is the word in the trail and in `gateway messages trace`."""

    RECEIVED = "received"  # the first entry of every trail; it makes the message
    PASSED = "passed"  # judgement: good
    REFUSED = "refused"  # judgement: faults of the sender
    REPEATED = "repeated"  # judgement: the same content was accepted before
    ACCEPTED_NO_DELIVERY = "kept"  # judgement: good, and nothing is to be delivered for it
    WAITING = "lacks"  # judgement: sound so far, a named thing is missing
    FAILED = "broke"  # our own failure, or three crashed judgements
    ARRIVED = "came"  # what was waited for is there
    JOINED = "joined"  # the declaration that it belongs to was accepted with it
    RENAMED = "renamed"  # its sender gave it another name
    REPLACED = "replaced"  # a newer one of the same name takes its place
    EXPIRED = "expired"  # what was waited for did not come in time
    TAKEN = "taken"  # customs took it
    DIVERTED = "diverted"  # another back-end takes it, since its own is down
    UNDELIVERABLE = "undeliverable"  # customs will never take it as it is
    ANSWERED = "answered"  # customs said something that does not finish it
    SETTLED = "settled"  # the final answer of customs
    REPLAYED = "replayed"  # operator: judge it again
    RESUMED = "resumed"  # operator: it was accepted before, deliver it again
    DISMISSED = "dismissed"  # operator: refuse it
    HELD = "stopped"  # operator: hold it


TRANSITIONS: Mapping[State, Mapping[Event, State]] = {
    State.RECEIVED: {
        Event.PASSED: State.ACCEPTED,
        Event.REFUSED: State.REJECTED,
        Event.REPEATED: State.CLOSED,
        Event.ACCEPTED_NO_DELIVERY: State.CLOSED,
        Event.WAITING: State.WAITING,
        Event.FAILED: State.HELD,
        Event.HELD: State.HELD,
    },
    State.WAITING: {
        Event.ARRIVED: State.RECEIVED,
        Event.JOINED: State.CLOSED,
        # A PDF on its own is found by its name; its refusal may depend on the name too.
        Event.RENAMED: State.RECEIVED,
        Event.REPLACED: State.REJECTED,
        # Judged a last time, and refused if the thing is still missing.
        Event.EXPIRED: State.RECEIVED,
        Event.DISMISSED: State.REJECTED,
        Event.HELD: State.HELD,
    },
    State.ACCEPTED: {
        Event.TAKEN: State.DELIVERED,
        Event.DIVERTED: State.ACCEPTED,
        Event.UNDELIVERABLE: State.HELD,
        # An answer can overtake the confirmation that customs took the submission.
        Event.ANSWERED: State.ACCEPTED,
        Event.SETTLED: State.CLOSED,
        Event.HELD: State.HELD,
    },
    State.DELIVERED: {
        Event.TAKEN: State.DELIVERED,
        Event.ANSWERED: State.DELIVERED,
        Event.SETTLED: State.CLOSED,
    },
    State.CLOSED: {
        # The fate of the delivery may be known before its own outcome is written.
        Event.TAKEN: State.CLOSED,
        Event.DIVERTED: State.CLOSED,
        Event.UNDELIVERABLE: State.CLOSED,
        # Receipts arrive out of order, and an entry may be deleted after release.
        Event.ANSWERED: State.CLOSED,
        Event.SETTLED: State.CLOSED,
    },
    State.REJECTED: {
        Event.REPLAYED: State.RECEIVED,
        Event.RENAMED: State.RECEIVED,
    },
    State.HELD: {
        Event.REPLAYED: State.RECEIVED,
        Event.RESUMED: State.ACCEPTED,
        Event.DISMISSED: State.REJECTED,
        # It was held while it was being sent, or customs took it although we gave up on hearing so.
        Event.TAKEN: State.DELIVERED,
        Event.UNDELIVERABLE: State.HELD,
        Event.ANSWERED: State.HELD,
        Event.SETTLED: State.CLOSED,
    },
}


class IllegalTransition(Exception):
    """An event that the present state does not allow; the message stays as it was."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"a message that is {state} cannot be {event}")
        self.state = state
        self.event = event


def advance(state: State, event: Event) -> State:
    """The state after `event`; raises `IllegalTransition` for every pair that the table leaves out."""
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise IllegalTransition(state, event) from None


class CustomsStatus(StrEnum):
    """The progress of a declaration at customs, in order of rank: the highest status ever received counts.

    By rank and not by arrival, since receipts come out of order.
    """

    NONE = "none"
    IMPORTED = "imported"
    STORED = "stored"
    REVIEWED = "reviewed"
    SUPPLEMENT_ASKED = "supplement_asked"
    PAPER_ASKED = "paper_asked"
    INSPECTION = "inspection"
    DUTY_DUE = "duty_due"
    RELEASED = "released"
    CLOSED = "closed"
    DELETED = "deleted"
    REFUSED = "refused"

    @property
    def rank(self) -> int:
        return _RANK[self]

    @property
    def final(self) -> bool:
        """Whether the declaration waits for no further answer of customs."""
        return self in (CustomsStatus.CLOSED, CustomsStatus.DELETED, CustomsStatus.REFUSED)


CUSTOMS_STATUSES_ZH: Mapping[CustomsStatus, str] = {
    CustomsStatus.NONE: "未到海关",
    CustomsStatus.IMPORTED: "已导入",
    CustomsStatus.STORED: "已入库",
    CustomsStatus.REVIEWED: "已审结",
    CustomsStatus.SUPPLEMENT_ASKED: "要求补充",
    CustomsStatus.PAPER_ASKED: "现场交单",
    CustomsStatus.INSPECTION: "查验",
    CustomsStatus.DUTY_DUE: "待缴税费",
    CustomsStatus.RELEASED: "已放行",
    CustomsStatus.CLOSED: "已结关",
    CustomsStatus.DELETED: "已删单",
    CustomsStatus.REFUSED: "已退单",
}
_RANK = {status: rank for rank, status in enumerate(CustomsStatus)}


def further(present: CustomsStatus, answered: CustomsStatus) -> CustomsStatus:
    """The status after an answer with status `answered`; order and repetition of answers make no
    difference."""
    return max(present, answered, key=lambda status: status.rank)


class DeliveryState(StrEnum):
    """The state of a delivery: one submission to one destination."""

    PENDING = "pending"
    SENDING = "sending"
    UNKNOWN = "unknown"  # sent, outcome not known: ask before sending again
    DELIVERED = "delivered"
    REFUSED = "refused"
    HELD = "held"


# Words of the log for what happens to one delivery and leaves its message as it is.
DELIVERY_HELD: Final = "delivery_held"
DELIVERY_RESUMED: Final = "delivery_resumed"
DELIVERY_REFUSED: Final = "delivery_refused"
