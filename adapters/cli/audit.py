"""`gateway audit`: whether the store is as it was written."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from adapters.cli.exit_codes import NO
from adapters.cli.output import HomeOption, JsonOption, cell, console, exit_codes, opened, say_json, say_rows
from adapters.home.audit import Audit

app = typer.Typer(no_args_is_help=True, help="Whether the store is as it was written.")


@app.command()
def verify(
    home: HomeOption,
    older: Annotated[
        list[Path] | None,
        typer.Option(
            "--certificate",
            help="A certificate (PEM) that the gateway had before, beside keys/gateway-until-*.crt;"
            " may be repeated.",
            exists=True,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look at the whole log, each message against it, each package against its digest, and each signed
    receipt's signature and place in the log. Says which is changed, missing or added, and ends with 1 then.

    Reads everything, beside a running node: with many messages it takes its time.

    Example: gateway audit verify --home /srv/gateway
    """
    with exit_codes():
        base = opened(home)
        kept = (*base.older_certificates(), *(older or ()))
        audit = Audit(base, [path.read_text() for path in kept])
        found = [asdict(each) for each in audit.run()]
    counted = {**audit.looked_at, "unsigned_receipts": audit.unsigned, "unused_packages": audit.unused}
    if as_json:
        say_json({"sound": not found, "looked_at": counted, "wrong": found})
    elif found:
        say_rows(found, ("what", "which", "how", "why"), as_json=False)
    else:
        told_of = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in counted.items())
        console().print(cell(f"sound: {told_of}"))
    if found:
        raise typer.Exit(NO)
