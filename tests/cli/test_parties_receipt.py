"""The class in force on the day on which a message came decides, whenever it is judged."""

from datetime import timedelta
from pathlib import Path

import pytest

from adapters.store.write.parties import SqlParties
from gateway.formats.submission import read_envelope
from gateway.formats.xml import trusted
from gateway.model.parties import TraderClass
from gateway.operate.parties import import_parties
from gateway.operate.party_changes import PartyRecord
from tests.support.declarations import Declaration
from tests.support.harness import NOW, Harness
from tests.support.rendering import render


@pytest.mark.parametrize(("days", "expected"), [(1, "AA"), (0, "B"), (-1, "B")])
def test_a_class_that_changes_before_judgement_counts_only_if_it_was_in_force_at_receipt(
    tmp_path: Path, days: int, expected: str
) -> None:
    with Harness.at(tmp_path / "home") as harness:
        received = harness.received("broker-aa", "a.xml", render(Declaration()))
        later = NOW + timedelta(days=days)
        record = PartyRecord(place="", code=harness.party("broker-aa").code, trader_class=TraderClass.B)
        import_parties(SqlParties(harness.database), [record], "tests", "", later)

        decision = harness.judgement(received)

    (submission,) = decision.submissions
    assert read_envelope(trusted(submission.envelope)).sender["class"] == expected
