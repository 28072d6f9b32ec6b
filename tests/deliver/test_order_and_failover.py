"""What a submission says of its declaration and of other ways, from routes and from what was before."""

import pytest

from gateway.config.bad_settings import BadSettings
from tests.support.declarations import Declaration, Document
from tests.support.harness import Harness
from tests.support.pdfs import pdf
from tests.support.rendering import packed


def test_a_route_that_fails_over_to_what_is_no_back_end_is_refused_by_name(harness: Harness) -> None:
    path = harness.home.path / "routes.toml"
    text = path.read_text("utf-8")
    path.write_text(
        text.replace('backend = "customs"\n', 'backend = "customs"\nfailover = ["moon"]\n', 1), "utf-8"
    )
    with pytest.raises(BadSettings, match=r"route.failover: .* named moon"):
        harness.home.routes()


def test_a_declaration_after_a_temporary_save_is_about_what_that_is_about(harness: Harness) -> None:
    documents = (Document(body=pdf()),)
    saved = harness.judged("broker-aa", "a.zip", packed(Declaration(operation="G", documents=documents)))
    declared = harness.judged("broker-aa", "b.zip", packed(Declaration(operation="C", documents=documents)))
    other = harness.judged("broker-aa", "c.zip", packed(Declaration(reference="R2", documents=documents)))
    about = [decision.submissions[0].about for decision in (saved, declared, other)]
    assert about == [saved.message, saved.message, other.message]
