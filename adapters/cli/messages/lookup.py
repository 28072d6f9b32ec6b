"""Which message is meant, for every command that is given one."""

from typing import Annotated, Any

import typer
from sqlalchemy import Connection, Row

from adapters.cli.exit_codes import NO
from adapters.cli.output import fail
from adapters.store.read.message_detail import find_messages

WantedArgument = Annotated[
    str,
    typer.Argument(
        help="Message id (ours, or its sender's over AMQP), reference, SeqNo or entry number; of several the "
        "newest that is no repeat."
    ),
]


def meant(reader: Connection, wanted: str) -> Row[*tuple[Any, ...]]:
    """The newest that is known so and is no repeat of another. Standard error names the others, since a
    correction and what is sent twice have the reference of the first."""
    found = find_messages(reader, wanted)
    if not found:
        fail(NO, f"no message is known by {wanted}")
    if len(found) > 1:
        others = ", ".join(f"{row.id} (a repeat)" if row.is_repeat else row.id for row in found[1:])
        typer.echo(f"gateway: the newest of several by {wanted} is {found[0].id}; others: {others}", err=True)
    return found[0]
