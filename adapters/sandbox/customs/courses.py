"""The courses that a declaration's reference forces, whatever its content.

A reference that begins with a prefix of `FORCED` takes that course, so that broker software can be tested
against each of them (docs/sandbox.md, "Courses by reference"). `handling` and `progress` decide for others.
"""

from dataclasses import dataclass, replace
from enum import Enum, StrEnum, auto
from typing import Final

from gateway.model.message import Operation


class Manner(Enum):
    """How the answers of a course are given."""

    AT_ONCE = auto()
    SLOWLY = auto()  # a few seconds apart
    TWICE = auto()  # each twice, byte for byte the same
    BACKWARDS = auto()  # in reverse order
    NEVER = auto()


class WaitReason(StrEnum):
    """What a declaration waits for: a decision by hand, the declarant, or a step of its transit."""

    REVIEW = "review"
    SUPPLEMENT = "supplement"
    PAPER = "paper"
    INSPECTION = "inspection"
    DUTY = "duty"
    CLOSING = "closing"  # released to the premises, not closed yet
    OFFICE = "office"  # in transit: the submission to the office of entry or exit
    DEPARTURE = "departure"
    ARRIVAL = "arrival"
    WRITE_OFF = "write-off"


@dataclass(frozen=True, slots=True)
class Notice:
    """One DEC_RESULT: its CHANNEL and NOTE. If `cut`, the document ends in the middle; if
    `at_border`, it names the office of entry or exit, else the office of declaration."""

    channel: str
    note: str
    cut: bool = False
    at_border: bool = False

    def because(self, reason: str) -> "Notice":
        return replace(self, note=f"{self.note}：{reason}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclarationCourse:
    """`response` is the ResponseCode of the technical answer (0: imported), `error` its ErrorMessage. If the
    declaration was imported, `notices` follow in this order; then it `waits`, if not None, until it is
    decided by hand (see `reviews`)."""

    response: int = 0
    error: str = "导入成功"
    notices: tuple[Notice, ...] = ()
    manner: Manner = Manner.AT_ONCE
    waits: WaitReason | None = None

    @property
    def imported(self) -> bool:
        return self.response == 0

    @property
    def stored(self) -> bool:
        """Whether customs stores the entry, which is when it gets an entry number."""
        return any(notice.channel == "L" for notice in self.notices)


STORED: Final = Notice("L", "海关已接收，报关单入库成功")
REVIEWED: Final = Notice("J", "通关无纸化审结")
LET_GO: Final = Notice("P", "海关已放行")
CLEARED: Final = Notice("R", "报关单已结关")
BACK: Final = Notice("E", "海关退单")
INSPECT: Final = Notice("C", "查验通知")
DUTY: Final = Notice("T", "需交税费")
# The only code of the list that asks for a supplement; it is only documented for two-step declarations.
SUPPLEMENT: Final = Notice("Sp1", "要求补充申报通知")
# The only code of the list that asks for papers without a release.
PAPER: Final = Notice("G", "接单交单")
DELETED: Final = Notice("D", "海关删单")

# The sequence of a real import entry of 2023.
RELEASED: Final = DeclarationCourse(notices=(STORED, REVIEWED, LET_GO, CLEARED))

FORCED: Final = {
    "RELEASED-": RELEASED,
    "RETURNED-": DeclarationCourse(notices=(BACK.because("商品申报要素填报不完整，请更正后重新申报"),)),
    "FAILED-": DeclarationCourse(response=1, error="导入失败：报文内容不符合导入要求"),
    "SUPPLEMENT-": DeclarationCourse(
        notices=(STORED, SUPPLEMENT.because("请补充说明成交价格的构成")), waits=WaitReason.SUPPLEMENT
    ),
    "PAPER-": DeclarationCourse(
        notices=(STORED, PAPER.because("请现场交单（递交纸质单证）")), waits=WaitReason.PAPER
    ),
    "INSPECT-": DeclarationCourse(
        notices=(STORED, REVIEWED, INSPECT.because("请配合海关查验货物")), waits=WaitReason.INSPECTION
    ),
    "DUTY-": DeclarationCourse(
        notices=(STORED, REVIEWED, DUTY.because("请在规定期限内缴纳税费")), waits=WaitReason.DUTY
    ),
    "DELETED-": DeclarationCourse(notices=(STORED, REVIEWED, LET_GO, DELETED)),
    "SILENT-": replace(RELEASED, manner=Manner.NEVER),
    "TWICE-": replace(RELEASED, manner=Manner.TWICE),
    "ORDER-": replace(RELEASED, manner=Manner.BACKWARDS),
    "BROKEN-": DeclarationCourse(notices=(STORED, replace(REVIEWED, cut=True), LET_GO, CLEARED)),
    "SLOW-": replace(RELEASED, manner=Manner.SLOWLY),
    "HAND-": DeclarationCourse(notices=(STORED,), waits=WaitReason.REVIEW),
    "CLOSING-": DeclarationCourse(notices=(STORED, REVIEWED, LET_GO), waits=WaitReason.CLOSING),
}
# Documents that come later do not release these declarations: they are reviewed by hand.
SUPPLEMENT_BY_HAND: Final = "SUPPLEMENT-HAND-"


def forced(reference: str) -> DeclarationCourse | None:
    return next((course for prefix, course in FORCED.items() if reference.startswith(prefix)), None)


def course_of(reference: str, operation: Operation) -> DeclarationCourse | None:
    """The course that the reference forces; None where it forces none and the content decides. A temporary
    save is only imported; the reference may force its failure and the manner of the answer."""
    course = forced(reference)
    if operation is Operation.SAVE and (course is None or course.imported):
        return DeclarationCourse(error="暂存成功", manner=Manner.AT_ONCE if course is None else course.manner)
    return course
