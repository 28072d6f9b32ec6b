"""What customs will say to a submission, as a table: the usual course, and those that a reference forces.

A reference that begins with a prefix of `FORCED` takes that course, so that broker software can be tried
against every one (DESIGN.md 8).
"""

from dataclasses import dataclass
from typing import Final

from gateway.message import Operation


@dataclass(frozen=True, slots=True)
class Notice:
    """One DEC_RESULT: its CHANNEL (FORMATS 2.3) and NOTE."""

    channel: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """`response` is the ResponseCode of the technical answer (0: imported), `error` its ErrorMessage;
    `notices` follow it in this order where the declaration was imported."""

    response: int
    error: str
    notices: tuple[Notice, ...] = ()

    @property
    def imported(self) -> bool:
        return self.response == 0

    @property
    def stored(self) -> bool:
        """Whether customs stores the entry, which is when it gets an entry number (FORMATS 2.3)."""
        return any(notice.channel == "L" for notice in self.notices)


SAVED: Final = Course(response=0, error="暂存成功")
# The run of a real import entry of 2023 (FORMATS 2.3).
RELEASED: Final = Course(
    response=0,
    error="导入成功",
    notices=(
        Notice("L", "海关已接收，报关单入库成功"),
        Notice("J", "通关无纸化审结"),
        Notice("P", "海关已放行"),
        Notice("R", "报关单已结关"),
    ),
)
RETURNED: Final = Course(
    response=0,
    error="导入成功",
    notices=(Notice("E", "海关退单：商品申报要素填报不完整，请修改后重新申报"),),
)
FAILED: Final = Course(response=1, error="导入失败：报文内容不符合导入要求")

# A course that ends before anything is imported holds for a temporary save as well.
FORCED: Final = {"RETURNED-": RETURNED, "FAILED-": FAILED}


def course_of(reference: str, operation: Operation) -> Course:
    forced = next((course for prefix, course in FORCED.items() if reference.startswith(prefix)), RELEASED)
    return SAVED if operation is Operation.SAVE and forced.imported else forced
