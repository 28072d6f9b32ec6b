"""`gateway customs ledger`: records that the customs sandbox has from other systems."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from adapters.cli.exit_codes import USAGE
from adapters.cli.output import JsonOption, LimitOption, exit_codes, fail, say_json, say_rows
from adapters.home.actor import actor
from adapters.home.clock import utc_now
from adapters.home.party_fields import wrong
from adapters.sandbox.cli.customs_stores import BackendOption, FolderOption, HomeOption, ledger
from adapters.sandbox.customs.ledger import Ledger
from adapters.sandbox.customs.proceedings import let_go_what_is_paid
from adapters.sandbox.customs.record_files import BadRecords, read_records
from adapters.sandbox.customs.records import CustomsRecord, Kind, columns, record

_COLUMNS = "\n\n".join(f"{kind}: {' '.join(columns(kind))}" for kind in Kind)

app = typer.Typer(
    no_args_is_help=True,
    help="Records of the customs sandbox: duties, payments, licences, manuals, manifests.",
    epilog=f"Columns of each kind:\n\n{_COLUMNS}",
)

KindArgument = Annotated[Kind, typer.Argument(help="Which ledger.")]


@app.command("list")
def list_(
    kind: KindArgument,
    home: HomeOption = None,
    folder: FolderOption = None,
    backend: BackendOption = "",
    limit: LimitOption = 100,
    as_json: JsonOption = False,
) -> None:
    """List the records of one ledger, newest last, with who entered them and when.

    Example: gateway customs ledger list payments --home /srv/gateway
    """
    with exit_codes(), ledger(home, folder, backend) as opened:
        rows = opened.records.listed(kind, limit)
    say_rows(rows, (*columns(kind), "at", "actor"), as_json=as_json)


@app.command()
def add(
    kind: KindArgument,
    cells: Annotated[list[str], typer.Argument(metavar="NAME=VALUE...", help="The record's columns.")],
    home: HomeOption = None,
    folder: FolderOption = None,
    backend: BackendOption = "",
    as_json: JsonOption = False,
) -> None:
    """Enter one record; it replaces one with the same number. See: gateway customs ledger --help

    After a payment, every declaration that waited for its duty and is now paid continues.

    Example: gateway customs ledger add payments payment=P-1 entry=020220261000000001 amount=1250.00
    """
    named = dict(cell.partition("=")[::2] for cell in cells)
    if len(named) < len(cells) or not all("=" in cell for cell in cells):
        fail(USAGE, f"each column once, as NAME=VALUE; the columns of {kind} are {', '.join(columns(kind))}")
    try:
        entered = record(kind, named)
    except ValidationError as error:
        fail(USAGE, "\n".join(wrong(kind.value, error)))
    with exit_codes(), ledger(home, folder, backend) as opened:
        gone = _enter(opened, kind, [entered])
    _say(kind, [entered], gone, as_json=as_json)


@app.command("import")
def import_(
    kind: KindArgument,
    file: Annotated[
        Path, typer.Argument(help="CSV with a header line, UTF-8 or GBK.", exists=True, dir_okay=False)
    ],
    home: HomeOption = None,
    folder: FolderOption = None,
    backend: BackendOption = "",
    as_json: JsonOption = False,
) -> None:
    """Enter all records of a file, or none if one is wrong. Importing the same file again changes nothing.

    Example: gateway customs ledger import licences licences.csv --home /srv/gateway
    """
    with exit_codes():
        try:
            entered = read_records(kind, file)
        except BadRecords as error:
            fail(USAGE, str(error))
        with ledger(home, folder, backend) as opened:
            gone = _enter(opened, kind, entered)
    _say(kind, entered, gone, as_json=as_json)


def _enter(ledger: Ledger, kind: Kind, records: Sequence[CustomsRecord]) -> list[str]:
    """Enters the records; returns the submission keys of the declarations that continue because of them."""
    now = utc_now()
    with ledger.transaction():
        ledger.records.enter(kind, records, actor(), now)
        gone = let_go_what_is_paid(ledger, now) if kind is Kind.PAYMENTS else []
    return [each.key for each in gone]


def _say(kind: Kind, records: Iterable[CustomsRecord], gone: Sequence[str], *, as_json: bool) -> None:
    numbers = [each.number for each in records]
    if as_json:
        say_json({"kind": kind, "entered": numbers, "went_on": gone})
        return
    typer.echo(f"{kind}: {len(numbers)} entered")
    for key in gone:
        typer.echo(f"{key} goes on")
