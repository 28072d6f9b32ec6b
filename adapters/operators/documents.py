"""`gateway documents`: what declarations owe, what was asked for, and what came (REFORM R3, R4)."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from sqlalchemy import Connection

from adapters.clock import utc_now
from adapters.operators.output import (
    NO,
    HomeOption,
    JsonOption,
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
from adapters.stores.database import sqlite_engine
from adapters.stores.owing import list_owed, show_owed

app = typer.Typer(cls=Listing, help="Documents that declarations owe.")

T = TypeVar("T")


@app.command("list")
def list_(
    home: HomeOption,
    open_: Annotated[
        bool, typer.Option("--open", help="Only where documents are to follow, or customs asks for some.")
    ] = False,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only where the deadline is over.")] = False,
    account: Annotated[str | None, typer.Option(help="Only declarations of this account.")] = None,
    limit: LimitOption = 100,
    as_json: JsonOption = False,
) -> None:
    """What documents accepted declarations owe, and when they are due, the newest last.

    Example: gateway documents list --overdue --home /srv/gateway
    """
    rows = _read(
        home,
        lambda reader: list_owed(
            reader, utc_now(), only_open=open_, overdue=overdue, account=account, limit=limit
        ),
    )
    columns = ("reference", "account", "entry_id", "customs_status", "due", "missing", "due_at", "reminded")
    if not as_json:
        # Nothing is due of a declaration that owes nothing, as on paper.
        rows = [{**row, "due": row["due"] if row["documents"] else None} for row in rows]
    say_rows(rows, columns, as_json=as_json)


@app.command()
def show(
    wanted: Annotated[
        str, typer.Argument(help="Message id, reference, SeqNo or entry number; of several the newest.")
    ],
    home: HomeOption,
    as_json: JsonOption = False,
) -> None:
    """What one declaration owes, what its parties were asked for, and what came.

    Example: gateway documents show 020220261000000001 --home /srv/gateway
    """
    found = _read(home, lambda reader: show_owed(reader, wanted, utc_now()))
    if found is None:
        fail(NO, f"no accepted declaration is known by {wanted}")
    if as_json:
        say_json(found)
        return
    printer = console()
    for name, value in found.items():
        if name not in ("requests", "packages"):
            # A source has commas of its own.
            shown = "; ".join(value) if name == "sources" else value
            printer.print(f"{name.replace('_', ' '):>15}  ", cell(shown), sep="")
    for title, columns in (
        ("requests", ("at", "why", "documents", "due_at", "note", "told_at")),
        ("packages", ("received_at", "id", "account", "name", "state", "documents")),
    ):
        if found[title]:
            printer.print(f"\n{title}")
            say_rows(found[title], columns, as_json=False)


def _read(home: Path, query: Callable[[Connection], T]) -> T:
    with told():
        engine = sqlite_engine(opened(home).database, read_only=True)
        try:
            with engine.connect() as reader:
                return query(reader)
        finally:
            engine.dispose()
