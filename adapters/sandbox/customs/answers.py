"""Turns a course into the answers to one submission, each with its name, document and time."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from adapters.sandbox.customs.courses import DeclarationCourse, Manner, Notice
from adapters.sandbox.customs.ledger import DueAnswer, TakenSubmission
from adapters.sandbox.customs.notices import dec_result, import_response

# Long enough to be noticed by people, and shorter than the usual timeout of a test.
PACE: Final = timedelta(seconds=3)


def answers_of(
    submission: TakenSubmission, course: DeclarationCourse, facts: dict[str, str]
) -> list[DueAnswer]:
    """All answers of a forced course, in the order in which they are given. `facts` are the envelope's."""
    pace = PACE if course.manner is Manner.SLOWLY else timedelta()
    notices = [
        notice_of(submission, notice, facts, submission.taken_at + count * pace)
        for count, notice in enumerate(course.notices, start=1)
    ]
    return _as_given(course.manner, [technical(submission, course), *notices])


def technical(submission: TakenSubmission, course: DeclarationCourse) -> DueAnswer:
    """The technical answer: whether the declaration was imported, and its numbers."""
    return DueAnswer(
        name=f"{'Successed' if course.imported else 'Failed'}_{submission.key}.xml",
        body=import_response(
            code=course.response,
            error=course.error,
            client_reference=submission.reference,
            seq_no=submission.seq_no,
            transit_no=submission.transit_no,
        ),
        at=submission.taken_at,
    )


def notice_of(submission: TakenSubmission, notice: Notice, facts: dict[str, str], at: datetime) -> DueAnswer:
    body = dec_result(
        seq_no=submission.seq_no,
        entry_id=submission.entry_id,
        channel=notice.channel,
        note=notice.note,
        office=facts.get("ie_port" if notice.at_border else "office", ""),
        moved_on=facts.get("ie_date", ""),
        at=at,
    )
    # Half of the document has no end tag, so it is never well-formed.
    sent = body[: len(body) // 2] if notice.cut else body
    return DueAnswer(name=f"Receipt_{submission.key}_{notice.channel}.xml", body=sent, at=at)


def _as_given(manner: Manner, answers: Sequence[DueAnswer]) -> list[DueAnswer]:
    match manner:
        case Manner.AT_ONCE | Manner.SLOWLY:
            return list(answers)
        case Manner.TWICE:
            return [answer for answer in answers for _ in range(2)]
        case Manner.BACKWARDS:
            return list(reversed(answers))
        case Manner.NEVER:
            return []
