"""Messages for operators' acts at a desk: refused ones, and ones that waited or were accepted, then held."""

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
from tests.support.acts import hold
from tests.support.association import ACCOUNT, agreement, shown, signed_notice
from tests.support.declarations import Declaration, lines
from tests.support.desk import LATER, Desk
from tests.support.rendering import render

NUMBER = "195200016172325"
BROKER = "broker-aa"


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def gateway(desk: Desk, *arguments: str) -> Said:
    """The command on the desk's home, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        cli.app([*arguments, "--home", str(desk.home.path)], prog_name="gateway")
    code = ended.value.code
    assert code is None or isinstance(code, int)
    return Said(code or 0, out.getvalue(), err.getvalue())


def refused(desk: Desk, reference: str = "R1") -> str:
    """One that the policy of its day refused for its two lines; the home's own lets it pass."""
    present, policy = desk.rules, desk.rules.policy
    strict = policy.model_copy(update={"declaration": DeclarationPolicy(lines=1)})
    desk.rules = replace(present, policy=strict)
    try:
        body = render(Declaration(reference=reference, lines=lines(2)))
        decision = desk.judged(BROKER, f"{reference}.xml", body)
    finally:
        desk.rules = present
    assert decision.event is Event.REFUSED
    return decision.message


def accepted(desk: Desk, reference: str = "R1") -> str:
    """One that uses up an agreement of its own."""
    told = signed_notice(desk.home, agreement(NUMBER), Act.CONFIRMED)
    if not desk.rows(agreements, number=NUMBER):
        desk.judged(ACCOUNT, "told.xml", told)
    body = render(Declaration(reference=reference, documents=(shown(NUMBER),)))
    decision = desk.judged(BROKER, f"{reference}.xml", body)
    assert decision.event is Event.PASSED
    return decision.message


def held(desk: Desk, reference: str = "R1") -> str:
    """One that was accepted and then held: customs does not have it."""
    message = accepted(desk, reference)
    desk.database.submit(lambda to: hold(to, message, "operator", "look at it", LATER)).result()
    return message


def judge_again(desk: Desk, at: datetime) -> Decision:
    """As the node does with the one that is to be judged."""
    decision = desk.judgement(desk.claimed(at), at)
    asyncio.run(desk.messages.decide(decision, at))
    return decision


def trail(desk: Desk, message: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Event, actor and detail of each event of a message."""
    rows = desk.rows(events, message=message)
    return [(row["event"], row["actor"], json.loads(row["detail"])) for row in rows]
