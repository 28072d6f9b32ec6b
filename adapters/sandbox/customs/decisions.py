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
    WaitReason,
)
from adapters.sandbox.customs.progress import Next


class OfficerAct(StrEnum):
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


_REVIEW: Final = frozenset(
    {WaitReason.REVIEW, WaitReason.SUPPLEMENT, WaitReason.PAPER, WaitReason.INSPECTION, WaitReason.DUTY}
)

# What a declaration must be waiting for, for each act.
FITS: Final[Mapping[OfficerAct, frozenset[WaitReason]]] = {
    OfficerAct.RELEASE: _REVIEW,
    OfficerAct.RETURN: _REVIEW | {WaitReason.OFFICE},
    OfficerAct.INSPECT: _REVIEW,
    OfficerAct.SUPPLEMENT: _REVIEW,
    OfficerAct.PAPER: _REVIEW,
    OfficerAct.DUTY: _REVIEW,
    OfficerAct.LET_GO: _REVIEW,
    OfficerAct.CLOSE: frozenset({WaitReason.CLOSING}),
    OfficerAct.DELETE: frozenset(WaitReason),
    OfficerAct.DEPART: frozenset({WaitReason.DEPARTURE}),
    OfficerAct.ARRIVE: frozenset({WaitReason.ARRIVAL}),
    OfficerAct.WRITE_OFF: frozenset({WaitReason.WRITE_OFF}),
}

# What follows each act; `progress` decides for a release and the steps of a transit.
SAID: Final[Mapping[OfficerAct, Next]] = {
    OfficerAct.RETURN: Next((BACK,), None),
    OfficerAct.INSPECT: Next((INSPECT,), WaitReason.INSPECTION),
    OfficerAct.SUPPLEMENT: Next((SUPPLEMENT,), WaitReason.SUPPLEMENT),
    OfficerAct.PAPER: Next((PAPER,), WaitReason.PAPER),
    OfficerAct.DUTY: Next((DUTY,), WaitReason.DUTY),
    OfficerAct.LET_GO: Next((LET_GO,), WaitReason.CLOSING),
    OfficerAct.CLOSE: Next((CLEARED,), None),
    OfficerAct.DELETE: Next((DELETED,), None),
}
