"""The last step of the job: customs' answers to one declaration, and what its parties get for them."""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from json import dumps

from bench.job.frames import Content
from bench.job.register import JobRegister
from bench.job.rows import (
    ANSWER,
    CLOSE,
    CUSTOMS,
    DEADLINE,
    GATEWAY,
    REQUEST,
    SENT,
    SETTLE,
    Rows,
    micros,
)
from gateway.formats.xml import trusted
from gateway.judge.pipeline import Rules
from gateway.model.answer import AnsweredDeclaration, AnswerEffect, CustomsAnswer
from gateway.model.message import Receipt, ReceiptKind, new_id
from gateway.model.obligation import Deadline, RequestReason
from gateway.model.receipt_names import receipt_name
from gateway.model.signers import Signer
from gateway.model.states import CustomsStatus, Event, State, advance
from gateway.notify.document_requests import DocumentRequest, build_request
from gateway.respond.answer import decide, read
from gateway.respond.notices import Notified, notified

_BACKEND = "customs"
_UNSIGNED = (ReceiptKind.TECHNICAL, ReceiptKind.BUSINESS)
Clock = Callable[[], datetime]
Given = tuple[int, Receipt, datetime]  # a receipt that is to be delivered, its number and its time


@dataclass(slots=True)
class _Step:
    """One answer, on the declaration as the answer before left it."""

    content: Content
    parsed: CustomsAnswer
    before: AnsweredDeclaration
    effect: AnswerEffect
    told: Notified
    at: datetime
    receipts: tuple[Receipt, ...] = ()


@dataclass(slots=True)
class Answered:
    """A declaration that customs has closed."""

    seq: int
    delivery: int
    declaration: AnsweredDeclaration
    missing: tuple[str, ...]  # the documents that are due after the release
    steps: list[_Step] = field(default_factory=list)
    deadline: Deadline | None = None
    request: DocumentRequest | None = None
    requests: tuple[Receipt, ...] = ()

    def decide(self, came: Sequence[Content], rules: Rules, register: JobRegister, clock: Clock) -> None:
        for content in came:
            parsed, before, at = read(content.body, rules.families), self.declaration, clock()
            effect = decide(parsed, before, content.body, rules.policy, at)
            told = notified(parsed, before, effect, register, rules.families.notices(parsed.family), at)
            self.steps.append(_Step(content, parsed, before, effect, told, at))
            self.deadline = effect.deadline or self.deadline
            released = {each.account for each in told.drafts if each.says == CustomsStatus.RELEASED}
            self.declaration = replace(
                before,
                state=advance(before.state, effect.event),
                customs_status=effect.customs_status,
                seq_no=effect.seq_no,
                entry_id=effect.entry_id,
                released_to=before.released_to | released,
            )
        assert self.declaration.state is State.CLOSED

    def sign(self, rows: Rows, rules: Rules, register: JobRegister, signer: Signer, clock: Clock) -> None:
        """Signs the notices, and the request for what is due after the release."""
        for step in self.steps:
            notices = [draft.receipt(signer.sign(draft.root)) for draft in step.told.drafts]
            step.receipts = (*step.told.receipts, *notices)
        declaration, at = self.declaration, clock()
        assert self.deadline is not None
        self.request = DocumentRequest(
            id=rows.number("requests"),
            fence=1,
            at=at,
            why=RequestReason.DUE,
            documents=self.missing,
            due_at=self.deadline.due_at,
            note="",
            message=declaration.message,
            account=declaration.account,
            file_name=declaration.file_name,
            reference=declaration.reference,
            seq_no=declaration.seq_no,
            entry_id=declaration.entry_id,
            facts=declaration.facts,
        )
        body = signer.sign(trusted(build_request(self.request, rules.policy.reform.documents)))
        trader = register.party_called(declaration.facts["trader_code"])
        assert trader is not None
        assert trader.account is not None
        name = receipt_name("Request", declaration.file_name, at)
        self.requests = tuple(
            Receipt(account=account, name=name, kind=ReceiptKind.REQUEST, body=body)
            for account in (declaration.account, trader.account.name)
        )

    def write(self, rows: Rows, at: datetime) -> list[Given]:
        """All rows; returns the receipts that are to be delivered."""
        message = self.declaration.message
        rows.put(SETTLE, micros(at), self.delivery)
        rows.put(SENT, self.delivery)
        taken = {"destination": _BACKEND, "attempt": 1, "key": message}
        rows.log(message, at, Event.TAKEN, GATEWAY, State.DELIVERED, **taken)
        given = list[Given]()
        for step in self.steps:
            self._write(rows, step)
            given += [(*each, step.at) for each in rows.receipts(message, step.receipts, step.at)]
        declaration, last = self.declaration, micros(self.steps[-1].at)
        rows.put(
            CLOSE,
            *(declaration.state, declaration.customs_status, declaration.seq_no, declaration.entry_id),
            *(last, len(self.steps), self.seq),
        )
        return given + self._write_request(rows)

    def _write(self, rows: Rows, step: _Step) -> None:
        parsed, effect, content, at = step.parsed, step.effect, step.content, step.at
        answer, message, moment = new_id(at, os.urandom(10)), step.before.message, micros(at)
        digest = hashlib.sha256(content.body).hexdigest()
        link = rows.log(answer, at, Event.RECEIVED, _BACKEND, State.CLOSED, sha256=digest, linked=message)
        rows.put(
            ANSWER,
            *(rows.number("messages"), answer, _BACKEND, content.headers["name"], digest),
            *(len(content.body), content.body, moment, moment, parsed.kind),
            *(parsed.client_reference or None, parsed.seq_no or None, parsed.entry_id or None, message),
            *(link.sequence, link.digest),
        )
        bodies = {each.body for each in step.receipts if each.kind in _UNSIGNED}
        rows.log(
            *(message, at, effect.event, CUSTOMS, advance(step.before.state, effect.event)),
            kind=parsed.kind,
            code=parsed.code,
            step=parsed.step,
            customs_status=effect.customs_status,
            seq_no=parsed.seq_no,
            entry_id=parsed.entry_id,
            answer=answer,
            sha256=digest,
            unsigned=sorted(hashlib.sha256(body).hexdigest() for body in bodies),
        )

    def _write_request(self, rows: Rows) -> list[Given]:
        request, deadline, message = self.request, self.deadline, self.declaration.message
        assert request is not None
        assert deadline is not None
        at, due_at = micros(request.at), micros(deadline.due_at)
        rows.put(DEADLINE, at, due_at, micros(deadline.remind_at), message)
        rows.put(REQUEST, request.id, message, at, request.why, dumps(request.documents), due_at, at)
        rows.log(
            *(message, request.at, "requested", GATEWAY, self.declaration.state),
            why=request.why,
            documents=list(request.documents),
            accounts=[each.account for each in self.requests],
        )
        return [(*each, request.at) for each in rows.receipts(message, self.requests, request.at)]
