"""An answer that names two declarations, or holds several returns, is held and changes none of them."""

import asyncio
import itertools
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Final

import aio_pika
import pytest
from aiohttp import web

from adapters.backends import amqp_exchange
from adapters.backends.amqp import AmqpBackend
from adapters.backends.directory import DirectoryBackend
from adapters.backends.exchange import Exchange
from adapters.store.tables.messages import messages, receipts
from adapters.store.write.answers import SqlAnswers
from gateway.deliver.ports import Backend
from gateway.model.answer import Answer
from gateway.model.faults import Fault
from gateway.respond.answer_intake import CustomsAnswers
from tests.backends.test_http import answering, gateway
from tests.support.amqp_backend import backend_settings
from tests.support.declarations import Declaration, Document, enterprise
from tests.support.harness import NOW, Harness
from tests.support.pdfs import pdf
from tests.support.rabbitmq import Rabbit
from tests.support.rendering import packed

MESSAGES: Final = Path(__file__).parents[1] / "messages"
RESULT: Final = (
    "<DEC_RESULT><CUS_CIQ_NO>{seq_no}</CUS_CIQ_NO><ENTRY_ID>{entry_id}</ENTRY_ID>"
    "<CLIENTSEQ_NO>{reference}</CLIENTSEQ_NO><NOTICE_DATE>2026-11-02T09:00:00</NOTICE_DATE>"
    "<CHANNEL>{channel}</CHANNEL><NOTE>n</NOTE></DEC_RESULT>"
)
RESPONSE: Final = (
    '<DecImportResponse xmlns="http://www.chinaport.gov.cn/dec"><ResponseCode>0</ResponseCode>'
    "<ErrorMessage/><ClientSeqNo>{reference}</ClientSeqNo><SeqNo>{seq_no}</SeqNo></DecImportResponse>"
)
_TICKS: Final = count()


def clock() -> datetime:
    return NOW + timedelta(microseconds=next(_TICKS))


def answer_all(harness: Harness, *answers: Answer) -> None:
    answer_store = SqlAnswers(harness.database, clock)
    customs_answers = CustomsAnswers(answer_store, harness.judges, clock)
    asyncio.run(customs_answers.take_in("customs", answers))


@dataclass(frozen=True)
class DeclarationNames:
    """What a declaration is called: each of these names it alone."""

    key: str
    seq_no: str
    entry_id: str
    reference: str


@dataclass(frozen=True)
class TwoDeclarations:
    harness: Harness
    own: DeclarationNames
    other: DeclarationNames

    def stand(self) -> list[object]:
        rows = [self.harness.message(names.key) for names in (self.own, self.other)]
        receipt_rows = self.harness.rows(receipts)
        return [
            *((row["customs_status"], row["seq_no"], row["entry_id"], row["state"]) for row in rows),
            len(receipt_rows),
        ]

    def held(self) -> list[str]:
        rows = self.harness.rows(messages, kind="answer", state="held")
        return [row["reason"] for row in rows]


@pytest.fixture
def two(tmp_path: Path) -> Iterator[TwoDeclarations]:
    with Harness.at(tmp_path / "home") as harness:
        documents = (Document(body=pdf()),)
        collected = []
        for number in (1, 2):
            reference = f"R{number}"
            declaration = Declaration(reference=reference, documents=documents)
            decision = harness.judged("broker-aa", f"{number}.zip", packed(declaration))
            assert decision.submissions
            seq_no, entry_id = f"I2026000000000000{number}", f"02022026100000000{number}"
            body = RESULT.format(seq_no=seq_no, entry_id=entry_id, reference=reference, channel="L")
            key = decision.message
            answer_all(harness, Answer(id=key, name="r.xml", body=body.encode(), key=key))
            collected.append(DeclarationNames(key, seq_no, entry_id, reference))
        yield TwoDeclarations(harness, *collected)


WAYS: Final = ("key", "seq_no", "entry_id", "reference")


def answer(form: str, channel: str, **named: str) -> Answer:
    fields = {"seq_no": "", "entry_id": "", "reference": "", **named}
    key = fields.pop("key", None)
    return Answer(id=str(named), name="r.xml", body=form.format(channel=channel, **fields).encode(), key=key)


