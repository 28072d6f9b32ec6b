"""A store with all that stands on it, and what tests of every store put into it."""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import insert

from adapters.store.database import Database, sqlite_engine
from adapters.store.prepared import PreparedConnection
from adapters.store.read.answered_declarations import SqlDeclarations
from adapters.store.read.mailbox import SqlMailbox
from adapters.store.read.register import SqlRegister
from adapters.store.tables.messages import parties
from adapters.store.write.answers import SqlAnswers
from adapters.store.write.deliveries import SqlOutbox
from adapters.store.write.document_requests import SqlDocumentRequests
from adapters.store.write.messages import SqlMessages
from adapters.store.write.pending_receipts import SqlPendingReceipts
from adapters.store.write.take_over import SqlClaims
from gateway.model.answer import Answer, AnsweredDeclaration, AnswerEffect, AnswerKind, CustomsAnswer
from gateway.model.decision import Decision
from gateway.model.faults import Fault, finding
from gateway.model.folders import Folder
from gateway.model.message import (
    Arrival,
    Facts,
    Key,
    Operation,
    Receipt,
    ReceiptKind,
    Received,
    Submission,
    new_id,
)
from gateway.model.parties import Delivery
from gateway.model.states import CustomsStatus, Event, State
from gateway.model.transition import Applied, Refusal
from gateway.respond.ports import Chain, Filed, Matched, Unmatched

NOW: Final = datetime(2026, 11, 2, 1, 30, tzinfo=UTC)
LEASE: Final = timedelta(minutes=5)
KEY: Final = Key(party="1207980011", family="f", type="T", reference="R-1")


class Store:
    """One SQLite store with everything that stands on it."""

    def __init__(self, path: Path) -> None:
        self.database = Database(sqlite_engine(path))
        self.messages = SqlMessages(self.database)
        self.outbox = SqlOutbox(self.database, timedelta(hours=24))
        self.mailbox = SqlMailbox(self.database)
        self.answers = SqlAnswers(self.database, lambda: NOW)
        reader = sqlite_engine(path, read_only=True)
        self.declarations = SqlDeclarations(PreparedConnection(reader))
        self.register = SqlRegister(reader)
        self.requests = SqlDocumentRequests(self.database)
        self.pending_receipts = SqlPendingReceipts(self.database)
        self.claims = SqlClaims(self.database)

    async def restarted(self, now: datetime = NOW) -> int:
        """See `restarted`."""
        return await restarted(self.database, now)


async def restarted(database: Database, now: datetime = NOW) -> int:
    """A node on this store has died, and the next one has started; the number of claims that were open."""
    database.owner = secrets.token_hex(8)
    ended = await SqlClaims(database).take_over(now, alone=True)
    await SqlOutbox(database, timedelta(hours=24)).try_all(now)
    return ended


def register(store: Store, account: str, delivery: Delivery, number: int) -> None:
    """A party with an account."""
    row = {
        "code": f"{number:010}",
        "scc": f"{number:018}",
        "organisation": f"{number:09}",
        "account": account,
        "delivery": delivery,
        "record": {},
        "changed_at": NOW,
    }
    store.database.submit(lambda transaction: transaction.connection.execute(insert(parties), row)).result()


# A store that is added here inherits every test.
STORES: Final = {"sqlite": Store}


def arrival(number: int = 1, account: str = "broker") -> Arrival:
    return Arrival(
        id=new_id(NOW + timedelta(seconds=number), number.to_bytes(10)),
        account=account,
        channel="sftp",
        name=f"{number}.zip",
        sha256=f"{number:064x}",
        size=100,
        received_at=NOW,
    )


def receipt(verdict: str, name: str) -> Receipt:
    return Receipt(
        account="broker",
        name=name,
        kind=ReceiptKind.GATEWAY,
        body=verdict.encode(),
        verdict=verdict,
        final=True,
    )


def accepted(sent: Arrival, attempt: int = 1, content: str = "c" * 64, holder: str | None = None) -> Decision:
    return Decision(
        message=sent.id,
        attempt=attempt,
        fence=attempt,
        event=Event.PASSED,
        facts=Facts(key=KEY, content=content, body="b" * 64, operation=Operation.DECLARE),
        receipts=(receipt("accepted", f"Gateway_{sent.name}"),),
        submissions=(
            Submission(
                key=sent.id,
                destination="customs",
                envelope=b"<envelope/>",
                package_sha256=sent.sha256,
                package_name=sent.name,
                package_size=sent.size,
            ),
        ),
        holder=holder,
    )


def refused(sent: Arrival, attempt: int = 1) -> Decision:
    return Decision(
        message=sent.id,
        attempt=attempt,
        fence=attempt,
        event=Event.REFUSED,
        findings=(finding(Fault.ZIP_BROKEN, detail="end"),),
        facts=Facts(key=KEY, content="c" * 64, body="b" * 64, operation=Operation.DECLARE),
        receipts=(receipt("rejected", f"Gateway_{sent.name}"),),
    )


async def add_and_claim(store: Store, *sent: Arrival) -> Sequence[Received]:
    for message in sent:
        await store.messages.add(message)
    claimed = await store.messages.claim(len(sent), NOW, LEASE)
    assert [received.arrival for received in claimed] == list(sent)
    return claimed


async def accept(store: Store, sent: Arrival) -> None:
    await add_and_claim(store, sent)
    assert await store.messages.decide(accepted(sent), NOW) == Applied(State.ACCEPTED)


async def names(store: Store, folder: Folder, account: str = "broker") -> list[str]:
    return [entry.name for entry in await store.mailbox.page(account, folder, "", 1000)]


PARSED_ANSWER: Final = CustomsAnswer(
    kind=AnswerKind.BUSINESS,
    family="f",
    client_reference="",
    seq_no="I1",
    entry_id="",
    status=CustomsStatus.STORED,
    code="x",
    note="",
    at=None,
)


WAITS: Final = Unmatched(
    backend="customs",
    answer=Answer(id="1", name="answer.xml", body=b"L"),
    parsed=PARSED_ANSWER,
    state=State.WAITING,
    waiting_for="seq_no I1",
)


async def target_of(store: Store, sent: Arrival) -> AnsweredDeclaration:
    declaration = store.declarations.target(PARSED_ANSWER, sent.id, "customs")
    assert declaration is not None
    return declaration


def customs_says_of(status: CustomsStatus, body: bytes, declaration: AnsweredDeclaration) -> Matched:
    """What an answer with this body makes of its declaration; its receipt is called like the body."""
    effect = AnswerEffect(
        event=Event.SETTLED if status.final else Event.ANSWERED,
        customs_status=status,
        seq_no="I1",
        entry_id="",
        receipts=(Receipt(account="broker", name=body.decode(), kind=ReceiptKind.BUSINESS, body=body),),
    )
    return Matched(
        backend="customs",
        answer=Answer(id="1", name="answer.xml", body=body),
        parsed=replace(PARSED_ANSWER, status=status),
        declaration=declaration,
        effect=effect,
    )


async def filed(answers: SqlAnswers, chain: Chain) -> Sequence[Filed] | Refusal:
    """What becomes of one chain."""
    (new,) = await answers.file([chain])
    return new


async def customs_says(
    store: Store,
    sent: Arrival,
    status: CustomsStatus,
    body: bytes,
    declaration: AnsweredDeclaration | None = None,
) -> bool:
    new = await filed(
        store.answers, [customs_says_of(status, body, declaration or await target_of(store, sent))]
    )
    assert not isinstance(new, Refusal)
    return bool(new)
