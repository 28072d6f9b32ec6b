"""Answers of customs to declarations of a harness, taken in as a node does."""

import asyncio
from datetime import datetime, timedelta
from itertools import count
from typing import Final

from adapters.store.write.answers import SqlAnswers
from gateway.model.answer import Answer
from gateway.respond.answer_intake import CustomsAnswers
from tests.support.harness import NOW, Harness

_RESULT: Final = (
    "<DEC_RESULT><CUS_CIQ_NO>{seq_no}</CUS_CIQ_NO><ENTRY_ID>{entry_id}</ENTRY_ID>"
    "<NOTICE_DATE>2026-11-23T13:00:00</NOTICE_DATE><CHANNEL>{channel}</CHANNEL><NOTE>{note}</NOTE>"
    "<CUSTOM_MASTER/><I_E_DATE/><D_DATE/></DEC_RESULT>"
)
_TICKS: Final = count(1)


def clock() -> datetime:
    """Never the same twice, as a real one: receipts are named by it."""
    return NOW + timedelta(hours=1, microseconds=next(_TICKS))


def customs_answers(
    harness: Harness, message: str, seq_no: str, entry_id: str, channel: str, note: str = "说明"
) -> None:
    """One DEC_RESULT for the declaration in `message`."""
    body = _RESULT.format(seq_no=seq_no, entry_id=entry_id, channel=channel, note=note).encode()
    answer(harness, "customs", Answer(id=f"{message}-{channel}", name="r.xml", body=body, key=message))


def answer(harness: Harness, backend: str, answer: Answer) -> None:
    answers = CustomsAnswers(SqlAnswers(harness.database, clock), harness.judges, clock)
    asyncio.run(answers.take_in(backend, [answer]))
