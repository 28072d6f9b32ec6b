"""Finds the message that a command names."""

from typing import Annotated, Any

import typer
from sqlalchemy import Connection, Row

from adapters.cli.exit_codes import NO
from adapters.cli.output import fail
from adapters.store.read.message_detail import find_messages

MessageArgument = Annotated[
    str,
    typer.Argument(
        help="Message id (ours, or its sender's over AMQP), reference, SeqNo or entry number; the newest of "
        "several that is not a repetition."
    ),
]


def find_message(reader: Connection, number: str) -> Row[*tuple[Any, ...]]:
    """The newest matching message that is not a repetition. The others are named on standard error, since
    corrections and repetitions have the reference of the first."""
    rows = find_messages(reader, number)
    if not rows:
        fail(NO, f"no message is known by {number}")
    if len(rows) > 1:
        others = ", ".join(f"{row.id} (a repeat)" if row.is_repeat else row.id for row in rows[1:])
        typer.echo(f"gateway: the newest of several by {number} is {rows[0].id}; others: {others}", err=True)
    return rows[0]
