"""Customs is woken when an answer is due, and does not look again and again."""

import asyncio
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from adapters.sandbox.customs.answers import PACE
from adapters.sandbox.customs.customs import ReferenceCustoms
from tests.support.submissions import EVERYTHING, GATEWAY, NOW, reference_customs, sent

WITHIN = 20.0
NEVER = 3600.0


def test_a_submission_wakes_what_waits_for_its_answers(tmp_path: Path) -> None:
    async def scene() -> None:
        with closing(reference_customs(tmp_path)) as customs:
            async with asyncio.timeout(WITHIN):
                waiting = asyncio.create_task(customs.until_due(NEVER))
                await sent().given_to(customs)
                await waiting
            assert await customs.answers(1)

    asyncio.run(scene())


def test_a_submission_that_came_before_the_wait_ends_it(tmp_path: Path) -> None:
    async def scene() -> None:
        with closing(reference_customs(tmp_path)) as customs:
            await sent("SILENT-1").given_to(customs)
            async with asyncio.timeout(WITHIN):
                await customs.until_due(NEVER)

    asyncio.run(scene())


def test_what_is_due_later_is_waited_for_until_its_time(tmp_path: Path) -> None:
    now = NOW

    async def scene() -> None:
        nonlocal now
        with closing(ReferenceCustoms(tmp_path, GATEWAY.certificate_pem, lambda: now)) as customs:
            await sent("SLOW-1").given_to(customs)
            (technical,) = await customs.answers(EVERYTHING)
            await customs.acknowledge([technical.id])
            await customs.until_due(NEVER)  # the submission itself
            now += PACE - timedelta(milliseconds=50)
            assert await customs.answers(EVERYTHING) == []
            async with asyncio.timeout(WITHIN):
                await customs.until_due(NEVER)
            now += timedelta(milliseconds=50)
            assert len(await customs.answers(EVERYTHING)) == 1

    asyncio.run(scene())


def test_nothing_to_say_is_looked_for_again_after_the_longest_wait(tmp_path: Path) -> None:
    async def scene() -> None:
        with closing(reference_customs(tmp_path)) as customs:
            async with asyncio.timeout(WITHIN):
                await customs.until_due(0.01)

    asyncio.run(scene())
