"""`gateway alarms`: what is wrong, and what was."""

from typing import Annotated

import typer

from adapters.operators.output import (
    HomeOption,
    JsonOption,
    LangOption,
    Language,
    LimitOption,
    Listing,
    opened,
    say_rows,
    told,
)
from adapters.operators.party_keys import read
from adapters.stores.alarms import list_alarms

app = typer.Typer(cls=Listing, help="Alarms: what is wrong now, and what was.")


@app.command("list")
def list_(
    home: HomeOption,
    all_: Annotated[bool, typer.Option("--all", help="Those that are cleared as well.")] = False,
    limit: LimitOption = 100,
    lang: LangOption = Language.EN,
    as_json: JsonOption = False,
) -> None:
    """Open alarms, the newest last; a node opens and clears them while it runs.

    Example: gateway alarms list --all --home /srv/gateway
    """
    with told():
        rows = read(opened(home), lambda reader: list_alarms(reader, all_=all_, limit=limit))
    columns = ("id", "severity", "key", lang.value, "opened_at", "told_by", "cleared_at")
    say_rows(rows, columns, as_json=as_json)
