"""`gateway parties`: who takes part."""

import base64
import hashlib
from typing import Annotated, Any

import typer

from adapters.home import Home
from adapters.operators.output import (
    NO,
    HomeOption,
    JsonOption,
    cell,
    console,
    fail,
    opened,
    say_json,
    say_rows,
    told,
)
from adapters.stores.database import sqlite_engine
from adapters.stores.register import SqlRegister
from gateway.certificates import certificate
from gateway.parties import Party

app = typer.Typer(
    no_args_is_help=True, help="Who takes part: traders, brokers, association, customs, premises."
)


@app.command("list")
def list_(home: HomeOption, as_json: JsonOption = False) -> None:
    """All registered parties.

    Example: gateway parties list --home /srv/gateway
    """
    with told():
        rows = [_row(party) for party in _register(opened(home)).parties()]
    say_rows(rows, ("account", "code", "scc", "name", "class", "role"), as_json=as_json)


@app.command()
def show(
    wanted: Annotated[str, typer.Argument(help="Account, customs code or social credit code.")],
    home: HomeOption,
    as_json: JsonOption = False,
) -> None:
    """Everything registered of one party; keys by their fingerprints only.

    Example: gateway parties show broker-aa --home /srv/gateway
    """
    with told():
        found = [party for party in _register(opened(home)).parties() if _is(party, wanted)]
    if not found:
        fail(NO, f"no party is known by {wanted}")
    shown = _whole(found[0])
    if as_json:
        say_json(shown)
        return
    for name, value in shown.items():
        console().print(f"{name.replace('_', ' '):>15}  ", cell(value), sep="")


def _register(home: Home) -> SqlRegister:
    return SqlRegister(sqlite_engine(home.database, read_only=True))


def _is(party: Party, wanted: str) -> bool:
    return wanted in (party.code, party.scc) or (party.account is not None and party.account.name == wanted)


def _row(party: Party) -> dict[str, Any]:
    return {
        "account": None if party.account is None else party.account.name,
        "code": party.code,
        "scc": party.scc,
        "name": party.name,
        "class": party.trader_class,
        "role": party.role,
    }


def _whole(party: Party) -> dict[str, Any]:
    account = party.account
    return {
        **_row(party),
        "signature": party.signature,
        "keeps_papers": party.keeps_papers,
        "contracts": list(party.contracts),
        "certificates": [certificate(each.pem).fingerprint for each in party.certificates],
        "keys": [] if account is None else [_fingerprint(line) for line in account.keys],
        "max_package": None if account is None else account.max_package,
        "receipts": [] if account is None else list(account.receipts),
    }


def _fingerprint(line: str) -> str:
    """As `ssh-keygen -l` shows it (RFC 4648 base64 of the SHA-256, without padding)."""
    kind, encoded = line.split()[:2]
    digest = hashlib.sha256(base64.b64decode(encoded)).digest()
    return f"{kind} SHA256:{base64.b64encode(digest).decode().rstrip('=')}"
