"""`gateway receipts list|show|restore`: finds receipts, and restores one that was removed."""

import sys
from typing import Annotated, Any

import typer
from sqlalchemy import Connection, Row

from adapters.cli.exit_codes import NO
from adapters.cli.messages.lookup import find_message
from adapters.cli.output import (
    HomeOption,
    JsonOption,
    LimitOption,
    ReasonOption,
    fail,
    opened,
    reading,
    say_fields,
    say_json,
    say_rows,
)
from adapters.cli.times import SinceOption, first_of
from adapters.home.actor import actor
from adapters.home.clock import utc_now
from adapters.store.write.receipt_actions import (
    Damaged,
    ReceiptFilter,
    SqlReceiptActs,
    facts,
    find_receipts,
    list_receipts,
)
from gateway.model.faults import printable
from gateway.operate import receipts

ReceiptArgument = Annotated[str, typer.Argument(metavar="RECEIPT", help="Its number or name as listed.")]


def list_(
    home: HomeOption,
    account: Annotated[str | None, typer.Option(help="Only receipts for this account.")] = None,
    message: Annotated[
        str | None, typer.Option(help="Only of this message: id, reference, SeqNo or entry number.")
    ] = None,
    removed: Annotated[bool, typer.Option("--removed", help="Only those that were removed.")] = False,
    since: SinceOption = None,
    limit: LimitOption = 100,
    as_json: JsonOption = False,
) -> None:
    """List receipts, answers and notices for accounts, newest last: when each was issued, read and removed.

    A damaged one is named and shown as far as it can be read; the command then exits with 1.

    Example: gateway receipts list --account broker-aa --removed --home /srv/gateway
    """

    with reading(home) as reader:
        message_id = None if message is None else find_message(reader, message).id
        filter_ = ReceiptFilter(account=account, message=message_id, since=first_of(since), removed=removed)
        rows = list_receipts(reader, filter_, limit)
    columns = ("created_at", "id", "account", "verdict", "collected_at", "removed_at", "name")
    say_rows(rows, columns, as_json=as_json)
    if wrong := {row["id"]: row["damaged"] for row in rows if "damaged" in row}:
        fail(NO, f"damaged: {Damaged(wrong)}; see: gateway audit verify")


def show(
    receipt: ReceiptArgument,
    home: HomeOption,
    raw: Annotated[bool, typer.Option("--raw", help="Print only its bytes.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show one receipt: its account, its place, and when it was read and removed; or only its bytes.

    Example: gateway receipts show 17 --raw --home /srv/gateway
    """
    with reading(home) as reader:
        row = _one(reader, receipt)
    if raw:
        sys.stdout.buffer.write(row.body)
    elif as_json:
        say_json(facts(row))
    else:
        say_fields(facts(row))


def restore(
    receipt: ReceiptArgument,
    home: HomeOption,
    reason: ReasonOption,
    as_json: JsonOption = False,
) -> None:
    """Put a removed receipt back into its folder, byte for byte; for an account that receipts are delivered
    to, it is delivered again. Exits with 1 if the receipt is still in its place.

    Example: gateway receipts restore 17 --reason "their disk was lost" --home /srv/gateway
    """
    with opened(home) as base, base.store() as database:
        with database.engine.connect() as reader:
            row = _one(reader, receipt)
        try:
            receipts.restore(SqlReceiptActs(database), row.id, actor(), reason, utc_now())
        except receipts.NotRemoved:
            fail(NO, printable(f"{row.name} is where it was put, in {row.folder} of {row.account}"))
    if as_json:
        say_json({"id": row.id, "account": row.account, "folder": row.folder, "name": row.name})
    else:
        typer.echo(printable(f"{row.name} is in {row.folder} of {row.account} again"))


def _one(reader: Connection, name: str) -> Row[*tuple[Any, ...]]:
    try:
        rows = find_receipts(reader, name)
    except Damaged as error:
        fail(NO, f"damaged: {error}; see: gateway audit verify")
    if not rows:
        fail(NO, printable(f"no receipt is known by {name}"))
    if len(rows) > 1:
        those = ", ".join(f"{row.id} ({row.account})" for row in rows)
        fail(NO, printable(f"several receipts have that name; give a number: {those}"))
    return rows[0]
