"""Finds the message that a command names."""

from typing import Annotated, Any

import typer
from sqlalchemy import Connection, Row

from adapters.cli.exit_codes import NO
from adapters.cli.output import fail
from adapters.store.read.message_detail import find_messages

WantedArgument = Annotated[
    str,
    typer.Argument(
        help="Message id (ours, or its sender's over AMQP), reference, SeqNo or entry number; the newest of "
        "several that is not a repetition."
    ),
]


def meant(reader: Connection, wanted: str) -> Row[*tuple[Any, ...]]:
    """The newest matching message that is not a repetition. The others are named on standard error, since
    corrections and repetitions have the reference of the first."""
    found = find_messages(reader, wanted)
    if not found:
        fail(NO, f"no message is known by {wanted}")
    if len(found) > 1:
        others = ", ".join(f"{row.id} (a repeat)" if row.is_repeat else row.id for row in found[1:])
        typer.echo(f"gateway: the newest of several by {wanted} is {found[0].id}; others: {others}", err=True)
    return found[0]
