"""What a served gateway writes into its log: a message by its id, and nothing of what it says."""

import json
from pathlib import Path

from gateway.formats.xml import trusted
from tests.support.declarations import owing_nothing
from tests.support.invariants import unfinished
from tests.support.rendering import render
from tests.support.served import Gateway

REFERENCES = ("LOGGED0000000001", "LOGGED0000000002")


def contents(document: bytes) -> set[str]:
    """Every value of a document that is long enough to be told from chance; a reference is an id."""
    texts = {text.strip() for text in trusted(document).itertext()}
    return {text for text in texts if len(text) >= 6} - set(REFERENCES)


def test_the_log_knows_messages_by_their_ids_and_holds_nothing_of_them(tmp_path: Path) -> None:
    good, other = (render(owing_nothing(reference)) for reference in REFERENCES)
    bad = other.replace(b"<TradeMode>", b"<TradeMode>SECRET-MODE", 1)
    assert bad != other
    with Gateway(tmp_path) as gateway:
        gateway.send("broker-aa", "good.xml", good)
        gateway.send("broker-aa", "bad.xml", bad)
        gateway.send("broker-aa", "broken.xml", b"<DecMessage><GName>SECRET-GOODS</GName>")
        gateway.until(lambda: not unfinished(gateway.home))
        assert gateway.stop() == 0
    log = gateway.log.read_text("utf-8")
    lines = [json.loads(line) for line in log.splitlines()]
    events = [line["event"] for line in lines]
    assert {"upload", "judged", "dispatched", "answered"} <= set(events)
    assert events.count("judged") == 3
    for line in lines:
        if line["event"] in ("upload", "judged", "dispatched", "answered"):
            assert len(line.get("message") or line["id"]) == 26
    values = contents(good) | contents(bad)
    assert len(values) > 20
    for value in (*values, "SECRET-GOODS", "SECRET-MODE"):
        assert value not in log, value
