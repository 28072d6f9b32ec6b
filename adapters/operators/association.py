"""`gateway association`: what the association that is shipped knows, and the other side of an agreement."""

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from adapters.backends.association.association import ReferenceAssociation
from adapters.clock import utc_now
from adapters.operators.output import (
    NO,
    UNREACHABLE,
    USAGE,
    HomeOption,
    JsonOption,
    LimitOption,
    Listing,
    fail,
    opened,
    say_json,
    say_rows,
    told,
)
from adapters.stores.database import sqlite_engine
from adapters.stores.register import SqlRegister
from gateway.agreements import Act, IllegalAct, Notice
from gateway.connections import AssociationSettings
from gateway.faults import printable

app = typer.Typer(
    cls=Listing,
    help="The brokers' association that is shipped: the agreements that it was asked to import, and what "
    "their sides do with them. A running node hears of it at once, by a notice that the association signs.",
)

NumberArgument = Annotated[str, typer.Argument(help="The agreement's number (ConsignNo).")]
ReasonOption = Annotated[str, typer.Option(help="Why; both sides are told.")]


@app.command("list")
def list_(home: HomeOption, limit: LimitOption = 100, as_json: JsonOption = False) -> None:
    """What the association was asked to import, as it stands there, the oldest first.

    Example: gateway association list --home /srv/gateway
    """
    with told(), _associations(home) as associations:
        notices = [notice for each in associations for notice in asyncio.run(each.agreements())]
    columns = ("number", "kind", "trader", "broker", "proposed_by", "state", "since", "valid_until", "reason")
    say_rows([_row(notice) for notice in notices[-limit:]], columns, as_json=as_json)


@app.command()
def confirm(
    number: NumberArgument, home: HomeOption, reason: ReasonOption = "", as_json: JsonOption = False
) -> None:
    """Accept what the other side proposed. Ends with 1 where nothing is proposed under this number.

    Example: gateway association confirm 20260000000000001 --home /srv/gateway
    """
    _act(home, number, Act.CONFIRMED, reason, as_json)


@app.command()
def refuse(
    number: NumberArgument, home: HomeOption, reason: ReasonOption = "", as_json: JsonOption = False
) -> None:
    """Refuse what the other side proposed. Ends with 1 where nothing is proposed under this number.

    Example: gateway association refuse 20260000000000001 --reason "other terms" --home /srv/gateway
    """
    _act(home, number, Act.REFUSED, reason, as_json)


@app.command()
def withdraw(
    number: NumberArgument, home: HomeOption, reason: ReasonOption = "", as_json: JsonOption = False
) -> None:
    """Take a proposal back before the other side has answered. Ends with 1 where it has, or there is none.

    Example: gateway association withdraw 20260000000000001 --home /srv/gateway
    """
    _act(home, number, Act.WITHDRAWN, reason, as_json)


@app.command()
def terminate(
    number: NumberArgument, home: HomeOption, reason: ReasonOption = "", as_json: JsonOption = False
) -> None:
    """End an agreement that is in force. Ends with 1 where it is not.

    Example: gateway association terminate 20260000000000001 --reason "contract ended" --home /srv/gateway
    """
    _act(home, number, Act.TERMINATED, reason, as_json)


def _act(home: Path, number: str, act: Act, reason: str, as_json: bool) -> None:
    with told(), _associations(home) as associations:
        for each in associations:
            try:
                notice = asyncio.run(each.act(number, act, printable(reason)))
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
        typer.echo(f"{number}: {act}")


def _row(notice: Notice) -> dict[str, object]:
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
    """Those of the home, beside a node that may serve it."""
    home = opened(path)
    shipped = {
        name: settings
        for name, settings in home.settings().backend.items()
        if isinstance(settings, AssociationSettings)
    }
    if not shipped:
        fail(USAGE, "gateway.toml has no back-end of kind association")
    # Late: other commands need not wait for its libraries.
    from adapters.backend_kinds import association

    register = SqlRegister(sqlite_engine(home.database, read_only=True))
    try:
        with ExitStack() as stack:
            yield [
                stack.enter_context(closing(association(home, name, settings, register, utc_now)))
                for name, settings in shipped.items()
            ]
    except sqlite3.OperationalError as error:
        fail(UNREACHABLE, f"the books of the association cannot be used: {error}")
