"""What every store must promise about documents that are owed: deadlines, requests, and what comes later."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select

from adapters.store.read.documents_due import list_owed, show_owed
from adapters.store.tables.messages import events
from gateway.model.decision import Decision, DeclarationOutcome, DocumentsOutcome
from gateway.model.folders import Folder
from gateway.model.message import Arrival, DeclarationRecord, Facts, Operation, Receipt, ReceiptKind
from gateway.model.obligation import Deadline, Obligation, RequestReason
from gateway.model.reform import Due
from gateway.model.states import CustomsStatus
from gateway.notify.document_requests import DocumentRequest
from tests.support.stores import (
    KEY,
    NOW,
    Store,
    accepted,
    add_and_claim,
    arrival,
    customs_says,
    customs_says_of,
    filed,
    names,
    target_of,
)

INVOICE, CONTRACT = "00000001", "00000004"
DUE_AT: Final = NOW + timedelta(days=10)
REMINDERS: Final = (3, 0)
DAY: Final = timedelta(days=1)


async def declare(store: Store, due: Due = Due.AFTER_RELEASE, attached: str = "") -> Arrival:
    sent = arrival()
    owed = Obligation(due=due, documents=(INVOICE, CONTRACT), sources=("GAC",))
    decision = accepted(sent)
    await add_and_claim(store, sent)
    outcome = DeclarationOutcome(obligation=owed, brings=tuple(attached.split()))
    await store.messages.decide(replace(decision, outcome=outcome), NOW)
    return sent


async def release(store: Store, sent: Arrival, status: CustomsStatus = CustomsStatus.RELEASED) -> None:
    matched = customs_says_of(status, status.encode(), await target_of(store, sent))
    deadline = Deadline(due_at=DUE_AT, remind_at=DUE_AT - 3 * DAY)
    await filed(store.answers, [replace(matched, effect=replace(matched.effect, deadline=deadline))])


async def send_documents(store: Store, declaration: Arrival, *codes: str, number: int = 2) -> None:
    sent = arrival(number)
    belongs_to = DeclarationRecord(
        about="",
        customs_status=CustomsStatus.NONE,
        id=declaration.id,
        reference="R-1",
        entry_id="",
        destination="customs",
        parties=frozenset(),
        facts={},
    )
    decision = Decision(
        **{
            name: getattr(accepted(sent), name)
            for name in ("message", "attempt", "fence", "event", "receipts")
        },
        facts=Facts(
            key=replace(KEY, reference=sent.name),
            content="d" * 64,
            body=f"{number:064}",
            operation=Operation.INFORM,
            values={"codes": " ".join(codes)},
        ),
        linked=declaration.id,
        outcome=DocumentsOutcome(belongs_to=belongs_to, brings=codes),
    )
    await add_and_claim(store, sent)
    await store.messages.decide(decision, NOW)


async def send_requests(store: Store, now: datetime = NOW) -> list[tuple[RequestReason, tuple[str, ...]]]:
    """What is asked now, told under the number of the request."""
    await store.requests.remind(now, REMINDERS)
    claimed = await store.requests.claim(10, now)
    for request in claimed:
        await store.requests.send(request, _receipts(request), now)
    return [(request.why, request.documents) for request in claimed]


def _receipts(request: DocumentRequest) -> Sequence[Receipt]:
    name = f"Request_{request.id}.xml"
    return [Receipt(account=request.account, name=name, kind=ReceiptKind.REQUEST, body=b"<r/>")]


async def owed(store: Store, now: datetime, *, overdue: bool = False) -> list[str]:
    rows = await store.database.read(
        lambda reader: list_owed(reader, now, only_open=True, overdue=overdue, account=None, limit=0)
    )
    return [code for row in rows for code in row["missing"]]


def test_documents_missing_after_a_release_are_requested_once(store: Store) -> None:
    async def run() -> None:
        sent = await declare(store, attached=INVOICE)
        assert await send_requests(store) == []
        await release(store, sent)
        assert await send_requests(store) == [(RequestReason.DUE, (CONTRACT,))]
        assert await send_requests(store) == []
        await release(store, sent, CustomsStatus.CLOSED)
        assert await send_requests(store) == []
        assert [name for name in await names(store, Folder.INBOX) if "Request" in name] == ["Request_1.xml"]

    asyncio.run(run())


def test_nothing_is_asked_where_nothing_is_missing_or_the_papers_are_kept(store: Store) -> None:
    async def run() -> None:
        sent = await declare(store, attached=f"{INVOICE} {CONTRACT}")
        await release(store, sent)
        assert await send_requests(store, DUE_AT + DAY) == []

    asyncio.run(run())


def test_nobody_is_chased_for_papers_that_are_kept(store: Store) -> None:
    async def run() -> None:
        sent = await declare(store, Due.KEPT)
        await release(store, sent)
        assert await send_requests(store, DUE_AT + DAY) == []
        assert await owed(store, DUE_AT + DAY) == []

    asyncio.run(run())


def test_reminders_follow_and_end_when_it_is_overdue(store: Store) -> None:
    async def run() -> None:
        sent = await declare(store)
        await release(store, sent)
        await send_requests(store)
        requests_by_day = {days: await send_requests(store, NOW + days * DAY) for days in range(14)}
        assert {days: why for days, requests in requests_by_day.items() for why, _documents in requests} == {
            7: RequestReason.REMINDER,
            10: RequestReason.REMINDER,
            11: RequestReason.OVERDUE,
        }
        assert await owed(store, NOW + 12 * DAY, overdue=True) == [INVOICE, CONTRACT]

    asyncio.run(run())


def test_of_reminders_that_a_stopped_node_missed_only_the_last_is_sent(store: Store) -> None:
    async def run() -> None:
        sent = await declare(store)
        await release(store, sent)
        assert [why for why, _documents in await send_requests(store, NOW + 30 * DAY)] == [
            RequestReason.DUE,
            RequestReason.OVERDUE,
        ]

    asyncio.run(run())


def test_documents_that_arrive_later_shorten_the_obligation_and_the_last_ends_it(store: Store) -> None:
    async def run() -> None:
        sent = await declare(store)
        await release(store, sent)
        await send_documents(store, sent, CONTRACT)
        assert await owed(store, NOW) == [INVOICE]
        assert (await send_requests(store, NOW + 7 * DAY))[-1] == (RequestReason.REMINDER, (INVOICE,))
        await send_documents(store, sent, INVOICE, number=3)
        assert await owed(store, NOW) == []
        assert await send_requests(store, DUE_AT + DAY) == []
        owed_documents = await store.database.read(lambda reader: show_owed(reader, sent.id, NOW))
        assert owed_documents is not None
        assert [package["documents"] for package in owed_documents["packages"]] == [[CONTRACT], [INVOICE]]
        assert [request["why"] for request in owed_documents["requests"]] == [
            RequestReason.DUE,
            RequestReason.REMINDER,
        ]
        assert owed_documents["fulfilled_at"] is not None

    asyncio.run(run())


def test_documents_that_come_before_the_release_are_not_asked_for(store: Store) -> None:
    async def run() -> None:
        sent = await declare(store)
        await send_documents(store, sent, CONTRACT, INVOICE)
        await release(store, sent)
        assert await send_requests(store, DUE_AT + DAY) == []

    asyncio.run(run())


def test_nobody_is_reminded_of_a_declaration_that_customs_has_deleted(store: Store) -> None:
    async def run() -> None:
        sent = await declare(store)
        await release(store, sent)
        await send_requests(store)
        await customs_says(store, sent, CustomsStatus.DELETED, b"D")
        assert await send_requests(store, DUE_AT + DAY) == []
        assert await owed(store, DUE_AT + DAY) == []

    asyncio.run(run())


def test_a_document_request_of_customs_is_passed_on_with_its_text(store: Store) -> None:
    async def run() -> None:
        sent = await declare(store, Due.KEPT)
        matched = customs_says_of(CustomsStatus.SUPPLEMENT_ASKED, b"Sp1", await target_of(store, sent))
        parsed, effect = (
            replace(matched.parsed, note="价格构成"),
            replace(matched.effect, asks=RequestReason.SUPPLEMENT),
        )
        await filed(store.answers, [replace(matched, parsed=parsed, effect=effect)])
        (request,) = await store.requests.claim(10, NOW)
        assert (request.why, request.note, request.documents) == (RequestReason.SUPPLEMENT, "价格构成", ())
        assert (request.message, request.seq_no, request.reference) == (sent.id, "I1", "R-1")

    asyncio.run(run())


def test_a_document_request_is_claimed_once_and_stands_in_the_trail(store: Store) -> None:
    async def run() -> None:
        sent = await declare(store)
        await release(store, sent)
        (request,) = await store.requests.claim(10, NOW)
        await store.requests.send(request, _receipts(request), NOW)
        await store.requests.send(request, _receipts(request), NOW)
        trail = select(events.c.event).where(events.c.message == sent.id).order_by(events.c.sequence)
        text = await store.database.read(lambda reader: reader.execute(trail).scalars().all())
        assert list(text).count("requested") == 1

    asyncio.run(run())
