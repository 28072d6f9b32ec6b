"""The decisions by hand on a waiting declaration, as tables."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from adapters.sandbox.customs.courses import (
    BACK,
    CLEARED,
    DELETED,
    DUTY,
    INSPECT,
    LET_GO,
    PAPER,
    SUPPLEMENT,
    Wait,
)
from adapters.sandbox.customs.progress import Next


class Act(StrEnum):
    RELEASE = "release"
    RETURN = "return"
    INSPECT = "inspect"
    SUPPLEMENT = "supplement"
    PAPER = "paper"
    DUTY = "duty"
    LET_GO = "let-go"
    CLOSE = "close"
    DELETE = "delete"
    DEPART = "depart"
    ARRIVE = "arrive"
    WRITE_OFF = "write-off"


_REVIEW: Final = frozenset({Wait.REVIEW, Wait.SUPPLEMENT, Wait.PAPER, Wait.INSPECTION, Wait.DUTY})

# What a declaration must be waiting for, for each act.
FITS: Final[Mapping[Act, frozenset[Wait]]] = {
    Act.RELEASE: _REVIEW,
    Act.RETURN: _REVIEW | {Wait.OFFICE},
    Act.INSPECT: _REVIEW,
    Act.SUPPLEMENT: _REVIEW,
    Act.PAPER: _REVIEW,
    Act.DUTY: _REVIEW,
    Act.LET_GO: _REVIEW,
    Act.CLOSE: frozenset({Wait.CLOSING}),
    Act.DELETE: frozenset(Wait),
    Act.DEPART: frozenset({Wait.DEPARTURE}),
    Act.ARRIVE: frozenset({Wait.ARRIVAL}),
    Act.WRITE_OFF: frozenset({Wait.WRITE_OFF}),
}

# What follows each act; `progress` decides for a release and the steps of a transit.
SAID: Final[Mapping[Act, Next]] = {
    Act.RETURN: Next((BACK,), None),
    Act.INSPECT: Next((INSPECT,), Wait.INSPECTION),
    Act.SUPPLEMENT: Next((SUPPLEMENT,), Wait.SUPPLEMENT),
    Act.PAPER: Next((PAPER,), Wait.PAPER),
    Act.DUTY: Next((DUTY,), Wait.DUTY),
    Act.LET_GO: Next((LET_GO,), Wait.CLOSING),
    Act.CLOSE: Next((CLEARED,), None),
    Act.DELETE: Next((DELETED,), None),
}
