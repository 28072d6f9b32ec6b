"""Envelopes of DXP over a folder, of which both ends are set to them."""

import asyncio
from contextlib import closing
from pathlib import Path

from adapters.backends.directory import DirectoryBackend
from adapters.backends.exchange import Exchange
from adapters.sandbox.customs.serving import ExchangeServing
from gateway.model.delivery import Outcome
from tests.support.submissions import CUSTOMS, DXP, given_answers, reference_customs, sent


def test_submissions_and_answers_over_a_folder_stand_in_envelopes(tmp_path: Path) -> None:
    once, exchange = sent(), Exchange(tmp_path / "exchange")
    with closing(DirectoryBackend(exchange.folder, DXP)) as gateway:
        assert once.to(gateway) == (Outcome.TAKEN, "")
        assert (exchange.out / f"{once.key}.xml").read_bytes().count(b"<DxpMsg ") == 1
        with closing(reference_customs(tmp_path / "customs")) as customs:
            assert asyncio.run(ExchangeServing(exchange, customs, DXP).turn())
        assert [file.name for file in exchange.taken.iterdir()] == [f"{once.key}.xml"]
        assert asyncio.run(gateway.ask(once.key))[0] is Outcome.TAKEN
        assert all(b"<DxpMsg " in file.read_bytes() for file in exchange.into.glob("*.xml"))
        answers = given_answers(gateway)

    assert [answer.name.partition("_")[0] + "_" for answer in answers] == list(CUSTOMS.answers)
    assert {answer.key for answer in answers} == {once.key}
    assert all(b"DxpMsg" not in answer.body for answer in answers)


def test_an_envelope_of_another_message_is_refused(tmp_path: Path) -> None:
    once, other, exchange = sent("A"), sent("B"), Exchange(tmp_path / "exchange")
    with closing(DirectoryBackend(exchange.folder, DXP)) as gateway:
        once.to(gateway)
        (exchange.out / f"{once.key}.xml").rename(exchange.out / f"{other.key}.xml")
        with closing(reference_customs(tmp_path / "customs")) as customs:
            asyncio.run(ExchangeServing(exchange, customs).turn())
            assert asyncio.run(customs.ask(other.key))[0] is Outcome.LATER
        assert [file.name for file in exchange.refused.glob("*.xml")] == [f"{other.key}.xml"]
        (answer,) = given_answers(gateway)
        assert (answer.key, answer.name) == (other.key, f"Failed_{other.key}.xml")
