"""`gateway messages`: find, understand and replay."""

import getpass
from typing import Annotated, Any

import typer
from sqlalchemy import Connection, Row

from adapters.assemble import utc_now
from adapters.home import Home
from adapters.operators.output import (
    NO,
    HomeOption,
    JsonOption,
    LangOption,
    Language,
    LimitOption,
    Listing,
    cell,
    console,
    fail,
    opened,
    say_json,
    say_rows,
    told,
)
from adapters.stores.database import Database, sqlite_engine
from adapters.stores.operations import replay as replay_message
from adapters.stores.reading import find_messages, list_messages, show_message, trace_message
from gateway.states import IllegalTransition, State

app = typer.Typer(cls=Listing, help="Find, understand and replay messages.")

WantedArgument = Annotated[
    str, typer.Argument(help="Message id, reference, SeqNo or entry number; of several the newest.")
]


@app.command("list")
def list_(
    home: HomeOption,
    state: Annotated[State | None, typer.Option(help="Only messages in this state.")] = None,
    account: Annotated[str | None, typer.Option(help="Only messages of this account.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Answers of customs as well.")] = False,
    limit: LimitOption = 100,
    as_json: JsonOption = False,
) -> None:
    """What parties sent, the newest last.

    Example: gateway messages list --state rejected --home /srv/gateway
    """
    with told():
        rows = _read(
            opened(home),
            lambda reader: list_messages(reader, state=state, account=account, limit=limit, everything=all_),
        )
    columns = ("received_at", "id", "account", "reference", "type", "state", "customs_status", "faults")
    say_rows(rows, columns, as_json=as_json)


@app.command()
def show(
    wanted: WantedArgument, home: HomeOption, lang: LangOption = Language.EN, as_json: JsonOption = False
) -> None:
    """Everything known of one message.

    Example: gateway messages show 01JD0000000000000000000000 --home /srv/gateway
    """
    with told():
        found = _read(opened(home), lambda reader: show_message(reader, _meant(reader, wanted)))
    if as_json:
        say_json(found)
        return
    printer = console()
    for name, value in found.items():
        if name not in ("findings", "receipts", "deliveries", "steps", "facts"):
            printer.print(f"{name.replace('_', ' '):>15}  ", cell(value), sep="")
    for finding in found["findings"]:
        place = finding["place"]
        line = place["line"] and f"line {place['line']}"
        where = " ".join(part for part in (place["file"], line, place["xpath"]) if part)
        printer.print(f"\n{finding['severity']} {finding['rule'] or finding['code']}  ", cell(where), sep="")
        printer.print("  ", cell(finding[lang]), sep="")
    for title, columns in (
        ("steps", ("at", "step")),
        ("deliveries", ("destination", "state", "attempts", "changed_at", "note")),
        ("receipts", ("created_at", "account", "kind", "verdict", "final", "folder", "name")),
    ):
        if found[title]:
            printer.print(f"\n{title}")
            say_rows(found[title], columns, as_json=False)


@app.command()
def trace(wanted: WantedArgument, home: HomeOption, as_json: JsonOption = False) -> None:
    """Every event of a message, with actor, time and place in the log.

    Example: gateway messages trace TB20261102000001 --home /srv/gateway
    """
    with told():
        found = _read(opened(home), lambda reader: trace_message(reader, _meant(reader, wanted).id))
    rows = found if as_json else [{**row, "detail": _in_short(row["detail"])} for row in found]
    say_rows(rows, ("sequence", "at", "event", "actor", "state", "detail"), as_json=as_json)


@app.command()
def replay(
    wanted: WantedArgument,
    home: HomeOption,
    reason: Annotated[str, typer.Option(help="Why; stands in the trail.", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Take a rejected or held message up again.

    A message that was never accepted is judged again; one that was accepted is delivered again under its
    submission key, after the back-end was asked whether it has it. A running node goes on with it at once.

    Example: gateway messages replay TB20261102000001 --reason "certificate registered" --home /srv/gateway
    """
    with told():
        base = opened(home)
        row = _read(base, lambda reader: _meant(reader, wanted))
        database = Database(sqlite_engine(base.database))
        try:
            state = database.submit(
                lambda transaction: replay_message(transaction, row.id, getpass.getuser(), reason, utc_now())
            ).result()
        except IllegalTransition as error:
            fail(NO, f"{row.id}: {error}; only rejected and held messages can be replayed")
        finally:
            database.close()
    if as_json:
        say_json({"id": row.id, "state": state})
    else:
        typer.echo(f"{row.id} is {state} again")


def _read(home: Home, query: Any) -> Any:
    engine = sqlite_engine(home.database, read_only=True)
    try:
        with engine.connect() as reader:
            return query(reader)
    finally:
        engine.dispose()


def _meant(reader: Connection, wanted: str) -> Row[*tuple[Any, ...]]:
    """The newest that is known so. Standard error names the others, since a correction and what is sent twice
    have the reference of the first."""
    found = find_messages(reader, wanted)
    if not found:
        fail(NO, f"no message is known by {wanted}")
    if len(found) > 1:
        others = ", ".join(row.id for row in found[1:])
        typer.echo(
            f"gateway: the newest of several by {wanted} is {found[0].id}; before it: {others}", err=True
        )
    return found[0]


def _in_short(detail: dict[str, Any]) -> str:
    # Digests are for scripts; a table shows enough of them to tell two apart.
    return " ".join(
        f"{key}={value[:12] + '…' if isinstance(value, str) and len(value) == 64 else value}"
        for key, value in detail.items()
    )
