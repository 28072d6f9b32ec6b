"""The risk hint of a declaration, by the register as it stood on the day of receipt."""

import pytest

from gateway.formats import xml
from gateway.formats.submission import read_envelope
from gateway.model.reform import Risk
from gateway.model.risk_hint import Hint
from tests.support.declarations import Declaration, enterprise
from tests.support.harness import Harness
from tests.support.rendering import render


def hint_of(harness: Harness, agent: str, trader: str) -> Hint:
    declaration = Declaration(agent=enterprise(agent), trader=enterprise(trader), entry_type="0")
    decision = harness.judged(agent, "a.xml", render(declaration))
    (submission,) = decision.submissions
    hint = read_envelope(xml.parse(submission.envelope)).hint
    assert hint is not None
    return hint


@pytest.mark.parametrize(
    ("agent", "trader", "risk", "inspection"),
    [
        ("broker-aa", "trader-a", Risk.LOW, "low"),
        ("broker-aa", "trader-aa", Risk.LOW, "low"),
        ("broker-b", "trader-a", Risk.UNKNOWN, "low"),
        ("broker-aa", "trader-b", Risk.UNKNOWN, "normal"),
        ("trader-a", "trader-a", Risk.LOW, "low"),
        ("trader-b", "trader-b", Risk.UNKNOWN, "normal"),
    ],
)
def test_customs_gets_the_hint_with_its_reason_in_the_envelope(
    harness: Harness, agent: str, trader: str, risk: Risk, inspection: str
) -> None:
    hint = hint_of(harness, agent, trader)
    assert (hint.risk, hint.inspection) == (risk, inspection)
    assert hint.treated_as in (risk, Risk.HIGH)
    assert hint.reasons[0].startswith(f"{risk}: trader ")
