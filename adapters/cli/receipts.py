"""`gateway receipts`: whether a receipt is what the gateway gave."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from lxml import etree

from adapters.cli import receipt_actions
from adapters.cli.exit_codes import NO, USAGE
from adapters.cli.output import JsonOption, cell, console, fail, opened, say_json, told
from adapters.home.clock import utc_now
from gateway.formats import xml
from gateway.formats.certificates import certificate, outside
from gateway.formats.signatures import verify_enveloped
from gateway.formats.submission import NAMESPACE
from gateway.model.faults import Fault, Rejected, finding
from gateway.model.parties import RegisteredCertificate

# What the catalogue says of these is meant for messages of parties.
_OF_RECEIPTS: Final = {
    Fault.SIGNATURE_MISSING.code: (
        "The file bears no signature; of what is in InBox the Gateway_, Notice_ and Request_ files do.",
        "文件没有签名；InBox 中带有签名的是 Gateway_、Notice_ 和 Request_ 文件。",
    ),
    Fault.CERTIFICATE_EXPIRED.code: (
        "The file was signed outside the validity of the certificate.",
        "签名时间不在该证书的有效期内。",
    ),
    Fault.CERTIFICATE_UNKNOWN.code: (
        "The file was signed with another certificate than this one.",
        "文件不是用该证书签名的。",
    ),
}

# What notices say instead of a verdict: of customs' answer, of an agreement, of documents.
_SAID: Final = {"class": "Class", "act": "Act", "why": "Why"}

app = typer.Typer(no_args_is_help=True, help="Where receipts are, and whether one is what the gateway gave.")
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
            "--certificate", help="The gateway's certificate (PEM), where there is no home.", exists=True
        ),
    ] = None,
    home: Annotated[
        Path | None, typer.Option("--home", envvar="GATEWAY_HOME", help="The home whose certificate counts.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check the gateway's signature on a file; ends with 1 where it is not good.

    Needs nothing but the file and the certificate. A receipt stays good after the certificate has ended, and
    is none where it was signed outside the certificate's validity.

    Example: gateway receipts verify Gateway_0001_202611021030000000000.xml --certificate gateway.crt
    """
    with told():
        text = _certificate_of(pem, home)
        body = file.read_bytes()
    try:
        counting = _signed_in_time(text)
    except ValueError:
        fail(USAGE, f"{pem or home} holds no certificate in PEM form")
    try:
        verified = verify_enveloped(xml.parse(body), [RegisteredCertificate(pem=text)], counting)
        if verified.signed_at is not None and (late := outside(certificate(text), verified.signed_at)):
            raise Rejected(finding(Fault.CERTIFICATE_EXPIRED, detail=late))
    except Rejected as refused:
        found = refused.findings[0]
        en, zh = _OF_RECEIPTS.get(found.code, (found.en, found.zh))
        if as_json:
            say_json({"valid": False, "code": found.code, "zh": zh, "en": en})
        else:
            typer.echo(f"NOT VALID  {found.code}\n  {en}\n  {zh}")
        raise typer.Exit(NO) from None
    root = verified.root
    said = {name: root.findtext(f"{{{NAMESPACE}}}{tag}") for name, tag in _SAID.items()}
    facts = {
        "valid": True,
        "certificate": verified.fingerprint,
        "signed_at": None if verified.signed_at is None else verified.signed_at.isoformat(),
        "document": etree.QName(root).localname,
        "message": root.findtext(f"{{{NAMESPACE}}}MessageId"),
        "verdict": root.findtext(f"{{{NAMESPACE}}}Verdict"),
        **{name: value for name, value in said.items() if value is not None},
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
