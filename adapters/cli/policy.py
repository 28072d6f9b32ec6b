"""`gateway policy`: shows the policy in force on a day, and tries another policy on past messages."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, Annotated, Any

import typer
from rich.console import Console
from rich.progress import track
from sqlalchemy import select

from adapters.blobs.packages import Packages
from adapters.cli.output import HomeOption, JsonOption, opened, say_rows
from adapters.home.clock import utc_now
from adapters.home.home import Home
from adapters.store.read.register import SqlRegister
from adapters.store.rows import received_of
from adapters.store.tables.messages import messages
from gateway.config.settings import decoded, read_policy
from gateway.judge.pipeline import Rules, judge
from gateway.model.china import china_date
from gateway.model.faults import Fault, Severity
from gateway.model.message import EarlierMessage, Key, Received
from gateway.model.policy import Policy
from gateway.model.reform import in_force
from gateway.model.register import Register
from gateway.model.signers import Signer
from gateway.model.states import Event, State

app = typer.Typer(
    no_args_is_help=True, help="The policy in force, and a trial of another one on past messages."
)


@app.command()
def show(
    home: HomeOption,
    on: Annotated[
        datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="Day in China; today by default.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the limits, and the reform rows that are in force on a day, each with its source.

    Example: gateway policy show --on 2013-05-01 --home /srv/gateway
    """
    with opened(home) as base:
        policy = base.policy()
    rows = [*_limits(policy), *_rows(policy, china_date(utc_now()) if on is None else on.date())]
    say_rows(rows, ("section", "says", "since", "until", "source"), as_json=as_json)


@app.command("try")
def try_(
    file: Annotated[Path, typer.Argument(help="Another policy.toml.", exists=True, dir_okay=False)],
    home: HomeOption,
    last: Annotated[
        int, typer.Option("--last", min=1, help="How many of the newest messages to judge.")
    ] = 100,
    as_json: JsonOption = False,
) -> None:
    """Judge the newest messages under another policy; show those whose verdict or faults would differ.
    Nothing is changed and nothing is sent.

    A difference that the present policy would also give today is left out: it has another cause, for instance
    an agreement that has been used up since.

    Example: gateway policy try policy-2027.toml --last 500 --home /srv/gateway
    """
    with opened(home) as base:
        policy = read_policy(file.name, decoded(file.name, file.read_bytes()))
        rows = _tried(base, policy, last)
    say_rows(rows, ("id", "account", "reference", "was", "would_be"), as_json=as_json)


def _limits(policy: Policy) -> list[dict[str, Any]]:
    return [
        {"section": f"{section}.{key}", "says": str(value), "since": None, "until": None, "source": None}
        for section, values in policy.model_dump(mode="json", exclude={"version", "reform"}).items()
        for key, value in values.items()
    ]


def _rows(policy: Policy, day: date) -> list[dict[str, Any]]:
    reform = policy.reform
    tables = ("eligible", "scope", "demand", "due", "triage", "inspection")
    rows = chain.from_iterable(
        ((table, row) for row in in_force(getattr(reform, table), day)) for table in tables
    )
    return [
        {
            "section": f"reform.{table}",
            "says": _conditions(
                row.model_dump(mode="json", exclude={"since", "until", "source", "source_zh"})
            ),
            "since": row.since.isoformat(),
            "until": None if row.until is None else row.until.isoformat(),
            "source": row.source,
        }
        for table, row in rows
    ]


def _conditions(values: dict[str, Any]) -> str:
    conditions = (f"{name}={_value(value)}" for name, value in values.items() if value not in (None, []))
    return " ".join(conditions) or "any"  # a row without conditions matches everything


def _value(value: object) -> str:
    if isinstance(value, list):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


class _Unseen(SqlRegister):
    """The register without earlier messages; with them each message would be a repetition of itself."""

    def holder(self, key: Key, message: str = "") -> EarlierMessage | None:
        return None

    def same_body(self, key: Key, body: str) -> EarlierMessage | None:
        return None


def _tried(home: Home, policy: Policy, last: int) -> list[dict[str, Any]]:
    present = home.rules()
    rules = replace(present, policy=policy)
    signer = home.signer()
    engine = home.reader()
    register, packages = _Unseen(engine), Packages.of(home, engine.connect)
    newest = (
        select(messages)
        .where(messages.c.kind == "inbound", messages.c.state.not_in([State.RECEIVED, State.HELD]))
        .order_by(messages.c.seq.desc())
        .limit(last)
    )
    with engine.connect() as reader:
        rows = list(reversed(reader.execute(newest).all()))
    tried = []
    for row in track(rows, "judging", console=Console(stderr=True), transient=True):
        was = {
            finding["rule"] or finding["code"]
            for finding in row.findings
            if finding["severity"] == Severity.ERROR
        }
        if Fault.DUPLICATE_REFERENCE.code in was:
            continue  # decided by earlier messages, not by the policy
        blob = partial(packages.open, row.sha256)
        judged = partial(_would_be, received_of(row), blob, register, signer)
        would_be = judged(rules)
        if would_be in (_verdict(was), judged(present)):
            continue
        tried.append(
            {
                "id": row.id,
                "account": row.account,
                "reference": row.reference,
                "was": _verdict(was),
                "would_be": would_be,
            }
        )
    engine.dispose()
    return tried


def _would_be(
    received: Received, blob: Callable[[], IO[bytes]], register: Register, signer: Signer, rules: Rules
) -> str:
    decision = judge(received, blob, rules, register, signer, received.arrival.received_at)
    if decision.event is not Event.REFUSED:
        return _verdict(set())
    errors = (finding for finding in decision.findings if finding.severity is Severity.ERROR)
    return _verdict({error.rule or error.code for error in errors})


def _verdict(faults: set[str]) -> str:
    return f"rejected: {', '.join(sorted(faults))}" if faults else "accepted"
