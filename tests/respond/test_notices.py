"""Who is told of a declaration besides its sender: the trader, the premises, the association (R11)."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any, Final

import pytest
from lxml import etree

from adapters.sandbox.association.answers import import_agr_response
from adapters.store.tables.messages import receipts
from adapters.store.write.answers import SqlAnswers
from gateway.formats.xml import trusted
from gateway.model.agreements import Act
from gateway.model.answer import Answer
from gateway.model.message import ReceiptKind
from gateway.model.parties import ReceiptForm
from gateway.model.states import Event
from gateway.respond.answer_intake import CustomsAnswers
from tests.support.agreement_requests import request
from tests.support.association import ACCOUNT as ASSOCIATION
from tests.support.association import agreement, agreement_document, signed_notice
from tests.support.declarations import Declaration, enterprise
from tests.support.harness import NOW, Harness, Row
from tests.support.keys import xmlsec1_trusts
from tests.support.receipts import NS, faults_of, schema
from tests.support.rendering import render

SEQ_NO: Final = "I20260000000000001"
ENTRY: Final = "020220261000000001"
NUMBER: Final = "195200016172325"
BOX: Final = {
    "ContainerId": "CSQU3054383",
    "ContainerMd": "21",
    "GoodsNo": "1",
    "LclFlag": "0",
}
_TICKS: Final = count()


def sent(harness: Harness, reference: str = "R1", account: str = "broker-aa", **changes: Any) -> str:
    declaration = replace(Declaration(reference=reference, agent=enterprise(account)), **changes)
    decision = harness.judged(account, f"{reference}.xml", render(declaration))
    assert decision.event is Event.PASSED, decision.findings
    return decision.message


def answer(sent: str, channel: str, note: str = "说明", number: int = 1) -> Answer:
    """Each declaration has numbers of its own at customs."""
    seq_no, entry = f"{SEQ_NO[:-1]}{number}", f"{ENTRY[:-1]}{number}"
    body = (
        f"<DEC_RESULT><CUS_CIQ_NO>{seq_no}</CUS_CIQ_NO><ENTRY_ID>{entry}</ENTRY_ID><NOTICE_DATE>"
        f"2026-11-23T09:00:00</NOTICE_DATE><CHANNEL>{channel}</CHANNEL><NOTE>{note}</NOTE></DEC_RESULT>"
    )
    return Answer(id=f"{sent}{channel}{note}", name="r.xml", body=body.encode(), key=sent)


def technical(sent: str, code: str) -> Answer:
    body = (
        f'<DecImportResponse xmlns="http://www.chinaport.gov.cn/dec"><ResponseCode>{code}</ResponseCode>'
        f"<ErrorMessage>m</ErrorMessage><ClientSeqNo>R1</ClientSeqNo><SeqNo>{SEQ_NO}</SeqNo><TrnPreId/>"
        "</DecImportResponse>"
    )
    return Answer(id=f"{sent}{code}", name="t.xml", body=body.encode(), key=sent)


def take_in(harness: Harness, *answers: Answer, backend: str = "customs") -> None:
    def clock() -> Any:
        return NOW + timedelta(hours=1, microseconds=next(_TICKS))

    answer_store = SqlAnswers(harness.database, clock)
    customs_answers = CustomsAnswers(answer_store, harness.judges, clock)
    asyncio.run(customs_answers.take_in(backend, answers))


def inbox(harness: Harness, account: str) -> list[Row]:
    return harness.rows(receipts, account=account)


def notices(harness: Harness, account: str) -> list[Row]:
    return harness.rows(receipts, account=account, kind=ReceiptKind.NOTICE)


def classes(harness: Harness, account: str) -> list[str]:
    return [row["verdict"] for row in notices(harness, account)]


def read(harness: Harness, row: Row, form: str) -> etree._Element:
    """The notice, once it is found true to its schema and validly signed by the gateway."""
    assert faults_of(schema("gateway", form), row["body"]) == []
    assert xmlsec1_trusts(row["body"], harness.home.certificate.read_text(), NOW)
    return trusted(row["body"])


def elements(root: etree._Element, *tags: str) -> tuple[str | None, ...]:
    return tuple(root.findtext(f"g:{tag}", namespaces=NS) for tag in tags)


def test_a_trader_gets_the_answer_of_customs_and_the_gateways_notice_of_every_step(harness: Harness) -> None:
    sent_ = sent(harness)
    answers = [answer(sent_, channel) for channel in "LJPR"]
    take_in(harness, technical(sent_, "0"), *answers)
    relayed = harness.rows(receipts, account="trader-a", kind=ReceiptKind.BUSINESS)
    assert [row["body"] for row in relayed] == [answer.body for answer in answers]
    assert all(row["name"].startswith("Receipt_R1_") for row in relayed)
    assert classes(harness, "trader-a") == ["stored", "reviewed", "released", "closed"]
    assert all(row["name"].startswith("Notice_R1_") for row in notices(harness, "trader-a"))
    assert len(inbox(harness, "trader-a")) == 8  # that it was imported is for the software that sent it


def test_the_traders_notice_repeats_customs_answer_in_both_languages(harness: Harness) -> None:
    take_in(harness, answer(sent_ := sent(harness), "T", "税款 100 元"))
    root = read(harness, notices(harness, "trader-a")[0], "declaration_notice.xsd")
    assert elements(root, "MessageId", "Reference", "SeqNo", "EntryId") == (sent_, "R1", SEQ_NO, ENTRY)
    assert elements(root, "Office", "Class", "Code", "Note") == ("0202", "duty_due", "T", "税款 100 元")
    assert elements(root, "At") == ("2026-11-23T01:00:00+00:00",)
    to = root.find("g:To", NS)
    assert to is not None
    trader = enterprise("trader-a")
    assert dict(to.attrib) == {
        "account": "trader-a",
        "code": trader.code,
        "scc": trader.scc,
        "as": "trader",
    }
    texts = {text.get(f"{{{NS['xml']}}}lang"): text.text or "" for text in root.iterfind("g:Text", NS)}
    assert list(texts) == ["zh", "en"]
    assert all(ENTRY in text and "税款 100 元" in text for text in texts.values())


@pytest.mark.parametrize(
    ("forms", "kinds"),
    [
        ((ReceiptForm.SINGLE_WINDOW,), ["business"]),
        ((ReceiptForm.GATEWAY,), ["notice"]),
        ((ReceiptForm.SINGLE_WINDOW, ReceiptForm.GATEWAY), ["business", "notice"]),
        ((), []),
    ],
)
def test_a_trader_is_notified_in_the_forms_that_its_account_takes(
    harness: Harness, forms: Sequence[ReceiptForm], kinds: list[str]
) -> None:
    harness.change_account("trader-a", receipts=tuple(forms))
    take_in(harness, answer(sent(harness), "L"))
    assert [row["kind"] for row in inbox(harness, "trader-a")] == kinds


@pytest.mark.parametrize(
    ("forms", "kinds"),
    [
        ((ReceiptForm.SINGLE_WINDOW,), ["gateway", "technical", "business"]),
        ((ReceiptForm.GATEWAY,), ["gateway", "notice", "notice"]),
        ((ReceiptForm.SINGLE_WINDOW, ReceiptForm.GATEWAY), ["gateway", "technical", "business"]),
    ],
)
def test_a_sender_gets_each_answer_of_customs_once_in_the_form_that_it_takes(
    harness: Harness, forms: Sequence[ReceiptForm], kinds: list[str]
) -> None:
    harness.change_account("broker-aa", receipts=tuple(forms))
    sent_ = sent(harness)
    take_in(harness, technical(sent_, "0"), answer(sent_, "L"))
    assert [row["kind"] for row in inbox(harness, "broker-aa")] == kinds


def test_a_trader_that_declares_for_itself_is_notified_once(harness: Harness) -> None:
    sent_ = sent(harness, account="trader-a")
    take_in(harness, answer(sent_, "L"), answer(sent_, "P"))
    assert [row["kind"] for row in inbox(harness, "trader-a")] == ["gateway", "business", "business"]
    assert inbox(harness, ASSOCIATION) == []


def test_a_trader_without_an_account_and_other_parties_are_not_notified(harness: Harness) -> None:
    harness.change("trader-a", account=None)
    take_in(harness, answer(sent(harness), "L"))
    receipt_rows = {row["account"] for row in harness.rows(receipts)}
    assert receipt_rows == {"broker-aa", ASSOCIATION}


def test_answers_to_a_temporary_save_go_to_its_sender_alone(harness: Harness) -> None:
    harness.change_account("broker-aa", receipts=(ReceiptForm.GATEWAY,))
    sent_ = sent(harness, operation="G")
    take_in(harness, technical(sent_, "0"), answer(sent_, "P"))
    assert {row["account"] for row in harness.rows(receipts)} == {"broker-aa"}
    assert classes(harness, "broker-aa") == ["imported", "released"]


def test_a_trader_is_notified_of_a_refusal_at_import(harness: Harness) -> None:
    take_in(harness, technical(sent(harness), "1"))
    assert [row["kind"] for row in inbox(harness, "trader-a")] == ["technical", "notice"]
    assert classes(harness, "trader-a") == ["refused"]


def test_an_unknown_code_is_passed_on_as_it_was_received(harness: Harness) -> None:
    take_in(harness, answer(sent(harness), "Zz9"))
    root = read(harness, notices(harness, "trader-a")[0], "declaration_notice.xsd")
    assert elements(root, "Class", "Code") == ("other", "Zz9")


def test_an_answer_that_comes_twice_gives_one_receipt(harness: Harness) -> None:
    sent_ = sent(harness)
    take_in(harness, answer(sent_, "P"))
    take_in(harness, answer(sent_, "P"), answer(sent_, "P"))
    assert classes(harness, "trader-a") == classes(harness, "premises") == ["released"]


def test_premises_are_notified_of_a_release_once_with_what_they_need_and_no_more(harness: Harness) -> None:
    sent_ = sent(harness, blocks={"Container": (BOX,)})
    take_in(harness, *(answer(sent_, channel) for channel in "LFPR"))
    (row,) = inbox(harness, "premises")
    assert row["name"].startswith(f"Notice_{ENTRY}_")
    root = read(harness, row, "declaration_notice.xsd")
    assert elements(root, "EntryId", "Office", "Class", "At") == (
        ENTRY,
        "0202",
        "released",
        "2026-11-23T01:00:00+00:00",
    )
    assert elements(root, "Reference", "SeqNo", "Note") == (None, None, None)
    goods = root.find("g:Goods", NS)
    assert goods is not None
    facts = harness.message(sent_)["facts"]
    assert elements(goods, "BillNo", "Packages", "GrossWeight", "Container") == (
        facts["bill_no"],
        facts["packages"],
        facts["gross_weight"],
        "CSQU3054383",
    )
    text = row["body"].decode().partition("<ds:Signature")[0]
    for private in (facts["total"], "轴承", enterprise("trader-a").name, "8482102000"):
        assert private not in text


@pytest.mark.parametrize(
    ("channels", "number"), [("RP", 1), ("P", 1), ("PD", 1), ("PE", 1), ("DP", 0), ("EP", 0), ("LJR", 0)]
)
@pytest.mark.parametrize("together", [True, False])
def test_premises_are_notified_of_a_late_release_unless_the_goods_must_stay(
    harness: Harness, channels: str, number: int, together: bool
) -> None:
    sent_ = sent(harness)
    answers = [answer(sent_, channel) for channel in channels]
    for some in [answers] if together else [[answer] for answer in answers]:
        take_in(harness, *some)
    assert len(inbox(harness, "premises")) == number


@pytest.mark.parametrize(
    ("places", "number"),
    [(("塘沽一号库",), 1), (("CF01",), 1), (("别处",), 0)],
)
def test_premises_are_notified_of_a_release_at_their_place(
    harness: Harness, places: tuple[str, ...], number: int
) -> None:
    harness.change("premises", places=places)
    take_in(harness, answer(sent(harness, head={"GoodsPlace": "塘沽一号库"}, free={"CusFie": "CF01"}), "P"))
    assert len(inbox(harness, "premises")) == number


def test_the_places_of_premises_are_those_that_the_register_has_when_customs_answers(
    harness: Harness,
) -> None:
    first, second = (
        sent(harness, reference, head={"GoodsPlace": "塘沽一号库"}) for reference in ("R1", "R2")
    )
    harness.change("premises", places=("别处",))
    take_in(harness, answer(first, "P"))
    harness.change("premises", places=("塘沽一号库",))
    take_in(harness, answer(second, "P", number=2))
    assert [row["message"] for row in inbox(harness, "premises")] == [second]


def test_the_association_is_notified_of_each_use_of_a_mandate(harness: Harness) -> None:
    first, second = sent(harness, "R1"), sent(harness, "R2")
    number = harness.message(first)["agreement"]
    rows = inbox(harness, ASSOCIATION)
    roots = [read(harness, row, "agreement_use.xsd") for row in rows]
    assert [elements(root, "MessageId", "Number", "Kind", "Act", "Reference") for root in roots] == [
        (first, number, "long-term", "used", "R1"),
        (second, number, "long-term", "used", "R2"),
    ]
    assert all(row["name"].startswith(f"Notice_{number}_") for row in rows)
    take_in(harness, answer(first, "E"))
    assert len(inbox(harness, ASSOCIATION)) == 2  # a mandate is not used up, so it does not come free


@pytest.mark.parametrize("channels", ["E", "LE", "EZ"])
def test_the_association_and_the_broker_are_notified_once_of_a_released_agreement(
    harness: Harness, channels: str
) -> None:
    decision = harness.judged(
        ASSOCIATION, "n.xml", signed_notice(harness.home, agreement(NUMBER), Act.CONFIRMED)
    )
    assert decision.event is not Event.REFUSED, decision.findings
    before = len(notices(harness, ASSOCIATION))
    sent_ = sent(harness, documents=(agreement_document(NUMBER),))
    for channel in channels:
        take_in(harness, answer(sent_, channel))
    rows = notices(harness, ASSOCIATION)[before:]
    assert [row["verdict"] for row in rows] == ["used", "freed"]
    root = read(harness, rows[1], "agreement_use.xsd")
    assert elements(root, "Number", "Kind", "Reference", "EntryId") == (NUMBER, "per-shipment", "R1", ENTRY)
    assert classes(harness, "broker-aa") == ["freed"]


def test_notices_to_others_are_not_sent_to_a_sender_that_repeats_its_message(harness: Harness) -> None:
    declaration = render(Declaration(reference="R1"))
    first = harness.judged("broker-aa", "a.xml", declaration).message
    take_in(harness, answer(first, "P"))
    before = {account: len(inbox(harness, account)) for account in ("trader-a", "premises", ASSOCIATION)}
    again = harness.judged("broker-aa", "b.xml", declaration)
    assert again.event is Event.REPEATED
    receipt_rows = [row["kind"] for row in harness.rows(receipts, message=again.message)]
    assert receipt_rows == [ReceiptKind.GATEWAY, ReceiptKind.BUSINESS]
    assert before == {account: len(inbox(harness, account)) for account in before}


@pytest.mark.parametrize("form", ReceiptForm)
def test_answers_of_the_association_are_passed_on_whatever_receipts_were_chosen(
    harness: Harness, form: ReceiptForm
) -> None:
    harness.change_account("broker-aa", receipts=(form,))
    agreement_request = harness.judged("broker-aa", "ask.xml", request("broker-aa"))
    body = import_agr_response(code=9, message="失败", cop_code=enterprise("broker-aa").code, consign_no="")

    take_in(
        harness, Answer(id="1", name="a.xml", body=body, key=agreement_request.message), backend="association"
    )

    (relayed,) = harness.rows(receipts, account="broker-aa", kind=ReceiptKind.TECHNICAL)
    assert (str(relayed["name"]).startswith("Failed_ask_"), relayed["body"]) == (True, body)
