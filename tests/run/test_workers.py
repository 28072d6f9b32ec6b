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
from pathlib import Path

import pytest

from adapters.run.fork_server import ForkServer, ForkServerEnded
from adapters.run.judge_pool import WorkerJudges
from adapters.run.worker import Judging
from adapters.store.tables.messages import messages
from adapters.store.write.answers import SqlAnswers
from bench.processes import descendants
from gateway.formats.xml import trusted
from gateway.model.answer import Answer
from gateway.model.decision import Decision
from gateway.model.faults import JudgementDeferred
from gateway.model.states import Event
from gateway.respond.answer_intake import CustomsAnswers
from gateway.respond.ports import ReceivedAnswer, Unmatched
from gateway.run.ports import WorkerDied
from tests.support.costly_pdfs import in_object_streams
from tests.support.declarations import Declaration
from tests.support.harness import NOW, Harness
from tests.support.keys import xmlsec1_trusts
from tests.support.rendering import package, render


@pytest.fixture
def forks() -> Iterator[ForkServer]:
    with ForkServer() as forks:
        yield forks


@contextmanager
def _judges(
    forks: ForkServer,
    harness: Harness,
    seconds: float = 30,
    seconds_to_read: float = 10,
    memory: int = 768,
    patience: float = 1,
    *,
    stopped: bool = False,
) -> Iterator[WorkerJudges]:
    """With one worker. It does nothing if it is `stopped`; one that replaces it does."""
    rules = harness.rules
    judges = WorkerJudges(
        *(forks, harness.home, Judging.from_home(harness.home, rules.policy, rules.routes)),
        workers=1,
        seconds=seconds,
        seconds_to_read=seconds_to_read,
        memory=memory,
        patience=patience,
    )
    for pid in descendants(forks.pid) if stopped else ():
        os.kill(pid, signal.SIGSTOP)
    try:
        yield judges
    finally:
        judges.close()


UNMATCHED_ANSWER = (
    b"<DEC_RESULT><CUS_CIQ_NO>I1</CUS_CIQ_NO><ENTRY_ID/><NOTICE_DATE>2026-11-23T13:00:00</NOTICE_DATE>"
    b"<CHANNEL>L</CHANNEL><NOTE/><CUSTOM_MASTER/><I_E_DATE/><D_DATE/></DEC_RESULT>"
)


def _received(body: bytes) -> ReceivedAnswer:
    return ReceivedAnswer(backend="customs", answer=Answer(id="1", name="r.xml", body=body))


DOCUMENT = b'<a xmlns="urn:customs-edi-gateway:1">%d</a>'


def test_documents_come_back_from_a_worker_signed_and_in_their_order(
    tmp_path: Path, forks: ForkServer
) -> None:
    with Harness.at(tmp_path / "home") as harness:
        with _judges(forks, harness) as judges:
            signed = asyncio.run(judges.signed([DOCUMENT % 1, DOCUMENT % 2]))
            nothing = asyncio.run(judges.signed([]))
        certificate = harness.home.certificate.read_text()
    assert [trusted(document).text for document in signed] == ["1", "2"]
    assert all(xmlsec1_trusts(document, certificate, NOW) for document in signed)
    assert list(nothing) == []


def test_an_answer_that_takes_too_long_is_held_with_its_reason_and_acknowledged(
    tmp_path: Path, forks: ForkServer
) -> None:
    answer = Answer(id="1", name="r.xml", body=b"<r/>")
    with ExitStack() as stack:
        harness = stack.enter_context(Harness.at(tmp_path / "home"))
        judges = stack.enter_context(_judges(forks, harness, seconds_to_read=0, stopped=True))
        answer_store = SqlAnswers(harness.database, lambda: NOW)
        answers = CustomsAnswers(answer_store, judges, lambda: NOW)
        assert not asyncio.run(answers.take_in("customs", [answer]))
        (held,) = harness.rows(messages, kind="answer")
    assert (held["state"], held["reason"]) == ("held", "cannot be read: it took longer than 0 s")


