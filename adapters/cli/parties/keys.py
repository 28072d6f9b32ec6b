"""`gateway parties keys`: the log-in keys and certificates of a party."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from cryptography.hazmat.primitives.asymmetric import rsa

from adapters.cli.output import HomeOption, JsonOption, No, opened, say_rows
from adapters.home.actor import actor
from adapters.home.clock import utc_now
from adapters.home.key_files import BadFile, read_certificate, read_keys
from adapters.store.read.parties import registered
from adapters.store.write.parties import SqlParties
from gateway.config.bad_settings import BadSettings
from gateway.formats.certificates import certificate
from gateway.model.parties import Party, RegisteredCertificate, named
from gateway.operate.parties import KeyChange, change_keys
from gateway.operate.party_changes import NotPossible
from gateway.operate.party_keys import key_fingerprint

PartyArgument = Annotated[
    str, typer.Argument(help="Account, customs code, social credit code or organisation code.")
]
ReasonOption = Annotated[str, typer.Option(help="Reason; kept with each change.")]


def keys(
    name: PartyArgument,
    home: HomeOption,
    add_key: Annotated[Path | None, typer.Option(help="OpenSSH public key file that may log in.")] = None,
    add_certificate: Annotated[
        Path | None, typer.Option(help="PEM file that the party may sign with.")
    ] = None,
    revoke: Annotated[str, typer.Option(help="Fingerprint of a key or certificate to revoke now.")] = "",
    reason: ReasonOption = "",
    as_json: JsonOption = False,
) -> None:
    """List the log-in keys and certificates of a party, add new ones, or revoke one.

    A new key is valid from the next log-in; a revoked one is refused at once, in open sessions too. A change
    of certificates applies from the next message that is judged.

    Example: gateway parties keys broker-aa --add-certificate new.crt --home /srv/gateway
    """
    now = utc_now()
    with opened(home) as base:
        try:
            lines = () if add_key is None else read_keys(add_key, str(add_key))
            pem = None if add_certificate is None else read_certificate(add_certificate, str(add_certificate))
        except BadFile as error:
            raise BadSettings(str(error)) from None
        options = {"--add-key": add_key, "--add-certificate": add_certificate, "--revoke": revoke}
        given_options = " ".join(f"{option} {value}" for option, value in options.items() if value)

        change = KeyChange(keys=lines, pem=pem, revoke=revoke)
        if given_options:
            why = reason or f"keys {given_options}"
            try:
                with base.store() as database:
                    change_keys(SqlParties(database), name, change, actor(), why, now)
            except KeyError:
                raise _unknown(name) from None
            except NotPossible as error:
                raise No(str(error)) from None
        with base.reading() as reader:
            party = named(registered(reader), name)
        if party is None:
            raise _unknown(name)
    columns = ("kind", "fingerprint", "type", "valid_from", "valid_until", "revoked_at", "state")
    say_rows([*_keys(party), *_certificates(party, now)], columns, as_json=as_json)


def _unknown(name: str) -> No:
    return No(f"no party is known by {name}")


def _keys(party: Party) -> list[dict[str, Any]]:
    account = party.account
    if account is None:
        return []
    listed: list[tuple[str, datetime | None]] = [(line, None) for line in account.keys]
    listed += [(each.line, each.revoked_at) for each in account.revoked_keys]
    return [
        {
            "kind": "key",
            "fingerprint": key_fingerprint(line),
            "type": line.split()[0],
            "valid_from": None,
            "valid_until": None,
            "revoked_at": None if revoked_at is None else revoked_at.isoformat(),
            "state": "valid" if revoked_at is None else "revoked",
        }
        for line, revoked_at in listed
    ]


def _certificates(party: Party, now: datetime) -> list[dict[str, Any]]:
    return [_certificate(each, now) for each in party.certificates]


def _certificate(registered: RegisteredCertificate, now: datetime) -> dict[str, Any]:
    parsed = certificate(registered.pem)
    key = parsed.key
    state = "valid"
    if registered.revoked_at is not None and registered.revoked_at <= now:
        state = "revoked"
    elif now < parsed.begins:
        state = "not yet valid"
    elif now > parsed.ends:
        state = "expired"
    return {
        "kind": "certificate",
        "fingerprint": parsed.fingerprint,
        "type": f"RSA {key.key_size}" if isinstance(key, rsa.RSAPublicKey) else key.curve.name,
        "valid_from": parsed.begins.isoformat(),
        "valid_until": parsed.ends.isoformat(),
        "revoked_at": None if registered.revoked_at is None else registered.revoked_at.isoformat(),
        "state": state,
    }
