"""What stands where, and since when: the figures of `gateway stats` and of the monitors."""

from datetime import timedelta

from adapters.store.read.queue_stats import By, Depth, QueueStage, depths, rates, waits
from tests.support.declarations import owing_nothing
from tests.support.harness import NOW, Harness
from tests.support.operating import gateway, judge_again, refused
from tests.support.rendering import render


def _depths(harness: Harness) -> dict[tuple[QueueStage, str], Depth]:
    with harness.database.engine.connect() as reader:
        return {(depth.stage, depth.owner): depth for depth in depths(reader)}


def test_every_queue_stage_is_reported_even_if_it_is_empty(harness: Harness) -> None:
    stages = _depths(harness)
    assert {(stage, office) for stage, office in stages if not office} == {
        (stage, "")
        for stage in QueueStage
        if stage not in (QueueStage.TO_SEND, QueueStage.UNKNOWN, QueueStage.TO_POST)
    }
    assert all(stage.count == 0 and stage.oldest is None and stage.age(NOW) == 0 for stage in stages.values())


def test_queued_messages_are_counted_with_the_age_of_the_oldest(harness: Harness) -> None:
    for reference in ("R1", "R2"):
        harness.judged("broker-aa", f"{reference}.xml", render(owing_nothing(reference)))
    harness.received("trader-b", "late.xml", b"<nothing/>")
    stages = _depths(harness)
    judge, send = stages[QueueStage.TO_JUDGE, ""], stages[QueueStage.TO_SEND, "customs"]
    assert (judge.count, judge.oldest) == (1, NOW + timedelta(seconds=3))
    assert judge.age(NOW + timedelta(seconds=63)) == 60
    assert (send.count, send.oldest) == (2, NOW + timedelta(seconds=1, milliseconds=500))


def test_messages_and_their_verdicts_are_counted_by_the_hour(harness: Harness) -> None:
    for reference in ("R1", "R2"):
        harness.judged("broker-aa", f"{reference}.xml", render(owing_nothing(reference)))
    harness.judged("trader-b", "bad.xml", b"<nothing/>")
    begin, end = NOW, NOW + timedelta(hours=1)
    with harness.database.engine.connect() as reader:
        (all_,) = rates(reader, begin, end, None)
        broker, trader = rates(reader, begin, end, By.ACCOUNT)
        offices = rates(reader, begin, end, By.OFFICE)
        verdict, taken = waits(reader, begin, end)
        assert rates(reader, end, end + timedelta(hours=1), None) == []
    assert all_ == {"hour": "2026-11-23T04:00:00+00:00", "received": 3, "accepted": 2, "rejected": 1}
    assert (broker["account"], broker["received"], broker["accepted"]) == ("broker-aa", 2, 2)
    assert (trader["account"], trader["received"], trader["rejected"]) == ("trader-b", 1, 1)
    assert {office["office"]: office["received"] for office in offices} == {None: 1, "0202": 2}
    assert (verdict["until"], verdict["messages"], verdict["median"]) == ("verdict", 3, 0.5)
    assert (taken["messages"], taken["median"]) == (0, None)


def test_a_message_counts_once_by_its_first_verdict_however_late_it_is_replayed(
    harness: Harness,
) -> None:
    refused(harness)
    gateway(harness, "messages", "replay", "R1", "--reason", "limit raised")
    later = NOW + timedelta(days=2)
    judge_again(harness, later)
    with harness.database.engine.connect() as reader:
        counted = rates(reader, NOW, later + timedelta(hours=1), None)
        verdict, _taken = waits(reader, NOW, later + timedelta(hours=1))
        after = rates(reader, NOW + timedelta(hours=1), later + timedelta(hours=1), None)
    assert [(row["received"], row["accepted"], row["rejected"]) for row in counted] == [(1, 0, 1)]
    assert (verdict["messages"], verdict["p95"]) == (1, 0.5)
    assert after == []
