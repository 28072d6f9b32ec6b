"""The loop: groups of declarations, each taken in, judged, submitted, answered and receipted.

For a group, with one durable commit after each step, and nothing acknowledged, sent or published before it:

1. The frames are read; package, message, its place in the queue and the first event are written.
2. Each is judged by the product's pipeline, with parties kept and a template signer; decision, receipts and
   delivery are written; then the submissions are packed and framed, and the receipts.
3. Customs' answers are read from their frames, parsed and decided one after the other; the notices and the
   request for documents are drafted and signed; all is written; then the receipts are framed.

Not included: sockets, processes and their pipes, logs, metrics, polling, checks of what arrives before it is
judged, and everything that goes wrong. Frames go to /dev/null.
"""

import hashlib
import os
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import IO, Final

from adapters.blobs.packages import Packages
from adapters.home.home import Home
from adapters.store.prepared import PreparedConnection
from adapters.store.read.register import SqlRegister
from bench.job.answered import Answered, Given
from bench.job.frames import Content, acknowledged, contents, published
from bench.job.inputs import Input
from bench.job.register import JobRegister
from bench.job.rows import ARRIVAL, PACKAGE, REPLY, TO_JUDGE, Rows, micros
from bench.job.xades import LeanSigner
from gateway.formats.submission import write_zip
from gateway.judge.pipeline import judge
from gateway.model.answer import AnsweredDeclaration
from gateway.model.decision import Decision, DeclarationOutcome
from gateway.model.message import Arrival, Received
from gateway.model.parties import Delivery
from gateway.model.states import CustomsStatus, Event, State
from gateway.model.trace_context import TRACEPARENT, traceparent

GROUP: Final = 32
PARTS: Final = ("frames", "judgement", "answers", "signatures", "rows", "commits")
_APP: Final = "customs-edi-gateway"


@dataclass(slots=True)
class _Open:
    """A declaration on its way."""

    seq: int
    received: Received
    reply_to: str
    message_id: str
    body: bytes
    decision: Decision | None = None
    delivery: int = 0


class Spent:
    """Seconds of CPU time by part: each mark ends one."""

    def __init__(self) -> None:
        self.parts: Counter[str] = Counter()
        self._last = time.process_time()

    def mark(self, part: str) -> None:
        now = time.process_time()
        self.parts[part] += now - self._last  # type: ignore[assignment]  # a counter of seconds
        self._last = now


