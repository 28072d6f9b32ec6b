"""What is not whole yet: one list for every door, and for each account what its own software does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docs.generate import ROOT
from gateway.model.parties import Account
from gateway.model.unfinished_names import SUFFIXES, is_unfinished, whole_name
from tests.support.unfinished import UNFINISHED


@pytest.mark.parametrize("name", UNFINISHED)
def test_temporary_names_of_clients_count_as_unfinished_in_any_letter_case(name: str) -> None:
    assert is_unfinished(name)
    assert is_unfinished(name.upper())


@pytest.mark.parametrize("name", ["a.xml", "a.zip", "报关单.ZIP", "a.tmp.xml", "part", "a~b.pdf", "a.parts"])
def test_whole_files_are_none(name: str) -> None:
    assert not is_unfinished(name)


@given(st.sampled_from(SUFFIXES), st.text(min_size=1, max_size=50))
def test_a_suffix_counts_whatever_stands_before_it(suffix: str, before: str) -> None:
    assert is_unfinished(before + suffix)
    assert whole_name(before + suffix) == before or before.lower().endswith(SUFFIXES)


def test_an_account_may_have_further_suffixes() -> None:
    account = Account(name="broker", keys=(), unfinished=(".sending",))
    assert account.is_unfinished("a.xml.SENDING")
    assert not Account(name="other", keys=()).is_unfinished("a.xml.sending")
    assert whole_name("a.xml.sending", account.unfinished) == "a.xml"


@pytest.mark.parametrize("document", ["for-brokers.md", "for-brokers.zh.md"])
def test_the_documents_name_the_same_suffixes(document: str) -> None:
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    assert f"`{' '.join(SUFFIXES)}`" in text
