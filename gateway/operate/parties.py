"""What operators do to the register of parties; an act is done wholly or not at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.config.bad_settings import BadSettings
from gateway.formats.certificates import certificate
from gateway.model.china import china_date
from gateway.model.parties import Party, PartyChange, RegisteredCertificate, named
from gateway.operate.party_changes import NotPossible, PartyRecord, changed
from gateway.operate.party_keys import key_fingerprint, merged, revoked, with_keys
from gateway.operate.ports import PartyStore


def import_parties(
    store: PartyStore,
    records: Sequence[PartyRecord],
    actor: str,
    reason: str,
    now: datetime,
    *,
    dry_run: bool = False,
) -> Sequence[PartyChange]:
    """Adds and changes the parties of the records, and returns the changes in their order. Raises
    `BadSettings` with all errors, one per line."""
    write = store.try_out if dry_run else store.change
    return write(lambda register: _imported(register, records, now), actor, reason, now)


def add_party(store: PartyStore, record: PartyRecord, actor: str, reason: str, now: datetime) -> None:
    """Registers a new party. Raises `BadSettings`, and `NotPossible` if it is registered already."""

    def added(register: Mapping[str, Party]) -> Sequence[PartyChange]:
        changes = _imported(register, [record], now)
        if record.code in register:
            raise NotPossible(
                "code", f"{record.code} is registered already; `gateway parties import` changes it"
            )
        return changes

    store.change(added, actor, reason, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange:
    """Keys (lines of an authorized_keys file) and a certificate (PEM) to add, and the fingerprint of what to
    revoke; done in this order."""

    keys: tuple[str, ...] = ()
    pem: str | None = None
    revoke: str = ""


def change_keys(
    store: PartyStore, name: str, change: KeyChange, actor: str, reason: str, now: datetime
) -> None:
    """Adds and revokes keys and certificates of the party that `named` finds. Raises `NotPossible`, and
    `KeyError` if there is no such party."""

    def with_change(register: Mapping[str, Party]) -> Sequence[PartyChange]:
        before = named(register, name)
        if before is None:
            raise KeyError(name)
        after = _with_keys(before, change.keys)
        if change.pem is not None:
            after = _with_certificate(after, change.pem)
        if change.revoke:
            after = _without(after, change.revoke, now)
        return [PartyChange(before=before, after=after)]

    store.change(with_change, actor, reason, now)


def _imported(
    register: Mapping[str, Party], records: Sequence[PartyRecord], now: datetime
) -> list[PartyChange]:
    after = dict(register)
    errors = []
    for record in records:
        try:
            after[record.code] = changed(after.get(record.code), record, china_date(now))
        except NotPossible as error:
            place = f"{record.place}, {error.field}" if error.field else record.place
            errors.append(f"{place}: {error}")
    errors.extend(_shared(after, {record.code: record.place for record in records}))
    if errors:
        raise BadSettings("\n".join(errors))
    codes = dict.fromkeys(record.code for record in records)
    return [PartyChange(before=register.get(code), after=after[code]) for code in codes]


def _shared(register: Mapping[str, Party], places: Mapping[str, str]) -> list[str]:
    """A line for each party that was given a name of another one."""
    errors = []
    organisations: dict[str, str] = {}
    accounts: dict[str, str] = {}
    # Parties named in the import come last, so that the error is reported for them.
    for code in sorted(register, key=lambda code: code in places):
        party = register[code]
        own = party.organisation_code
        if (holder := organisations.setdefault(own, code)) != code:
            errors.append(f"{places[code]}, scc: the organisation code {own} in it is that of {holder}")
        if party.account is None:
            continue
        if (holder := accounts.setdefault(party.account.name, code)) != code:
            errors.append(f"{places[code]}, account: {party.account.name} is that of {holder}")
    return errors


def _with_keys(party: Party, lines: tuple[str, ...]) -> Party:
    if not lines:
        return party
    if party.account is None:
        raise NotPossible("account", f"{party.code} has no account; give it one with: gateway parties import")
    gone = {key_fingerprint(each.line) for each in party.account.revoked_keys}
    for fingerprint in (key_fingerprint(line) for line in lines):
        if fingerprint in gone:
            raise NotPossible("keys", f"{fingerprint} was revoked; make a new key")
    return replace(party, account=with_keys(party.account, lines))


def _with_certificate(party: Party, pem: str) -> Party:
    certificates = merged((*party.certificates, RegisteredCertificate(pem=pem)))
    fingerprint = certificate(pem).fingerprint
    if any(each.revoked_at and certificate(each.pem).fingerprint == fingerprint for each in certificates):
        raise NotPossible("certificates", f"{fingerprint} was revoked; make a new certificate")
    return replace(party, certificates=certificates)


def _without(party: Party, fingerprint: str, now: datetime) -> Party:
    try:
        return revoked(party, fingerprint, now)
    except KeyError:
        raise NotPossible("keys", f"{party.code} has no key or certificate {fingerprint} in use") from None
