"""`gateway audit`: checks that the store has not been tampered with."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from adapters.cli.exit_codes import NO
from adapters.cli.output import HomeOption, JsonOption, cell, console, opened, say_json, say_rows
from adapters.home.audit import Audit

app = typer.Typer(no_args_is_help=True, help="Check that the store is unchanged.")


@app.command()
def verify(
    home: HomeOption,
    older: Annotated[
        list[Path] | None,
        typer.Option(
            "--certificate",
            help="An earlier certificate (PEM) of the gateway, in addition to keys/gateway-until-*.crt;"
            " may be repeated.",
            exists=True,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Verify the whole log, each message against the log, each package against its digest, and each signed
    receipt's signature and place in the log. Names what was changed, removed or added, and then exits with 1.

    Reads everything and may run beside a node; with many messages it takes a while.

    Example: gateway audit verify --home /srv/gateway
    """
    with opened(home) as base:
        certificates = (*base.older_certificates(), *(older or ()))
        audit = Audit(base, [path.read_text() for path in certificates])
        wrong = [asdict(each) for each in audit.run()]
    counted = {**audit.looked_at, "unsigned_receipts": audit.unsigned, "unused_packages": audit.unused}
    if as_json:
        say_json({"sound": not wrong, "looked_at": counted, "wrong": wrong})
    elif wrong:
        say_rows(wrong, ("what", "which", "how", "why"), as_json=False)
    else:
        told_of = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in counted.items())
        console().print(cell(f"sound: {told_of}"))
    if wrong:
        raise typer.Exit(NO)
