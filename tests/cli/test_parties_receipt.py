"""The class in force on the day on which a message came decides, whenever it is judged."""

from datetime import timedelta
from pathlib import Path

import pytest

from adapters.store.write.parties import say
from gateway.formats.submission import read_envelope
from gateway.formats.xml import trusted
from gateway.model.parties import TraderClass
from gateway.operate.party_changes import Stated
from tests.support.declarations import Declaration
from tests.support.desk import NOW, Desk
from tests.support.rendering import render


@pytest.mark.parametrize(("days", "told"), [(1, "AA"), (0, "B"), (-1, "B")])
def test_a_class_that_changes_before_judgement_counts_only_if_it_was_in_force_at_receipt(
    tmp_path: Path, days: int, told: str
) -> None:
    with Desk.at(tmp_path / "home") as desk:
        received = desk.received("broker-aa", "a.xml", render(Declaration()))
        later = NOW + timedelta(days=days)
        said = Stated(place="", code=desk.party("broker-aa").code, trader_class=TraderClass.B)
        desk.database.submit(lambda transaction: say(transaction, [said], "tests", "", later)).result()

        decision = desk.judgement(received)

    (submission,) = decision.submissions
    assert read_envelope(trusted(submission.envelope)).sender["class"] == told