def test_answers_that_arrive_together_are_decided_each_by_itself(tmp_path: Path, forks: ForkServer) -> None:
    bodies = (b'<AgreementNotice xmlns="urn:customs-edi-gateway:1"/>', b"<r", b"<r/>", UNMATCHED_ANSWER)
    with Harness.at(tmp_path / "home") as harness, _judges(forks, harness) as judges:
        decided = asyncio.run(judges.decided([_received(body) for body in bodies]))
    assert [each.answer.body for each in decided.no_answers] == [bodies[0]]
    malformed, unknown, unmatched = (filed for (filed,) in decided.chains)
    assert isinstance(malformed, Unmatched)
    assert "xml-malformed" in malformed.reason
    assert isinstance(unknown, Unmatched)
    assert "family-unknown" in unknown.reason
    assert isinstance(unmatched, Unmatched)
    assert unmatched.waiting_for == "seq_no I1"


def test_an_answer_that_exhausts_a_worker_is_held_and_the_others_are_decided(
    tmp_path: Path, forks: ForkServer
) -> None:
    given = [UNMATCHED_ANSWER, UNMATCHED_ANSWER, ELEMENTS, UNMATCHED_ANSWER]
    with Harness.at(tmp_path / "home") as harness, _judges(forks, harness, memory=64) as judges:
        decided = asyncio.run(judges.decided([_received(body) for body in given]))
    reasons = {
        filed.answer.body: filed.reason
        for chain in decided.chains
        for filed in chain
        if isinstance(filed, Unmatched)
    }
    assert reasons == {ELEMENTS: "cannot be read: it took more than 64 MB of memory", UNMATCHED_ANSWER: ""}
    assert sum(len(chain) for chain in decided.chains) == len(given)


def test_of_messages_that_are_judged_together_only_the_one_that_exhausts_a_worker_is_refused(
    tmp_path: Path, forks: ForkServer
) -> None:
    with Harness.at(tmp_path / "home") as harness, _judges(forks, harness, memory=64) as judges:
        sound = [
            harness.received("broker-aa", f"{n}.xml", render(Declaration(reference=f"R{n}")))
            for n in range(3)
        ]
        noise = base64.b64encode(shake_128(b"noise").digest(45_000))  # keeps the ratio in bounds
        body = b"<r><!--" + noise + b"-->" + b"<a/>" * 1_000_000 + b"</r>"
        costly = harness.received("broker-aa", "costly.zip", package(body, {}, "costly.xml"))
        assert costly.arrival.size < 64 * 1024

        async def judged() -> list[Decision]:
            return await asyncio.gather(*(judges.judge(each, NOW) for each in (*sound[:2], costly, sound[2])))

        first, second, refused, third = asyncio.run(judged())
    assert [each.event for each in (first, second, third)] == [Event.PASSED] * 3
    assert [finding.code for finding in refused.findings] == ["package-too-costly"]


def test_the_time_of_a_judgement_grows_with_the_size_of_its_package(
    tmp_path: Path, forks: ForkServer
) -> None:
    with ExitStack() as stack:
        harness = stack.enter_context(Harness.at(tmp_path / "home"))
        judges = stack.enter_context(_judges(forks, harness, seconds=0, stopped=True))
        small = harness.received("broker-aa", "a.xml", b"<r/>")
        with pytest.raises(WorkerDied, match="took longer than 0 s"):
            asyncio.run(judges.judge(small, NOW))
        large = replace(small, arrival=replace(small.arrival, size=1_000_000_000))
        assert asyncio.run(judges.judge(large, NOW)).findings


