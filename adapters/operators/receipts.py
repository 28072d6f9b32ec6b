"""`gateway receipts`: whether a receipt is what the gateway gave."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from adapters.assemble import utc_now
from adapters.operators.output import (
    NO,
    USAGE,
    JsonOption,
    cell,
    console,
    fail,
    opened,
    say_json,
    told,
)
from gateway import xml
from gateway.certificates import certificate
from gateway.faults import Rejected
from gateway.parties import RegisteredCertificate
from gateway.signatures import verify_enveloped
from gateway.submission import NAMESPACE

app = typer.Typer(no_args_is_help=True, help="Whether a receipt is what the gateway gave.")


@app.command()
def verify(
    file: Annotated[
        Path, typer.Argument(help="A signed receipt, or an envelope.xml.", exists=True, dir_okay=False)
    ],
    pem: Annotated[
        Path | None,
        typer.Option(
            "--certificate", help="The gateway's certificate (PEM), where there is no home.", exists=True
        ),
    ] = None,
    home: Annotated[
        Path | None, typer.Option("--home", envvar="GATEWAY_HOME", help="The home whose certificate counts.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check the gateway's signature on a file; ends with 1 where it is not good.

    Needs nothing but the file and the certificate. A receipt stays good after the certificate has ended.

    Example: gateway receipts verify Gateway_0001_202611021030000000000.xml --certificate gateway.crt
    """
    with told():
        text = _certificate_of(pem, home)
    try:
        root = xml.parse(file.read_bytes())
        verified = verify_enveloped(root, [RegisteredCertificate(pem=text)], _signed_in_time(text))
    except Rejected as refused:
        found = refused.findings[0]
        if as_json:
            say_json({"valid": False, "code": found.code, "zh": found.zh, "en": found.en})
        else:
            typer.echo(f"NOT VALID  {found.code}\n  {found.en}\n  {found.zh}")
        raise typer.Exit(NO) from None
    facts = {
        "valid": True,
        "certificate": verified.fingerprint,
        "signed_at": None if verified.signed_at is None else verified.signed_at.isoformat(),
        "message": verified.root.findtext(f"{{{NAMESPACE}}}MessageId"),
        "verdict": verified.root.findtext(f"{{{NAMESPACE}}}Verdict"),
    }
    if as_json:
        say_json(facts)
        return
    typer.echo("VALID")
    for name, value in facts.items():
        console().print(f"{name.replace('_', ' '):>12}  ", cell(value), sep="")


def _certificate_of(pem: Path | None, home: Path | None) -> str:
    if pem is not None:
        return pem.read_text()
    if home is None:
        fail(USAGE, "name the certificate: --certificate FILE, or --home HOME")
    return opened(home).certificate.read_text()


def _signed_in_time(pem: str) -> datetime:
    # A receipt is evidence for years: what counts is its certificate's time, not today.
    return min(utc_now(), certificate(pem).ends)
