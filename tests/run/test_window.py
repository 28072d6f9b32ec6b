"""How many judgements a node begins before the first has ended."""

import asyncio
from dataclasses import replace
from datetime import datetime

import pytest

from gateway.model.decision import Decision
from gateway.model.message import Received, new_id
from tests.deliver.test_customs_down import Clock
from tests.model.test_backoff import (
    DECLARED,
    WITHIN,
    Rounds,
    arrival,
    dispatch_of,
    node_of,
    running,
    until,
)
from tests.support.harness import Harness
from tests.support.rendering import packed


@pytest.mark.parametrize(("size", "begun"), [(1000, 16), (600_000, 4)], ids=["small", "large"])
def test_large_packages_do_not_fill_the_window(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, size: int, begun: int
) -> None:
    """Two workers: four large ones are enough to keep them at work, and another account's comes next."""
    clock, go, judged = Clock(), asyncio.Event(), list[str]()
    judge_now = harness.judges.judge
    monkeypatch.setattr(harness.judges, "slots", 32)
    monkeypatch.setattr(harness.judges, "workers", 2)

    async def judge(received: Received, now: datetime) -> Decision:
        judged.append(received.arrival.id)
        await go.wait()
        return await judge_now(received, now)

    monkeypatch.setattr(harness.judges, "judge", judge)

    async def test() -> None:
        node = node_of(harness, clock, dispatch_of(harness, clock), Rounds())
        one = replace(arrival(packed(DECLARED), clock()), size=size)
        sent = [replace(one, id=new_id(clock(), number.to_bytes(10))) for number in range(16)]
        for each in sent:
            await harness.messages.add(each, body=packed(DECLARED))
        async with running(node), asyncio.timeout(WITHIN):
            await until(lambda: len(judged) >= begun)
            for _ in range(20):  # rounds of the loop that could claim more
                node._arrived.set()
                await harness.database.read(lambda _reader: None)
            assert len(judged) == begun
            go.set()
            await until(lambda: len(judged) == len(sent))

    asyncio.run(test())