def test_messages_are_left_to_the_next_node_where_neither_a_worker_is_left_nor_what_forks_them(
    tmp_path: Path,
) -> None:
    with (  # noqa: PT012  # until the end of the context
        pytest.raises(ForkServerEnded),
        ForkServer() as forks,
        Harness.at(tmp_path / "home") as harness,
        _judges(forks, harness) as judges,
    ):
        sound = [harness.received("broker-aa", f"{number}.xml", b"<r/>") for number in range(3)]
        workers = descendants(forks.pid)
        for pid in (forks.pid, *workers):
            os.kill(pid, signal.SIGKILL)

        async def judged() -> list[Decision | BaseException]:
            return await asyncio.gather(*(judges.judge(each, NOW) for each in sound), return_exceptions=True)

        # Anything else would hold them for an operator.
        outcomes = asyncio.run(judged())
        assert {type(outcome) for outcome in outcomes} <= {WorkerDied, JudgementDeferred}
        with pytest.raises(JudgementDeferred):
            asyncio.run(judges.judge(sound[0], NOW))


ELEMENTS = b"<r>" + b"<a/>" * 1_500_000 + b"</r>"
SHAPES = {
    "elements": ELEMENTS,
    "comments": b"<r>" + b"<!---->" * 1_000_000 + b"</r>",
    "GBK": b'<?xml version="1.0" encoding="GBK"?><r>' + ("发" * 4_500_000).encode("gbk") + b"</r>",
    "broken after much": b"<r>" + b"<a/>" * 500_000,
    "a PDF": in_object_streams(1, 3_900_000),
}


def test_a_message_that_exhausts_a_workers_memory_twice_is_refused_with_the_limit(
    tmp_path: Path, forks: ForkServer
) -> None:
    with Harness.at(tmp_path / "home") as harness, _judges(forks, harness, memory=64) as judges:
        costly = harness.received("broker-aa", "costly.xml", ELEMENTS)
        refused = asyncio.run(judges.judge(costly, NOW))
        asyncio.run(harness.messages.decide(refused, NOW))
        assert refused.event is Event.REFUSED
        assert [finding.code for finding in refused.findings] == ["package-too-costly"]
        assert "64 MB of memory" in refused.findings[0].en
        assert [receipt.verdict for receipt in refused.receipts if receipt.final] == ["rejected"]
        sound = harness.received("broker-aa", "sound.xml", render(Declaration()))
        assert asyncio.run(judges.judge(sound, NOW)).event is Event.PASSED


def test_lack_of_memory_is_never_reported_as_another_fault(tmp_path: Path, forks: ForkServer) -> None:
    with Harness.at(tmp_path / "home") as harness:
        collected: dict[tuple[str, int], list[str]] = {}
        received = {shape: harness.received("broker-aa", shape, body) for shape, body in SHAPES.items()}
        for memory in (768, 16):
            with _judges(forks, harness, memory=memory) as judges:
                for shape, each in received.items():
                    result = asyncio.run(judges.judge(each, NOW)).findings
                    collected[shape, memory] = [finding.code for finding in result]
    for (shape, memory), codes in collected.items():
        assert codes in (collected[shape, 768], ["package-too-costly"]), (shape, memory)
    assert ["package-too-costly"] in collected.values()


def test_a_message_that_exhausts_a_workers_time_twice_is_refused_with_the_limit(
    tmp_path: Path, forks: ForkServer
) -> None:
    # More than a second wherever it is read: the kernel counts whole ones. Packed, since a larger package may
    # take longer; what does not deflate keeps the ratio in bounds.
    noise = base64.b64encode(shake_128(b"noise").digest(300_000))
    costly = package(b"<r><!--" + noise + b"-->" + b"<a/>x" * 6_300_000 + b"</r>", {}, "costly.xml")
    with (
        Harness.at(tmp_path / "home") as harness,
        _judges(forks, harness, seconds=0.1, memory=3000, patience=1000) as judges,
    ):
        refused = asyncio.run(judges.judge(harness.received("broker-aa", "costly.zip", costly), NOW))
    assert [finding.code for finding in refused.findings] == ["package-too-costly"]
    assert re.search(r"\(0\.1 s of CPU time\)", refused.findings[0].en)
