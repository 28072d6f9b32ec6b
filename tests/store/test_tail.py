"""`gateway tail`: events as they are committed, filtered, and an end that is no failure."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from adapters.store.read.event_log import EventFilter, end_of_log, events_after, sequence_before
from gateway.model.states import State
from tests.support.declarations import owing_nothing
from tests.support.harness import NOW, Harness
from tests.support.rendering import render


@contextmanager
def tailing(harness: Harness, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "cli", "tail", "--home", str(harness.home.path), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def judged(harness: Harness, *references: str) -> None:
    for reference in references:
        harness.judged("broker-aa", f"{reference}.xml", render(owing_nothing(reference)))


def test_tail_yields_events_as_they_are_committed_until_it_is_ended(harness: Harness) -> None:
    judged(harness, "R1")
    with tailing(harness, "--since", "0", "--json") as process:
        assert process.stdout is not None
        before = [json.loads(process.stdout.readline()) for _ in range(2)]
        judged(harness, "R2")
        after = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert [(event["event"], event["state"], event["reference"]) for event in (*before, *after)] == [
        ("received", "received", "R1"),
        ("passed", "accepted", "R1"),
        ("received", "received", after[0]["reference"]),  # read before or after it was judged
        ("passed", "accepted", "R2"),
    ]
    assert [event["sequence"] for event in (*before, *after)] == [1, 2, 3, 4]
    assert before[0]["account"] == before[0]["actor"] == "broker-aa"


def test_a_reader_that_goes_away_ends_it_well(harness: Harness) -> None:
    judged(harness, "R1")
    with tailing(harness, "--since", "0", "--event", "passed") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "broker-aa  R1  passed  accepted  gateway" in process.stdout.readline()
        process.stdout.close()
        assert process.wait(20) == 0
        assert process.stderr.read() == ""


def tailed(harness: Harness, after: int = 0, **filters: Any) -> list[tuple[str | None, str]]:
    with harness.database.engine.connect() as reader:
        rows = events_after(reader, after, end_of_log(reader), EventFilter(**filters))
        return [(row["reference"], row["event"]) for row in rows]


def test_each_filter_takes_what_it_says(harness: Harness) -> None:
    judged(harness, "R1", "R2")
    harness.judged("trader-b", "bad.xml", b"<nothing/>")
    of_one, of_two = [("R1", "received"), ("R1", "passed")], [("R2", "received"), ("R2", "passed")]
    bad = [(None, "received"), (None, "refused")]
    assert tailed(harness) == [*of_one, *of_two, *bad]
    assert tailed(harness, 2) == [*of_two, *bad]
    assert tailed(harness, account="trader-b") == bad
    assert tailed(harness, party=harness.party("broker-aa").code, event="passed") == [of_one[1], of_two[1]]
    assert tailed(harness, state=State.REJECTED) == bad[1:]


def test_a_time_is_found_in_the_log_by_halving(harness: Harness) -> None:
    judged(harness, "R1", "R2", "R3")
    with harness.database.engine.connect() as reader:
        for seconds, expected in ((0, 0), (1, 0), (2, 2), (2.1, 3), (3, 4), (9, 6)):
            assert sequence_before(reader, NOW + timedelta(seconds=seconds)) == expected, seconds