class Job:
    """The loop over a home that nobody else uses: rules, parties and keys are loaded once."""

    def __init__(self, home: Home) -> None:
        self._rules = home.rules()
        self._signer = LeanSigner(home.signing_key.read_bytes(), home.certificate.read_text())
        reader = PreparedConnection(home.reader())
        self._packages = Packages.of(home, lambda: nullcontext(reader))
        self._register = SqlRegister.over(reader)
        parties = [each.account for each in self._register.parties() if each.account is not None]
        self._delivered = frozenset(
            account.name for account in parties if account.delivery is not Delivery.INBOX
        )
        self._enclosed: dict[str, bytes] = {}
        self._sink = os.open(os.devnull, os.O_WRONLY)
        self._latest = datetime.now(UTC)

    def run(self, database: Path, given: Sequence[Input]) -> Spent:
        """All declarations, into a store that is a copy of the home's and that nobody has open."""
        rows = Rows(database, self._delivered)
        register = JobRegister(self._register, rows.connection)
        spent, left = Spent(), iter(given)
        while group := list(islice(left, GROUP)):
            register.new_group()
            opened = self._take_in(rows, group, spent)
            self._judge(rows, register, opened, spent)
            self._close(rows, register, opened, b"".join(each.answers for each in group), spent)
        rows.posted(self._now())
        rows.commit()
        rows.close()
        spent.mark("commits")
        return spent

    def _now(self) -> datetime:
        """Different at each call: receipts of one file differ in name by their time."""
        self._latest = max(datetime.now(UTC), self._latest + timedelta(microseconds=1))
        return self._latest

    def _take_in(self, rows: Rows, group: Sequence[Input], spent: Spent) -> list[_Open]:
        came = list(contents(b"".join(each.sent for each in group)))
        spent.mark("frames")
        rows.posted(self._now())
        opened = [self._arrived(rows, given.id, each) for given, each in zip(group, came, strict=True)]
        rows.sent_today(came[0].user_id, [len(each.body) for each in came], self._now())
        spent.mark("rows")
        rows.commit()
        spent.mark("commits")
        self._send(acknowledged(len(group)))
        spent.mark("frames")
        return opened

    def _arrived(self, rows: Rows, message: str, came: Content) -> _Open:
        account, name, at = came.user_id, came.message_id + _suffix(came), self._now()
        sha256, size, moment = hashlib.sha256(came.body).hexdigest(), len(came.body), micros(at)
        detail = {"channel": "amqp", "name": name, "sha256": sha256, "size": size}
        link = rows.log(message, at, Event.RECEIVED, account, State.RECEIVED, **detail)
        seq = rows.number("messages")
        rows.put(PACKAGE, sha256, came.body)
        rows.put(
            ARRIVAL, *(seq, message, account, name, sha256, size, moment, moment, link.sequence, link.digest)
        )
        rows.put(REPLY, message, account, came.message_id, came.message_id, came.reply_to)
        rows.put(TO_JUDGE, account, seq)
        arrival = Arrival(
            id=message,
            account=account,
            channel="amqp",
            name=name,
            sha256=sha256,
            size=size,
            received_at=at,
        )
        received = Received(arrival=arrival, link=link, attempts=1, fence=1)
        return _Open(seq, received, came.reply_to, came.message_id, came.body)

    def _judge(self, rows: Rows, register: JobRegister, opened: Sequence[_Open], spent: Spent) -> None:
        times = [self._now() for _ in opened]
        for each, at in zip(opened, times, strict=True):
            body = each.body
            each.decision = judge(
                *(each.received, lambda body=body: BytesIO(body), self._rules, register, self._signer, at)
            )
            assert each.decision.event is Event.PASSED, each.decision.findings
        spent.mark("judgement")
        rows.posted(self._now())
        given = list[tuple[_Open, Given]]()
        for each, at in zip(opened, times, strict=True):
            assert each.decision is not None
            account, message = each.received.arrival.account, each.received.arrival.id
            each.delivery = rows.accept(each.seq, account, each.decision, at)
            receipts = rows.receipts(message, each.decision.receipts, at)
            given += [(each, (number, receipt, at)) for number, receipt in receipts]
        spent.mark("rows")
        rows.commit()
        spent.mark("commits")
        self._send(*map(self._submission, opened), *(_brought(*each) for each in given))
        spent.mark("frames")

    def _submission(self, each: _Open) -> bytes:
        assert each.decision is not None
        (submission,) = each.decision.submissions
        own, out = submission.package_sha256, BytesIO()
        write_zip(submission, lambda sha256: BytesIO(each.body) if sha256 == own else self._kept(sha256), out)
        content = Content(
            body=out.getvalue(),
            headers={TRACEPARENT: traceparent(submission.key)},
            content_type="application/zip",
            message_id=submission.key,
            correlation_id=submission.key,
            app_id=_APP,
        )
        return published(content, "", "customs.submissions")

    def _kept(self, sha256: str) -> IO[bytes]:
        """What goes with many submissions, as the notice of a mandate, is read once."""
        if sha256 not in self._enclosed:
            with self._packages.open(sha256) as stream:
                self._enclosed[sha256] = stream.read()
        return BytesIO(self._enclosed[sha256])

    def _close(
        self, rows: Rows, register: JobRegister, opened: Sequence[_Open], answers: bytes, spent: Spent
    ) -> None:
        came = defaultdict[str, list[Content]](list)
        for content in contents(answers):
            came[content.correlation_id].append(content)
        spent.mark("frames")
        answered = [_answered(each) for each in opened]
        for each in answered:
            each.decide(came[each.declaration.message], self._rules, register, self._now)
        spent.mark("answers")
        for each in answered:
            each.sign(rows, self._rules, register, self._signer, self._now)
        spent.mark("signatures")
        rows.posted(self._now())
        given = list[tuple[_Open, Given]]()
        for of, each in zip(opened, answered, strict=True):
            given += [(of, receipt) for receipt in each.write(rows, self._now())]
        spent.mark("rows")
        rows.commit()
        spent.mark("commits")
        self._send(acknowledged(sum(map(len, came.values()))), *(_brought(*each) for each in given))
        spent.mark("frames")

    def _send(self, *frames: bytes) -> None:
        os.write(self._sink, b"".join(frames))


def _suffix(came: Content) -> str:
    return "." + came.content_type.rpartition("/")[2]


def _answered(each: _Open) -> Answered:
    """The declaration as customs takes it."""
    decision, arrival = each.decision, each.received.arrival
    assert decision is not None
    assert decision.facts is not None
    outcome = decision.outcome
    assert isinstance(outcome, DeclarationOutcome)
    assert outcome.obligation is not None
    declaration = AnsweredDeclaration(
        message=arrival.id,
        account=arrival.account,
        file_name=arrival.name,
        reference=decision.facts.key.reference,
        state=State.DELIVERED,
        customs_status=CustomsStatus.NONE,
        seq_no="",
        entry_id="",
        operation=decision.facts.operation,
        facts=decision.facts.values,
        uses=None,  # a mandate is not used up
        released_to=frozenset(),
        revision=2,
    )
    missing = outcome.obligation.missing(outcome.brings)
    return Answered(each.seq, each.delivery, declaration, missing)


def _brought(each: _Open, given: Given) -> bytes:
    """The frames of a receipt for the queue that the declaration named."""
    number, receipt, at = given
    assert each.decision is not None
    assert each.decision.facts is not None
    content = Content(
        body=receipt.body,
        headers={
            "message": each.received.arrival.id,
            "reference": each.decision.facts.key.reference,
            "verdict": receipt.verdict,
            "final": receipt.final,
            "name": receipt.name,
        },
        content_type="application/xml",
        correlation_id=each.message_id,
        message_id=f"receipt-{number}",
        type=receipt.kind,
        app_id=_APP,
        timestamp=int(at.timestamp()),
    )
    return published(content, "", each.reply_to)
