"""Messages for operators' acts: refused ones, and ones that waited or were accepted, then held."""

import asyncio
import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pytest

import cli
from adapters.store.tables.messages import agreements, events
from gateway.model.agreements import Act
from gateway.model.decision import Decision
from gateway.model.policy import DeclarationPolicy
from gateway.model.states import Event
from gateway.model.transition import Applied
from tests.support.acts import hold
from tests.support.association import ACCOUNT, agreement, agreement_document, signed_notice
from tests.support.declarations import Declaration, lines
from tests.support.harness import LATER, Harness
from tests.support.rendering import render

NUMBER = "195200016172325"
BROKER = "broker-aa"


@dataclass(frozen=True)
class CommandResult:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def gateway(harness: Harness, *arguments: str) -> CommandResult:
    """The command on the home of the harness, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        cli.app([*arguments, "--home", str(harness.home.path)], prog_name="gateway")
    code = ended.value.code
    assert code is None or isinstance(code, int)
    return CommandResult(code or 0, out.getvalue(), err.getvalue())


def refused(harness: Harness, reference: str = "R1") -> str:
    """One that the policy of its day refused for its two lines; the home's own lets it pass."""
    present, policy = harness.rules, harness.rules.policy
    strict = policy.model_copy(update={"declaration": DeclarationPolicy(lines=1)})
    harness.rules = replace(present, policy=strict)
    try:
        body = render(Declaration(reference=reference, lines=lines(2)))
        decision = harness.judged(BROKER, f"{reference}.xml", body)
    finally:
        harness.rules = present
    assert decision.event is Event.REFUSED
    return decision.message


def accepted(harness: Harness, reference: str = "R1") -> str:
    """One that uses up an agreement of its own."""
    notice = signed_notice(harness.home, agreement(NUMBER), Act.CONFIRMED)
    if not harness.rows(agreements, number=NUMBER):
        harness.judged(ACCOUNT, "told.xml", notice)
    body = render(Declaration(reference=reference, documents=(agreement_document(NUMBER),)))
    decision = harness.judged(BROKER, f"{reference}.xml", body)
    assert decision.event is Event.PASSED
    return decision.message


def held(harness: Harness, reference: str = "R1") -> str:
    """One that was accepted and then held: customs does not have it."""
    message = accepted(harness, reference)
    harness.database.submit(lambda to: hold(to, message, "operator", "look at it", LATER)).result()
    return message


def judge_again(harness: Harness, at: datetime) -> Decision:
    """As the node does with the one that is to be judged."""
    decision = harness.judgement(harness.claimed(at), at)
    assert isinstance(asyncio.run(harness.messages.decide(decision, at)), Applied)
    return decision


def trail(harness: Harness, message: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Event, actor and detail of each event of a message."""
    rows = harness.rows(events, message=message)
    return [(row["event"], row["actor"], json.loads(row["detail"])) for row in rows]
