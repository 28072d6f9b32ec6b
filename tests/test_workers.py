"""What the node hands to its worker processes besides judgement."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path

import pytest

from adapters.stores.answers import SqlAnswers
from adapters.stores.tables import messages
from adapters.workers import Judging, WorkerJudges
from gateway.answers import Unreadable
from gateway.customs_answers import CustomsAnswers
from gateway.ports import Answer, WorkerDied
from gateway.xml import trusted
from tests.desk import NOW, Desk
from tests.keys import xmlsec1_trusts
from tests.validating import families


@contextmanager
def _judges(desk: Desk, seconds: float = 30, seconds_to_read: float = 10) -> Iterator[WorkerJudges]:
    """With one worker."""
    rules = desk.rules
    judges = WorkerJudges(
        *(desk.home, Judging.of(desk.home, rules.policy, rules.routes)),
        workers=1,
        seconds=seconds,
        seconds_to_read=seconds_to_read,
    )
    try:
        yield judges
    finally:
        judges.close()


@contextmanager
def _at_a_standstill() -> Iterator[None]:
    """Workers that are started inside do nothing when it is left."""
    before = set(active_children())
    yield
    for child in set(active_children()) - before:
        assert child.pid is not None
        os.kill(child.pid, signal.SIGSTOP)


def test_documents_come_back_from_a_worker_signed_and_in_their_order(tmp_path: Path) -> None:
    with Desk.at(tmp_path / "home") as desk:
        with _judges(desk) as judges:
            signed = asyncio.run(judges.signed([b"<a>1</a>", b"<a>2</a>"]))
            nothing = asyncio.run(judges.signed([]))
        certificate = desk.home.certificate.read_text()
    assert [trusted(document).text for document in signed] == ["1", "2"]
    assert all(xmlsec1_trusts(document, certificate, NOW) for document in signed)
    assert list(nothing) == []


def test_an_answer_that_takes_too_long_is_held_with_its_reason_and_counts_as_heard(tmp_path: Path) -> None:
    said = Answer(id="1", name="r.xml", body=b"<r/>")
    with ExitStack() as stack:
        desk = stack.enter_context(Desk.at(tmp_path / "home"))
        with _at_a_standstill():
            judges = stack.enter_context(_judges(desk, seconds_to_read=0))
        book = SqlAnswers(desk.database, lambda: NOW)
        answers = CustomsAnswers(book, desk.register, families(), desk.rules.policy, judges, lambda: NOW)
        assert asyncio.run(answers.take_in("customs", [said])) == []
        (held,) = desk.rows(messages, kind="answer")
    assert (held["state"], held["reason"]) == ("held", "cannot be read: it took longer than 0 s")


def test_what_a_back_end_says_is_read_in_a_worker_as_it_would_be_here(tmp_path: Path) -> None:
    with Desk.at(tmp_path / "home") as desk, _judges(desk) as judges:
        notice = b'<AgreementNotice xmlns="urn:customs-edi-gateway:1"/>'
        assert asyncio.run(judges.told(notice)) is None
        for unreadable, why in ((b"<r", "xml-malformed"), (b"<r/>", "family-unknown")):
            with pytest.raises(Unreadable, match=why):
                asyncio.run(judges.told(unreadable))


def test_the_time_of_a_judgement_grows_with_the_size_of_its_package(tmp_path: Path) -> None:
    with ExitStack() as stack:
        desk = stack.enter_context(Desk.at(tmp_path / "home"))
        with _at_a_standstill():
            judges = stack.enter_context(_judges(desk, seconds=0))
        small = desk.received("broker-aa", "a.xml", b"<r/>")
        with pytest.raises(WorkerDied, match="took longer than 0 s"):
            asyncio.run(judges.judge(small, NOW))
        large = replace(small, arrival=replace(small.arrival, size=1_000_000_000))
        assert asyncio.run(judges.judge(large, NOW)).findings
