"""What the node hands to its worker processes besides judgement."""

import asyncio
import base64
import os
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from hashlib import shake_128
from multiprocessing import active_children
from pathlib import Path

import pytest

from adapters.run.judge_pool import WorkerJudges
from adapters.run.worker import Judging
from adapters.store.tables.messages import messages
from adapters.store.write.answers import SqlAnswers
from gateway.formats.xml import trusted
from gateway.model.answer import Answer
from gateway.model.states import Event
from gateway.respond.answer import Unreadable
from gateway.respond.answer_intake import CustomsAnswers
from gateway.run.ports import WorkerDied
from tests.support.costly_pdfs import in_object_streams
from tests.support.declarations import Declaration
from tests.support.harness import NOW, Harness
from tests.support.keys import xmlsec1_trusts
from tests.support.rendering import package, render
from tests.support.validating import families


@contextmanager
def _judges(
    harness: Harness,
    seconds: float = 30,
    seconds_to_read: float = 10,
    memory: int = 768,
    patience: float = 1,
) -> Iterator[WorkerJudges]:
    """With one worker."""
    rules = harness.rules
    judges = WorkerJudges(
        *(harness.home, Judging.from_home(harness.home, rules.policy, rules.routes)),
        workers=1,
        seconds=seconds,
        seconds_to_read=seconds_to_read,
        memory=memory,
        patience=patience,
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


DOCUMENT = b'<a xmlns="urn:customs-edi-gateway:1">%d</a>'


def test_documents_come_back_from_a_worker_signed_and_in_their_order(tmp_path: Path) -> None:
    with Harness.at(tmp_path / "home") as harness:
        with _judges(harness) as judges:
            signed = asyncio.run(judges.signed([DOCUMENT % 1, DOCUMENT % 2]))
            nothing = asyncio.run(judges.signed([]))
        certificate = harness.home.certificate.read_text()
    assert [trusted(document).text for document in signed] == ["1", "2"]
    assert all(xmlsec1_trusts(document, certificate, NOW) for document in signed)
    assert list(nothing) == []


def test_an_answer_that_takes_too_long_is_held_with_its_reason_and_acknowledged(tmp_path: Path) -> None:
    answer = Answer(id="1", name="r.xml", body=b"<r/>")
    with ExitStack() as stack:
        harness = stack.enter_context(Harness.at(tmp_path / "home"))
        with _at_a_standstill():
            judges = stack.enter_context(_judges(harness, seconds_to_read=0))
        answer_store = SqlAnswers(harness.database, lambda: NOW)
        answers = CustomsAnswers(
            answer_store, harness.register, families(), harness.rules.policy, judges, lambda: NOW
        )
        assert asyncio.run(answers.take_in("customs", [answer])) == []
        (held,) = harness.rows(messages, kind="answer")
    assert (held["state"], held["reason"]) == ("held", "cannot be read: it took longer than 0 s")


def test_a_worker_reads_an_answer_as_the_node_would(tmp_path: Path) -> None:
    with Harness.at(tmp_path / "home") as harness, _judges(harness) as judges:
        notice = b'<AgreementNotice xmlns="urn:customs-edi-gateway:1"/>'
        assert asyncio.run(judges.parsed(notice)) is None
        for unreadable, why in ((b"<r", "xml-malformed"), (b"<r/>", "family-unknown")):
            with pytest.raises(Unreadable, match=why):
                asyncio.run(judges.parsed(unreadable))


def test_the_time_of_a_judgement_grows_with_the_size_of_its_package(tmp_path: Path) -> None:
    with ExitStack() as stack:
        harness = stack.enter_context(Harness.at(tmp_path / "home"))
        with _at_a_standstill():
            judges = stack.enter_context(_judges(harness, seconds=0))
        small = harness.received("broker-aa", "a.xml", b"<r/>")
        with pytest.raises(WorkerDied, match="took longer than 0 s"):
            asyncio.run(judges.judge(small, NOW))
        large = replace(small, arrival=replace(small.arrival, size=1_000_000_000))
        assert asyncio.run(judges.judge(large, NOW)).findings


ELEMENTS = b"<r>" + b"<a/>" * 1_500_000 + b"</r>"
SHAPES = {
    "elements": ELEMENTS,
    "comments": b"<r>" + b"<!---->" * 1_000_000 + b"</r>",
    "GBK": b'<?xml version="1.0" encoding="GBK"?><r>' + ("发" * 4_500_000).encode("gbk") + b"</r>",
    "broken after much": b"<r>" + b"<a/>" * 500_000,
    "a PDF": in_object_streams(1, 3_900_000),
}


def test_a_message_that_exhausts_a_workers_memory_twice_is_refused_with_the_limit(tmp_path: Path) -> None:
    with Harness.at(tmp_path / "home") as harness, _judges(harness, memory=64) as judges:
        costly = harness.received("broker-aa", "costly.xml", ELEMENTS)
        refused = asyncio.run(judges.judge(costly, NOW))
        asyncio.run(harness.messages.decide(refused, NOW))
        assert refused.event is Event.REFUSED
        assert [finding.code for finding in refused.findings] == ["package-too-costly"]
        assert "64 MB of memory" in refused.findings[0].en
        assert [receipt.verdict for receipt in refused.receipts if receipt.final] == ["rejected"]
        sound = harness.received("broker-aa", "sound.xml", render(Declaration()))
        assert asyncio.run(judges.judge(sound, NOW)).event is Event.PASSED


def test_lack_of_memory_is_never_reported_as_another_fault(tmp_path: Path) -> None:
    with Harness.at(tmp_path / "home") as harness:
        collected: dict[tuple[str, int], list[str]] = {}
        received = {shape: harness.received("broker-aa", shape, body) for shape, body in SHAPES.items()}
        for memory in (768, 16):
            with _judges(harness, memory=memory) as judges:
                for shape, each in received.items():
                    result = asyncio.run(judges.judge(each, NOW)).findings
                    collected[shape, memory] = [finding.code for finding in result]
    for (shape, memory), codes in collected.items():
        assert codes in (collected[shape, 768], ["package-too-costly"]), (shape, memory)
    assert ["package-too-costly"] in collected.values()


def test_a_message_that_exhausts_a_workers_time_twice_is_refused_with_the_limit(tmp_path: Path) -> None:
    # More than a second wherever it is read: the kernel counts whole ones. Packed, since a larger package may
    # take longer; what does not deflate keeps the ratio in bounds.
    noise = base64.b64encode(shake_128(b"noise").digest(300_000))
    costly = package(b"<r><!--" + noise + b"-->" + b"<a/>x" * 6_300_000 + b"</r>", {}, "costly.xml")
    with (
        Harness.at(tmp_path / "home") as harness,
        _judges(harness, seconds=0.1, memory=3000, patience=1000) as judges,
    ):
        refused = asyncio.run(judges.judge(harness.received("broker-aa", "costly.zip", costly), NOW))
    assert [finding.code for finding in refused.findings] == ["package-too-costly"]
    assert re.search(r"\(0\.1 s of CPU time\)", refused.findings[0].en)
