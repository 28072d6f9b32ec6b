"""`gateway check`: runs the judgement stages of the node on a local file."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import file_digest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from adapters.cli.differing import warn_of_differing
from adapters.cli.exit_codes import NO, USAGE
from adapters.cli.init.init import create_home
from adapters.cli.output import (
    JsonOption,
    LangOption,
    Language,
    exit_codes,
    fail,
    say_json,
)
from adapters.home.clock import utc_now
from adapters.home.home import Home
from adapters.store.read.register import SqlRegister
from gateway.formats.report import filled, heading
from gateway.judge.pipeline import Rules, judge
from gateway.judge.unpack import unpack
from gateway.judge.validate import recognise
from gateway.model.decision import Decision
from gateway.model.faults import MessageRejected, printable
from gateway.model.message import Arrival, ChainLink, Received
from gateway.model.states import Event


def check(
    file: Annotated[
        Path, typer.Argument(help="A package (zip) or a bare XML document.", exists=True, dir_okay=False)
    ],
    lang: LangOption,
    account: Annotated[
        str | None,
        typer.Option(help="Account to check as; by default the party that the document names as its sender."),
    ] = None,
    home: Annotated[
        Path | None,
        typer.Option(
            "--home", envvar="GATEWAY_HOME", help="Judge by this home; without it, by the shipped defaults."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a file as the gateway would, without sending it. Exits with 1 if it would be refused.

    Example: gateway check declaration.zip --account broker-aa --lang zh
    """
    if not file.is_file():
        fail(USAGE, f"{file} is no regular file")
    with exit_codes(), _home(home) as base:
        warn_of_differing(base, lang)
        decision = _judged(file, account, base)
    accepted = decision.event is not Event.REFUSED
    if as_json:
        say_json(_plain(decision, accepted))
    else:
        _print(file, decision, lang)
    if not accepted:
        raise typer.Exit(NO)


@contextmanager
def _home(path: Path | None) -> Iterator[Home]:
    if path is not None:
        yield Home(path).checked()
        return
    with TemporaryDirectory() as folder:
        yield create_home(Path(folder) / "home", 0, utc_now())


def _judged(file: Path, account: str | None, home: Home) -> Decision:
    rules = home.rules()
    with file.open("rb") as stream:
        sha256 = file_digest(stream, "sha256").hexdigest()
    now = utc_now()
    with home.register() as register:
        received = Received(
            arrival=Arrival(
                id="0" * 26,
                account=printable(account) if account else _named_sender(file, rules, register),
                channel="check",
                name=printable(file.name),
                sha256=sha256,
                size=file.stat().st_size,
                received_at=now,
            ),
            attempts=1,
            link=ChainLink(sequence=0, digest="0" * 64),
        )
        return judge(received, partial(file.open, "rb"), rules, register, home.signer(), now)


def _named_sender(file: Path, rules: Rules, register: SqlRegister) -> str:
    """The account of a party that the document names. If it names no registered party, or cannot be read, the
    account of the first party; judgement then reports this and all other faults."""
    policy = rules.policy
    accounts = [party.account for party in register.parties() if party.account is not None]
    size, most = file.stat().st_size, max(account.max_package for account in accounts)
    try:
        package = unpack(
            printable(file.name), partial(file.open, "rb"), size, policy.package, policy.pdf, most
        )
        recognised = recognise(package, rules.families, policy)
    except MessageRejected:
        return accounts[0].name
    values = recognised.type.facts(recognised.root)
    named = [values[fact] for fact in recognised.type.sender_facts if fact in values]
    for party in register.parties():
        if party.account is not None and any(party.is_called(code) for code in named):
            return party.account.name
    return accounts[0].name


def _plain(decision: Decision, accepted: bool) -> dict[str, Any]:
    facts = decision.facts
    return {
        "verdict": "waiting" if decision.event is Event.WAITING else "accepted" if accepted else "rejected",
        "repeats": decision.linked if decision.event is Event.REPEATED else None,
        "family": None if facts is None else facts.key.family,
        "type": None if facts is None else facts.key.type,
        "reference": None if facts is None else facts.key.reference,
        "route": decision.trail.get("route"),
        "faults": [
            {
                "code": finding.code,
                "rule": finding.rule,
                "severity": finding.severity,
                "file": finding.place.file,
                "line": finding.place.line,
                "xpath": finding.place.xpath,
                "value": finding.value,
                "zh": finding.zh,
                "en": finding.en,
            }
            for finding in decision.findings
        ],
    }


def _print(file: Path, decision: Decision, lang: Language) -> None:
    words = {
        Event.PASSED: ("would be accepted", "将受理"),
        Event.ACCEPTED_NO_DELIVERY: ("would be accepted", "将受理"),
        Event.WAITING: ("would wait", "将等待"),
        Event.REPEATED: (
            "was accepted before; its receipts would be given again",
            "此前已受理，将重发回执",
        ),
        Event.REFUSED: ("would be refused", "将拒收"),
    }
    en, zh = words[decision.event]
    in_zh = lang is Language.ZH
    typer.echo(f"{printable(file.name)}：{zh}" if in_zh else f"{printable(file.name)}: {en}")
    if route := decision.trail.get("route"):
        typer.echo(f"  递交线路：{printable(route)}" if in_zh else f"  route: {printable(route)}")
    for fault in decision.findings:
        head = heading(fault.severity, fault.rule or fault.code, fault.place)
        typer.echo(f"\n  {head.zh if in_zh else head.en}")
        typer.echo(f"    {fault.zh if in_zh else fault.en}")
        if fault.value is not None:
            value = filled(fault.value)
            typer.echo(f"    {value.zh if in_zh else value.en}")
