"""`gateway association`: acts for the parties of agreements in the association of the sandbox."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

import typer

from adapters.cli import chinese
from adapters.cli.exit_codes import NO, UNREACHABLE, USAGE
from adapters.cli.output import (
    HomeOption,
    JsonOption,
    LangOption,
    Language,
    LimitOption,
    Listing,
    exit_codes,
    fail,
    say_json,
    say_rows,
)
from adapters.home.clock import utc_now
from adapters.home.file_modes import private
from adapters.home.home import Home
from adapters.sandbox.association.association import ReferenceAssociation
from adapters.sandbox.backends import association
from gateway.config.connections import AssociationSettings
from gateway.formats.reading import number as number_in
from gateway.model.agreements import Act, AgreementNotice, IllegalAct
from gateway.model.faults import printable

app = typer.Typer(
    cls=Listing,
    help="The brokers' association of the sandbox: the agreements submitted to it, and acts of their "
    "parties. A running node is notified at once, by a notice that the association signs.",
)

NumberArgument = Annotated[str, typer.Argument(help="The agreement's number (ConsignNo).")]
ReasonOption = Annotated[str, typer.Option(help="Reason; both sides are notified of it.")]


@app.command("list")
def list_(home: HomeOption, lang: LangOption, limit: LimitOption = 100, as_json: JsonOption = False) -> None:
    """List the agreements submitted to the association, with their state there, oldest first.

    Example: gateway association list --home /srv/gateway
    """
    with exit_codes(), _associations(home) as associations:
        notices = [notice for each in associations for notice in asyncio.run(each.agreements())]
    columns = ("number", "kind", "trader", "broker", "proposed_by", "state", "since", "valid_until", "reason")
    rows = [_row(notice) for notice in notices[-limit:]]
    say_rows(rows, columns, as_json=as_json, lang=lang, words=chinese.AGREEMENT)


# Acts of a side on a proposal or an agreement: the act, its help, and an example.
_ACTS: Final = {
    "confirm": (
        Act.CONFIRMED,
        "Accept what the other side proposed. Exits with 1 if nothing is proposed under this number.",
        "20260000000000001",
    ),
    "refuse": (
        Act.REFUSED,
        "Refuse what the other side proposed. Exits with 1 if nothing is proposed under this number.",
        '20260000000000001 --reason "other terms"',
    ),
    "withdraw": (
        Act.WITHDRAWN,
        "Withdraw a proposal before the other side has answered. Exits with 1 if it has answered, or if "
        "there is no proposal.",
        "20260000000000001",
    ),
    "terminate": (
        Act.TERMINATED,
        "End an agreement that is in force. Exits with 1 if it is not in force.",
        '20260000000000001 --reason "contract ended"',
    ),
}


def _command_of(act: Act) -> Callable[..., None]:
    def command(
        number: NumberArgument,
        home: HomeOption,
        lang: LangOption,
        reason: ReasonOption = "",
        as_json: JsonOption = False,
    ) -> None:
        _act(home, number, act, reason, lang, as_json)

    return command


for name, (act, said, example) in _ACTS.items():
    whole = f"{said}\n\nExample: gateway association {name} {example} --home /srv/gateway"
    app.command(name, help=whole)(_command_of(act))


@app.command()
def amend(
    number: NumberArgument,
    home: HomeOption,
    lang: LangOption,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The last day on which it is in force.")
    ] = None,
    value: Annotated[
        str | None, typer.Option(help="The highest total of the declaration, in the agreement's currency.")
    ] = None,
    goods: Annotated[
        list[str] | None, typer.Option(help="Tariff codes, or their beginnings; may be repeated.")
    ] = None,
    office: Annotated[
        list[str] | None, typer.Option(help="Customs office of four digits; may be repeated.")
    ] = None,
    reason: ReasonOption = "",
    as_json: JsonOption = False,
) -> None:
    """Change the terms of an agreement. Exits with 1 if it is not in force or is used already.

    Example: gateway association amend 20260000000000001 --until 2027-03-31 --home /srv/gateway
    """
    terms: dict[str, object] = {
        **({} if until is None else {"valid_until": until.date()}),
        **({} if value is None else {"value": _number(value)}),
        **({} if goods is None else {"goods": tuple(goods)}),
        **({} if office is None else {"offices": tuple(office)}),
    }
    if not terms:
        fail(USAGE, "say what changes: --until, --value, --goods or --office")
    _act(home, number, Act.AMENDED, reason, lang, as_json, terms)


def _number(text: str) -> Decimal:
    amount = number_in(text)
    if amount is None or amount <= 0:
        fail(USAGE, f"--value {printable(text)} is no value")
    return amount


def _act(
    home: Path,
    number: str,
    act: Act,
    reason: str,
    lang: Language,
    as_json: bool,
    terms: Mapping[str, object] | None = None,
) -> None:
    with exit_codes(), _associations(home) as associations:
        for each in associations:
            why = printable(reason)
            try:
                notice = asyncio.run(
                    each.act(number, act, why) if terms is None else each.amend(number, terms, why)
                )
            except KeyError:
                continue
            except IllegalAct as error:
                fail(NO, f"{printable(number)}: {error}")
            break
        else:
            fail(NO, f"the association knows no agreement {printable(number)}; see: gateway association list")
    if as_json:
        say_json(_row(notice))
    else:
        typer.echo(
            f"{number}：已{chinese.AGREEMENT_ACTS[act]}" if lang is Language.ZH else f"{number}: {act}"
        )


def _row(notice: AgreementNotice) -> dict[str, object]:
    agreement = notice.agreement
    return {
        "number": agreement.number,
        "kind": agreement.kind,
        "trader": agreement.trader,
        "broker": agreement.broker,
        "proposed_by": notice.proposed_by,
        "state": agreement.state,
        "since": notice.at.isoformat(),
        "valid_until": agreement.valid_until,
        "reason": notice.reason,
    }


@contextmanager
def _associations(path: Path) -> Iterator[Sequence[ReferenceAssociation]]:
    """The associations of the home; a node may be serving it at the same time."""
    home = Home(path).checked()
    shipped = {
        name: settings
        for name, settings in home.settings().backend.items()
        if isinstance(settings, AssociationSettings)
    }
    if not shipped:
        fail(USAGE, "gateway.toml has no back-end of kind association")
    try:
        with private(), ExitStack() as stack:
            register = stack.enter_context(home.register())
            yield [
                stack.enter_context(closing(association(home, name, settings, register, utc_now)))
                for name, settings in shipped.items()
            ]
    except sqlite3.OperationalError as error:
        fail(UNREACHABLE, f"the books of the association cannot be used: {error}")
