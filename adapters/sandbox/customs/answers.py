"""A course as the answers to one submission: worded, named, and each with the time when it is given."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from adapters.sandbox.customs.courses import Course, Manner, Notice
from adapters.sandbox.customs.ledger import Due, Taken
from adapters.sandbox.customs.notices import dec_result, import_response

# Long enough to be seen by who watches, and less than the usual wait of a test.
PACE: Final = timedelta(seconds=3)


def answers_of(taken: Taken, course: Course, facts: dict[str, str]) -> list[Due]:
    """All that a forced course says, in the order in which it is said. `facts` are those of the envelope."""
    pace = PACE if course.manner is Manner.SLOWLY else timedelta()
    notices = [
        notice_of(taken, notice, facts, taken.taken_at + count * pace)
        for count, notice in enumerate(course.notices, start=1)
    ]
    return _given(course.manner, [technical(taken, course), *notices])


def technical(taken: Taken, course: Course) -> Due:
    """Whether it was imported, and under which numbers."""
    return Due(
        name=f"{'Successed' if course.imported else 'Failed'}_{taken.key}.xml",
        body=import_response(
            code=course.response,
            error=course.error,
            client_reference=taken.reference,
            seq_no=taken.seq_no,
            transit_no=taken.transit_no,
        ),
        at=taken.taken_at,
    )


def notice_of(taken: Taken, notice: Notice, facts: dict[str, str], at: datetime) -> Due:
    body = dec_result(
        seq_no=taken.seq_no,
        entry_id=taken.entry_id,
        channel=notice.channel,
        note=notice.note,
        office=facts.get("ie_port" if notice.at_border else "office", ""),
        moved_on=facts.get("ie_date", ""),
        at=at,
    )
    # What is left has no end tag, and so is no XML whatever it says.
    said = body[: len(body) // 2] if notice.cut else body
    return Due(name=f"Receipt_{taken.key}_{notice.channel}.xml", body=said, at=at)


def _given(manner: Manner, answers: Sequence[Due]) -> list[Due]:
    match manner:
        case Manner.AT_ONCE | Manner.SLOWLY:
            return list(answers)
        case Manner.TWICE:
            return [answer for answer in answers for _ in range(2)]
        case Manner.BACKWARDS:
            return list(reversed(answers))
        case Manner.NEVER:
            return []
