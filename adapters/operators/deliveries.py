"""`gateway deliveries`: what is on its way to customs."""

from typing import Annotated

import typer

from adapters.operators.output import HomeOption, JsonOption, LimitOption, Listing, opened, say_rows, told
from adapters.stores.database import sqlite_engine
from adapters.stores.reading import list_deliveries
from gateway.states import DeliveryState

app = typer.Typer(cls=Listing, help="What is on its way to customs, and what became of it.")


@app.command("list")
def list_(
    home: HomeOption,
    state: Annotated[DeliveryState | None, typer.Option(help="Only deliveries in this state.")] = None,
    message: Annotated[str | None, typer.Option(help="Only those of this message id.")] = None,
    limit: LimitOption = 100,
    as_json: JsonOption = False,
) -> None:
    """Deliveries to back-ends, the newest last.

    Example: gateway deliveries list --state unknown --home /srv/gateway
    """
    with told():
        engine = sqlite_engine(opened(home).database, read_only=True)
        with engine.connect() as reader:
            rows = list_deliveries(reader, message=message, state=state, limit=limit)
        engine.dispose()
    columns = ("id", "message", "destination", "state", "attempts", "changed_at", "next_at", "note")
    say_rows(rows, columns, as_json=as_json)
