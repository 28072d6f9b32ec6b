"""What comes in from outside for the job: declarations as the broker brings them, and what customs answers to
each.

Made before anything is measured: the sandbox's customs answers real submissions of these declarations, so
their ids are drawn here.
"""

import asyncio
import os
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from adapters.sandbox.customs.customs import ReferenceCustoms
from bench.harness import Harness, now
from bench.job.frames import Content, delivered
from bench.traffic import ACCOUNT, TYPES, Sent
from gateway.model.answer import Answer
from gateway.model.delivery import Outcome
from gateway.model.message import new_id

_REPLY_TO = f"{ACCOUNT}.bench"


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A declaration's id, the frames that bring it, and the frames that bring customs' answers to it."""

    id: str
    sent: bytes
    answers: bytes


def inputs(harness: Harness, sent: Sequence[Sent]) -> list[Input]:
    with TemporaryDirectory(prefix="gateway-bench-") as folder:
        certificate = harness.signer.certificate_pem
        with closing(ReferenceCustoms(Path(folder), certificate, now)) as customs:
            return asyncio.run(_answered(harness, customs, sent))


async def _answered(harness: Harness, customs: ReferenceCustoms, sent: Sequence[Sent]) -> list[Input]:
    keys = [await _submit(harness, customs, each) for each in sent]
    answers = defaultdict[str, list[Answer]](list)
    while due := await customs.answers(64):
        for each in due:
            answers[each.key or ""].append(each)
        await customs.acknowledge([each.id for each in due])
    return [
        Input(
            id=key,
            sent=delivered(_declaration(each), number, "gateway.in"),
            answers=b"".join(delivered(_answer(said), 0, "customs.answers") for said in answers[key]),
        )
        for number, (key, each) in enumerate(zip(keys, sent, strict=True), 1)
    ]


async def _submit(harness: Harness, customs: ReferenceCustoms, sent: Sent) -> str:
    """The key under which customs took the declaration."""
    received = harness.keep(sent)
    received = replace(received, arrival=replace(received.arrival, id=new_id(now(), os.urandom(10))))
    (submission,) = harness.judge(received).submissions

    outcome, reason = await customs.submit(submission, harness.opened)
    assert outcome is Outcome.TAKEN, reason
    return submission.key


def _declaration(sent: Sent) -> Content:
    return Content(
        body=sent.body,
        content_type=TYPES[Path(sent.name).suffix],
        user_id=ACCOUNT,
        message_id=sent.name,
        reply_to=_REPLY_TO,
    )


def _answer(answer: Answer) -> Content:
    return Content(
        body=answer.body,
        headers={"name": answer.name},
        content_type="application/xml",
        message_id=f"{answer.key}/{answer.id}",
        correlation_id=answer.key or "",
    )
