"""`gateway policy`: what is in force, and what another policy would have said."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from cli import app
from gateway.model.agreements import Act
from gateway.model.states import Event
from tests.support.association import ACCOUNT as ASSOCIATION
from tests.support.association import agreement, agreement_document, signed_notice
from tests.support.declarations import INVOICE, Declaration, Document
from tests.support.harness import Harness
from tests.support.pdfs import pdf
from tests.support.rendering import packed

ACCOUNT = "broker-aa"


def run_json(harness: Harness, *words: str) -> list[dict[str, Any]]:
    run = CliRunner().invoke(app, ["policy", *words, "--home", str(harness.home.path), "--json"])
    assert run.exit_code == 0, run.output
    return list(json.loads(run.stdout))


def test_the_rows_of_a_day_are_shown_with_their_sources(harness: Harness) -> None:
    eligible = {
        day: [
            row["says"]
            for row in run_json(harness, "show", "--on", day)
            if row["section"] == "reform.eligible"
        ]
        for day in ("2012-07-31", "2012-08-01", "2013-05-01")
    }
    assert eligible == {
        "2012-07-31": [],
        "2012-08-01": ["classes=AA,A-producing,A"],
        "2013-05-01": ["classes=AA,A-producing,A,B"],
    }


def test_limits_are_shown_too(harness: Harness) -> None:
    assert {"pdf.size": "4194304"}.items() <= {
        row["section"]: row["says"] for row in run_json(harness, "show")
    }.items()


def test_policy_try_shows_which_messages_another_policy_would_have_judged_otherwise(
    harness: Harness, tmp_path: Path
) -> None:
    with_pdf = Declaration(reference="R1", documents=(Document(code=INVOICE, body=pdf(size=30_000)),))
    first = harness.judged(ACCOUNT, "a.zip", packed(with_pdf))
    harness.judged(ACCOUNT, "b.zip", packed(Declaration(reference="R2")))
    other = tmp_path / "other.toml"
    policy = (harness.home.path / "policy.toml").read_text("utf-8")
    other.write_text(policy.replace("size = 4194304", "size = 20000"), "utf-8")
    before = harness.message(first.message)
    (row,) = run_json(harness, "try", str(other))
    assert (row["id"], row["was"]) == (first.message, "accepted")
    assert row["would_be"].startswith("rejected: DEC-6")
    assert harness.message(first.message) == before


def test_the_present_policy_changes_nothing(harness: Harness) -> None:
    harness.judged(ACCOUNT, "a.zip", packed(Declaration(reference="R1")))
    harness.judged(ACCOUNT, "b.zip", packed(Declaration(reference="R1")))
    harness.judged(ACCOUNT, "c.zip", packed(Declaration(reference="R1", office="2248")))
    harness.judged(ACCOUNT, "d.xml", b"<not-xml")
    assert run_json(harness, "try", str(harness.home.path / "policy.toml")) == []


def test_policy_try_does_not_blame_the_policy_for_an_agreement_that_ended_since(
    harness: Harness, tmp_path: Path
) -> None:
    number = "195200016172325"
    confirmed = signed_notice(harness.home, agreement(number), Act.CONFIRMED)
    assert harness.judged(ASSOCIATION, "a.xml", confirmed).event is Event.ACCEPTED_NO_DELIVERY
    under = Declaration(reference="R1", documents=(agreement_document(number),))
    assert harness.judged(ACCOUNT, "a.zip", packed(under)).event is Event.PASSED
    present = harness.home.path / "policy.toml"
    assert run_json(harness, "try", str(present)) == []
    ended = signed_notice(harness.home, agreement(number), Act.TERMINATED)
    assert harness.judged(ASSOCIATION, "b.xml", ended).event is Event.PASSED
    other = tmp_path / "other.toml"
    other.write_text(present.read_text("utf-8").replace("lines = 50", "lines = 49"), "utf-8")
    assert run_json(harness, "try", str(other)) == []


def test_a_row_without_a_condition_says_that_it_fits_anything(harness: Harness) -> None:
    rows = {(row["section"], row["says"]) for row in run_json(harness, "show", "--on", "2026-11-23")}
    assert ("reform.scope", "any") in rows
    assert ("reform.demand", "direction=I processing=true documents=00000001") in rows


def test_a_policy_with_an_unknown_key_is_refused_with_file_and_key(harness: Harness, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text("[pdf]\nsise = 1\n", "utf-8")
    run = CliRunner().invoke(app, ["policy", "try", str(other), "--home", str(harness.home.path)])
    assert run.exit_code == 2
    assert "other.toml: pdf.sise" in run.stderr
