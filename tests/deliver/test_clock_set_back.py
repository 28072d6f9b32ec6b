"""A clock that is set back makes nothing stand still that the node takes up again by itself."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import update

from adapters.store.claims import queue_for_posting
from adapters.store.tables.messages import deliveries, messages, receipts
from adapters.store.tables.queues import to_judge, to_post, to_send
from gateway.deliver.rate_limit import RateLimit, RateLimits
from gateway.model.circuit_breaker import FAILURES, CircuitBreaker
from gateway.run.claims import LEASE
from tests.support.declarations import Declaration
from tests.support.harness import NOW, Harness
from tests.support.rendering import packed

_HOUR: Final = timedelta(hours=1)
_AHEAD: Final = NOW + _HOUR


def test_a_breaker_is_probed_and_a_pace_rests_no_longer() -> None:
    breaker = CircuitBreaker.new(_AHEAD)
    for _ in range(FAILURES):
        breaker = breaker.failed("no", _AHEAD, probe=False)
    assert not breaker.may_probe(_AHEAD)
    assert breaker.may_probe(NOW)
    rests = RateLimit.full(RateLimits(at_once=4), _AHEAD).busy(_AHEAD)
    assert rests.free(0, _AHEAD) == 0
    assert rests.free(0, NOW) == 2


def test_a_rate_limit_recovers_after_the_clock_was_set_back() -> None:
    spent = RateLimit.full(RateLimits(at_once=4, rate=2), _AHEAD).handed(2, _AHEAD)
    assert spent.free(0, _AHEAD) == 0
    assert spent.free(0, NOW) == 2


def test_deliveries_leases_and_retries_go_on_and_what_parties_wait_for_stays(tmp_path: Path) -> None:
    with Harness.at(tmp_path / "home") as harness:
        sent = harness.judged("broker-aa", "a.zip", packed(Declaration(reference="R1"))).message
        message = harness.received("broker-aa", "b.zip", packed(Declaration(reference="R2"))).arrival.id

        def set_ahead(by: timedelta) -> None:
            at = NOW + by
            with harness.database.engine.connect() as connection:
                connection.execute(update(messages).values(until=at))
                connection.execute(update(to_judge).values(lease_until=at, due_at=at, owner="before"))
                connection.execute(update(to_send).values(due_at=at))
                connection.execute(update(to_post).values(due_at=at))

        def waits() -> set[datetime]:
            (judge,) = harness.rows(to_judge)
            deliver = {row["due_at"] for row in harness.rows(to_send)}
            to_deliver = {row["due_at"] for row in harness.rows(to_post)}
            return {judge["lease_until"], judge["due_at"], *deliver, *to_deliver}

        assert harness.rows(deliveries)
        (receipt, *_others) = harness.rows(receipts, message=sent)
        harness.database.submit(
            lambda to: queue_for_posting(to, [(receipt["id"], receipt["account"], NOW)])
        ).result()
        set_ahead(timedelta(minutes=10))
        assert asyncio.run(harness.messages.end_waits(NOW, LEASE)) == 0
        set_ahead(_HOUR)
        assert waits() == {_AHEAD}
        assert asyncio.run(harness.messages.end_waits(NOW, LEASE)) >= 4
        assert waits() == {NOW}
        assert harness.message(message)["until"] == _AHEAD