@pytest.mark.parametrize(("one", "another"), list(itertools.combinations(WAYS, 2)))
def test_an_answer_that_names_one_declaration_so_and_another_so_is_held(
    two: TwoDeclarations, one: str, another: str
) -> None:
    before = two.stand()
    named = {one: getattr(two.own, one), another: getattr(two.other, another)}
    answer_all(two.harness, answer(RESULT, "R", **named))
    assert two.stand() == before
    assert len(two.held()) == 1
    # What names one in both ways is its own.
    answer_all(
        two.harness, answer(RESULT, "J", **{number: getattr(two.own, number) for number in (one, another)})
    )
    assert two.harness.message(two.own.key)["customs_status"] == "reviewed"


@pytest.mark.parametrize("technical", [True, False])
def test_the_key_of_one_and_a_number_that_is_known_of_another_are_held_also_before_the_first_has_one(
    tmp_path: Path, technical: bool
) -> None:
    with Harness.at(tmp_path / "home") as harness:
        fresh, decision = (
            harness.judged(
                "broker-aa",
                f"{reference}.zip",
                packed(Declaration(reference=reference, documents=(Document(body=pdf()),))),
            ).message
            for reference in ("R1", "R2")
        )
        answer_all(harness, answer(RESULT, "L", key=decision, seq_no="I20260000000000002"))
        form = RESPONSE if technical else RESULT
        # One after the other in one turn: the first gives it no number.
        answer_all(
            harness,
            answer(RESPONSE, "", key=fresh, reference="R1"),
            answer(form, "R", key=fresh, seq_no="I20260000000000002"),
        )
        assert harness.message(fresh)["seq_no"] is None
        assert harness.message(fresh)["customs_status"] != "released"
        (held,) = harness.rows(messages, kind="answer", state="held")
        assert decision in held["reason"]


def test_the_key_of_nothing_that_this_back_end_has_is_no_key_of_what_the_number_names(
    two: TwoDeclarations,
) -> None:
    before = two.stand()
    answer_all(two.harness, answer(RESULT, "R", key="01M6CY1EB00000000000000004", seq_no=two.own.seq_no))
    assert two.stand() == before
    assert len(two.held()) == 1


def test_two_declarations_with_one_reference_are_distinguished_by_the_number(tmp_path: Path) -> None:
    with Harness.at(tmp_path / "home") as harness:
        documents = (Document(body=pdf()),)
        first = harness.judged("broker-aa", "a.zip", packed(Declaration(reference="C", documents=documents)))
        answer_all(harness, answer(RESULT, "L", key=first.message, seq_no="I20260000000000001"))
        declaration = Declaration(reference="C", agent=enterprise("broker-b"), documents=documents)
        second = harness.judged("broker-b", "b.zip", packed(declaration))
        assert second.submissions
        answer_all(harness, answer(RESPONSE, "", reference="C", seq_no="I20260000000000001"))
        assert harness.message(second.message)["seq_no"] is None


def test_an_answer_for_another_declaration_in_a_folder_under_this_ones_key_is_held(
    two: TwoDeclarations, tmp_path: Path
) -> None:
    """The connection tells the key by the file's name; what is inside names the other."""
    folder = tmp_path / "exchange"
    back_end = DirectoryBackend(folder)
    body = (MESSAGES / "answer-for-another-declaration.xml").read_text()
    body = body.replace("I20260000000000001", two.other.seq_no)
    body = body.replace("020220261000000001", two.other.entry_id)
    (Exchange(folder).into / f"{two.own.key}__1__Receipt_a.xml").write_text(body)
    before = two.stand()
    answers = asyncio.run(back_end.answers(10))
    back_end.close()
    assert [answer.key for answer in answers] == [two.own.key]
    answer_all(two.harness, *answers)
    assert two.stand() == before
    assert len(two.held()) == 1


Served = AsyncIterator[Backend]


@asynccontextmanager
async def over_amqp(request: pytest.FixtureRequest, home: Path, answers: Sequence[Answer]) -> Served:
    rabbit: Rabbit = request.getfixturevalue("rabbit")
    settings = backend_settings(rabbit, home, rabbit.vhost())
    async with AmqpBackend(settings, home, "customs") as backend:
        await backend.until_connected()
        async with await aio_pika.connect(rabbit.url(settings.vhost, settings.user)) as customs:
            channel = await customs.channel()
            for answer in answers:
                message = amqp_exchange.answer(answer.id, answer.key, answer.name, answer.body)
                await channel.default_exchange.publish(message, settings.answers)
            yield backend


@asynccontextmanager
async def over_http(request: pytest.FixtureRequest, home: Path, answers: Sequence[Answer]) -> Served:
    left = {answer.id: answer for answer in answers}

    async def handler(request: web.Request) -> web.Response:
        if request.method == "POST":
            for id_ in (await request.json())["ids"]:
                left.pop(id_, None)
            return web.Response(status=204)
        listed = [asdict(answer) | {"body": b64encode(answer.body).decode()} for answer in left.values()]
        return web.json_response(listed)

    async with answering(handler) as url, gateway(home, url) as backend:
        yield backend


