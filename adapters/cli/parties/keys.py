"""`gateway parties keys`: the log-in keys and certificates of a party."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import Connection

from adapters.cli.output import HomeOption, JsonOption, No, exit_codes, opened, say_rows
from adapters.home.actor import actor
from adapters.home.clock import utc_now
from adapters.home.key_files import BadFile, read_certificate, read_keys
from adapters.store.database import Transaction
from adapters.store.read.parties import named, registered
from adapters.store.write.parties import PartyChange, write
from gateway.config.bad_settings import BadSettings
from gateway.formats.certificates import certificate
from gateway.model.parties import Party, RegisteredCertificate
from gateway.operate.party_keys import key_fingerprint, merged, revoked, with_keys

WantedArgument = Annotated[
    str, typer.Argument(help="Account, customs code, social credit code or organisation code.")
]
ReasonOption = Annotated[str, typer.Option(help="Reason; kept with each change.")]


def keys(
    wanted: WantedArgument,
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
    with exit_codes():
        base = opened(home)
        try:
            lines = () if add_key is None else read_keys(add_key, str(add_key))
            pem = None if add_certificate is None else read_certificate(add_certificate, str(add_certificate))
        except BadFile as error:
            raise BadSettings(str(error)) from None
        options = {"--add-key": add_key, "--add-certificate": add_certificate, "--revoke": revoke}
        asked = " ".join(f"{option} {value}" for option, value in options.items() if value)

        def change(transaction: Transaction) -> None:
            before = _party(transaction.connection, wanted)
            after = _with_keys(before, lines)
            if pem is not None:
                after = _with_certificate(after, pem)
            if revoke:
                after = _without(after, revoke, now)
            why = reason or f"keys {asked}"
            write(transaction, [PartyChange(before=before, after=after)], actor(), why, now)

        if asked:
            with base.store() as database:
                database.submit(change).result()
        with base.reading() as reader:
            party = _party(reader, wanted)
    columns = ("kind", "fingerprint", "type", "valid_from", "valid_until", "revoked_at", "state")
    say_rows([*_keys(party), *_certificates(party, now)], columns, as_json=as_json)


def _party(reader: Connection, wanted: str) -> Party:
    party = named(registered(reader), wanted)
    if party is None:
        raise No(f"no party is known by {wanted}")
    return party


def _with_keys(party: Party, lines: tuple[str, ...]) -> Party:
    if not lines:
        return party
    if party.account is None:
        raise No(f"{party.code} has no account; give it one with: gateway parties import")
    gone = {key_fingerprint(each.line) for each in party.account.revoked_keys}
    for fingerprint in (key_fingerprint(line) for line in lines):
        if fingerprint in gone:
            raise No(f"{fingerprint} was revoked; make a new key")
    return replace(party, account=with_keys(party.account, lines))


def _with_certificate(party: Party, pem: str) -> Party:
    certificates = merged((*party.certificates, RegisteredCertificate(pem=pem)))
    fingerprint = certificate(pem).fingerprint
    if any(each.revoked_at and certificate(each.pem).fingerprint == fingerprint for each in certificates):
        raise No(f"{fingerprint} was revoked; make a new certificate")
    return replace(party, certificates=certificates)


def _without(party: Party, fingerprint: str, now: datetime) -> Party:
    try:
        return revoked(party, fingerprint, now)
    except KeyError:
        raise No(f"{party.code} has no key or certificate {fingerprint} in use") from None


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
    known = certificate(registered.pem)
    key = known.key
    state = "valid"
    if registered.revoked_at is not None and registered.revoked_at <= now:
        state = "revoked"
    elif now < known.begins:
        state = "not yet valid"
    elif now > known.ends:
        state = "expired"
    return {
        "kind": "certificate",
        "fingerprint": known.fingerprint,
        "type": f"RSA {key.key_size}" if isinstance(key, rsa.RSAPublicKey) else key.curve.name,
        "valid_from": known.begins.isoformat(),
        "valid_until": known.ends.isoformat(),
        "revoked_at": None if registered.revoked_at is None else registered.revoked_at.isoformat(),
        "state": state,
    }
