"""How the association treats a request, as a table: the usual courses, and those that a note forces.

A request whose OtherNote begins with a prefix of `FORCED` takes that course, so that broker software can be
tested against each of them.
"""

from dataclasses import dataclass
from typing import Final

from gateway.model.agreements import Act


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementCourse:
    """`code` and `message` are those of the ImportAgrResponse. If `imported`, the agreement gets a number and
    is proposed; `reply` is the immediate act of the other side, None where it does not answer yet."""

    code: int
    message: str
    imported: bool = True
    reply: Act | None = None
    reason: str = ""


CONFIRMED: Final = AgreementCourse(code=0, message="成功", reply=Act.CONFIRMED, reason="自动确认")
PROPOSED: Final = AgreementCourse(code=0, message="成功")
REFUSED: Final = AgreementCourse(code=0, message="成功", reply=Act.REFUSED, reason="对方拒绝委托申请")
FAILED: Final = AgreementCourse(code=9, message="导入失败：报文内容不符合导入要求", imported=False)

FORCED: Final = {"REFUSE-": REFUSED, "SILENT-": PROPOSED, "FAIL-": FAILED}


def course_of(note: str, *, confirmed: bool) -> AgreementCourse:
    """The course of a request with this note. `confirmed` says whether the other side confirms automatically;
    it counts where the note forces nothing."""
    usual = CONFIRMED if confirmed else PROPOSED
    return next((course for prefix, course in FORCED.items() if note.startswith(prefix)), usual)