@pytest.mark.parametrize("connection", [over_amqp, over_http])
def test_answers_that_disagree_are_held_over_every_connection_and_do_not_stop_later_ones(
    request: pytest.FixtureRequest,
    two: TwoDeclarations,
    tmp_path: Path,
    connection: Callable[..., AbstractAsyncContextManager[Backend]],
) -> None:
    of_two = RESULT.format(seq_no=two.other.seq_no, entry_id="", reference="", channel="R")
    several = SEVERAL["two codes"]
    sound = RESULT.format(seq_no=two.own.seq_no, entry_id="", reference="", channel="J")
    customs_answers = [
        Answer(id=str(number), name=f"r{number}.xml", body=body.encode(), key=two.own.key)
        for number, body in enumerate((of_two, several, sound), 1)
    ]

    async def answers_of(backend: Backend, number: int) -> Sequence[Answer]:
        async with asyncio.timeout(120):
            while len(answers := await backend.answers(10)) != number:
                await asyncio.sleep(0.02)
        return answers

    async def test() -> None:
        async with connection(request, tmp_path, customs_answers) as backend:
            answers = await answers_of(backend, len(customs_answers))
            await asyncio.to_thread(answer_all, two.harness, *answers)
            await backend.acknowledge([answer.id for answer in answers])
            await answers_of(backend, 0)

    other = two.harness.message(two.other.key)
    asyncio.run(test())
    assert two.harness.message(two.other.key) == other
    assert two.harness.message(two.own.key)["customs_status"] == "reviewed"
    assert set(two.held()) == {
        f"it names {two.other.seq_no}, which is that of {two.other.key}, and {two.own.key}",
        f"cannot be read: {Fault.ANSWER_SEVERAL.code}",
    }


SEVERAL: Final = {
    "in one wrapper": "<DEC_DATA>{0}{1}</DEC_DATA>",
    "one inside the other's root": "<DEC_RESULT>{0}{1}</DEC_RESULT>",
    "two numbers": "<DEC_RESULT><CUS_CIQ_NO>I20260000000000001</CUS_CIQ_NO>"
    "<SEQ_NO>I20260000000000002</SEQ_NO><CHANNEL>R</CHANNEL></DEC_RESULT>",
    "two codes": "<DEC_RESULT><CUS_CIQ_NO>I20260000000000001</CUS_CIQ_NO>"
    "<CHANNEL>R</CHANNEL><CHANNEL>E</CHANNEL></DEC_RESULT>",
    "two entries": "<DEC_RESULT><CUS_CIQ_NO>I20260000000000001</CUS_CIQ_NO>"
    "<ENTRY_ID>020220261000000001</ENTRY_ID><ENTRY_ID>020220261000000002</ENTRY_ID>"
    "<CHANNEL>R</CHANNEL></DEC_RESULT>",
    "two technical ones": '<DecImportResponse xmlns="http://www.chinaport.gov.cn/dec">'
    "<ResponseCode>0</ResponseCode><ResponseCode>1</ResponseCode>"
    "<SeqNo>I20260000000000001</SeqNo></DecImportResponse>",
    "two failures": "<Root><failCode>1</failCode><failCode>2</failCode><failInfo>x</failInfo></Root>",
    "two agreements": "<ImportAgrResponse><ConsignNo>1</ConsignNo><ConsignNo>2</ConsignNo>"
    "</ImportAgrResponse>",
}


@pytest.mark.parametrize("several", SEVERAL)
@pytest.mark.parametrize("keyed", [True, False])
def test_an_answer_with_several_returns_is_held_and_applied_to_none(
    two: TwoDeclarations, several: str, keyed: bool
) -> None:
    before = two.stand()
    parts = [
        RESULT.format(seq_no=each.seq_no, entry_id="", reference="", channel=channel)
        for each, channel in ((two.own, "R"), (two.other, "E"))
    ]
    body = SEVERAL[several].format(*parts)
    answer_all(
        two.harness, Answer(id="1", name="r.xml", body=body.encode(), key=two.own.key if keyed else None)
    )
    assert two.stand() == before
    (reason,) = two.held()
    # A root that only holds others has no code of its own.
    root_only = several == "one inside the other's root"
    why = Fault.SCHEMA_MISSING if root_only else Fault.ANSWER_SEVERAL
    assert reason == f"cannot be read: {why.code}"
