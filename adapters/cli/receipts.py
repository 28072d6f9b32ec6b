"""`gateway receipts`: verifies the gateway's signature on a receipt."""

from pathlib import Path
from typing import Annotated

import typer

from adapters.cli import receipt_actions
from adapters.cli.exit_codes import NO, USAGE
from adapters.cli.output import JsonOption, exit_codes, fail, say_fields, say_json
from adapters.home.home import Home
from gateway.model.faults import MessageRejected

app = typer.Typer(no_args_is_help=True, help="List, verify and restore receipts.")
app.command("list")(receipt_actions.list_)
app.command()(receipt_actions.show)
app.command()(receipt_actions.restore)


@app.command()
def verify(
    file: Annotated[
        Path, typer.Argument(help="A signed receipt, or an envelope.xml.", exists=True, dir_okay=False)
    ],
    pem: Annotated[
        Path | None,
        typer.Option(
            "--certificate", help="The gateway's certificate (PEM), if there is no home.", exists=True
        ),
    ] = None,
    home: Annotated[
        Path | None, typer.Option("--home", envvar="GATEWAY_HOME", help="The home whose certificate is used.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check the gateway's signature on a file; exits with 1 if it is not valid.

    Needs only the file and the certificate. A receipt stays valid after the certificate has expired, and is
    invalid if it was signed outside the certificate's validity.

    Example: gateway receipts verify Gateway_0001_202611021030000000000.xml --certificate gateway.crt
    """
    from adapters.cli.receipt_check import signed_in_time, verified_facts, why_not  # listing needs no XML

    with exit_codes():
        text = _certificate_of(pem, home)
        body = file.read_bytes()
    try:
        counting = signed_in_time(text)
    except ValueError:
        fail(USAGE, f"{pem or home} holds no certificate in PEM form")
    try:
        facts = verified_facts(body, text, counting)
    except MessageRejected as refused:
        code, en, zh = why_not(refused)
        if as_json:
            say_json({"valid": False, "code": code, "zh": zh, "en": en})
        else:
            typer.echo(f"NOT VALID  {code}\n  {en}\n  {zh}")
        raise typer.Exit(NO) from None
    if as_json:
        say_json(facts)
        return
    typer.echo("VALID")
    say_fields(facts, width=12)


def _certificate_of(pem: Path | None, home: Path | None) -> str:
    if pem is not None:
        return pem.read_text()
    if home is None:
        fail(USAGE, "name the certificate: --certificate FILE, or --home HOME")
    return Home(home).checked().certificate.read_text()
