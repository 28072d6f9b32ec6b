"""`gateway messages package`: a sender's bytes, wherever they are kept."""

from pathlib import Path

import pytest

from adapters.store.tables.messages import messages
from gateway.model.blobs import SMALL
from tests.support.customs import customs_answers
from tests.support.declarations import Declaration
from tests.support.harness import Harness
from tests.support.operating import gateway
from tests.support.rendering import render


@pytest.mark.parametrize("more", [0, SMALL], ids=["in the store", "a file"])
def test_a_package_is_written_as_it_was_sent_for_its_owner_only(
    harness: Harness, tmp_path: Path, more: int
) -> None:
    sent = render(Declaration(reference="R1")) + b" " * more
    harness.judged("broker-aa", "R1.xml", sent)
    to = tmp_path / "R1.xml"
    result = gateway(harness, "messages", "package", "R1", "--to", str(to))
    assert (result.code, to.read_bytes()) == (0, sent)
    assert to.stat().st_mode & 0o777 == 0o600
    again = gateway(harness, "messages", "package", "R1", "--to", str(to))
    assert (again.code, "File exists" in again.err) == (3, True)
    assert to.read_bytes() == sent


def test_an_answer_of_customs_has_no_package(harness: Harness, tmp_path: Path) -> None:
    accepted = harness.judged("broker-aa", "R1.xml", render(Declaration(reference="R1")))
    customs_answers(harness, accepted.message, "000000001230540010", "020220261234567890", "L")
    (answer,) = harness.rows(messages, kind="answer")
    result = gateway(harness, "messages", "package", answer["id"], "--to", str(tmp_path / "a.xml"))
    assert (result.code, "has no package" in result.err) == (1, True)
    assert not (tmp_path / "a.xml").exists()
