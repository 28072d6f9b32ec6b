"""What was decided on many messages before is decided on them now."""

import json

from tests.judge.recorded_decisions import RECORD, decisions, recorded


def test_every_recorded_message_is_decided_as_before() -> None:
    before = json.loads(RECORD.read_text("utf-8"))
    now = dict(decisions())
    assert now.keys() == before.keys()
    assert {name: text for name, text in now.items() if recorded(text) != before[name]} == {}
