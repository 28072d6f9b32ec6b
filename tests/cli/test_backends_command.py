"""`gateway backends pause|resume`: said twice is as good as once."""

from adapters.home.actor import actor
from adapters.store.tables.messages import events
from tests.support.harness import Harness
from tests.support.operating import gateway


def test_pausing_or_resuming_twice_changes_nothing_more_and_says_so(harness: Harness) -> None:
    def run(verb: str, reason: str) -> tuple[int, str]:
        done = gateway(harness, "backends", verb, "customs", "--reason", reason)
        return done.code, done.out

    assert run("resume", "it is over") == (0, "customs is not paused; nothing is changed\n")
    assert run("pause", "until six") == (0, "customs is paused\n")
    first = f"({actor()}: until six)"
    assert run("pause", "again") == (0, f"customs is paused already; nothing is changed {first}\n")
    assert run("resume", "it is over") == (0, "customs is resumed\n")
    assert run("resume", "again") == (0, "customs is not paused; nothing is changed\n")
    rows = [row["event"] for row in harness.rows(events) if row["event"].startswith("backend-")]
    assert rows == ["backend-paused", "backend-resumed"]


def test_the_json_output_says_whether_it_changed_anything(harness: Harness) -> None:
    pause = ("backends", "pause", "customs", "--reason", "until six", "--json")
    assert gateway(harness, *pause).json["changed"] is True
    again = gateway(harness, *pause).json
    assert (again["changed"], again["paused_by"], again["pause_reason"]) == (False, actor(), "until six")


def test_a_back_end_that_the_settings_do_not_name_ends_with_1(harness: Harness) -> None:
    for verb in ("pause", "resume"):
        result = gateway(harness, "backends", verb, "nobody", "--reason", "x")
        assert (result.code, "it has: customs, association" in result.err) == (1, True), result
