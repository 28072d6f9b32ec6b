"""`gateway documents`: what declarations owe, as people read it."""

from typer.testing import CliRunner

from cli import app
from tests.support.declarations import Declaration
from tests.support.harness import Harness
from tests.support.rendering import render

ACCOUNT = "broker-aa"


def output(harness: Harness, *words: str) -> str:
    run = CliRunner().invoke(app, ["documents", *words, "--home", str(harness.home.path)])
    assert run.exit_code == 0, run.output
    return run.stdout


def test_a_paper_entry_is_not_listed_as_one_that_keeps_documents(harness: Harness) -> None:
    harness.judged(ACCOUNT, "paper.xml", render(Declaration(reference="PAPER", entry_type="0")))
    harness.judged(ACCOUNT, "data.xml", render(Declaration(reference="DATA")))
    rows = {line.split()[0]: line for line in output(harness, "list").splitlines()[1:]}
    assert "after-release" in rows["DATA"]
    assert "kept" not in rows["PAPER"]


def test_each_source_of_an_obligation_is_listed_on_its_own(harness: Harness) -> None:
    harness.judged(ACCOUNT, "data.xml", render(Declaration(reference="DATA")))
    shown = " ".join(output(harness, "show", "DATA").split())
    assert "clause 2(1)2, since 2014-04-01; reform plan, trader AA otherwise" in shown
    assert "overdue no" in shown
