"""Log-in keys and certificates of a party. None is ever removed: it is revoked, and stays revoked."""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from gateway.formats.certificates import certificate
from gateway.model.parties import Account, Party, RegisteredCertificate, RevokedKey


def key_fingerprint(line: str) -> str:
    """The fingerprint of a line of an authorized_keys file, as `ssh-keygen -l` shows it."""
    digest = hashlib.sha256(base64.b64decode(line.split()[1])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def with_keys(account: Account, lines: Iterable[str]) -> Account:
    """The account with these keys added; keys that it has already, revoked ones too, stay as they are."""
    had = {key_fingerprint(line) for line in account.keys}
    had |= {key_fingerprint(revoked.line) for revoked in account.revoked_keys}
    added = {fingerprint: line for line in lines if (fingerprint := key_fingerprint(line)) not in had}
    return replace(account, keys=(*account.keys, *added.values()))


def merged(several: Iterable[RegisteredCertificate]) -> tuple[RegisteredCertificate, ...]:
    """Each certificate once, revoked from the earliest time that any of its copies has."""
    merged_by_fingerprint: dict[str, RegisteredCertificate] = {}
    for each in several:
        fingerprint = certificate(each.pem).fingerprint
        first = merged_by_fingerprint.setdefault(fingerprint, each)
        times = [one.revoked_at for one in (first, each) if one.revoked_at is not None]
        merged_by_fingerprint[fingerprint] = replace(first, revoked_at=min(times, default=None))
    return tuple(merged_by_fingerprint.values())


def revoked(party: Party, fingerprint: str, now: datetime) -> Party:
    """The party, its key or certificate of this fingerprint revoked from `now`; `KeyError` where it has none
    in use. A certificate's fingerprint may be written with colons and in capitals."""
    account = party.account
    if account is not None:
        for line in account.keys:
            if key_fingerprint(line) == fingerprint:
                remaining = tuple(each for each in account.keys if each != line)
                gone = RevokedKey(line=line, revoked_at=now)
                changed = replace(account, keys=remaining, revoked_keys=(*account.revoked_keys, gone))
                return replace(party, account=changed)
    normal = fingerprint.replace(":", "").lower()
    for index, each in enumerate(party.certificates):
        in_use = each.revoked_at is None or each.revoked_at > now
        if in_use and certificate(each.pem).fingerprint == normal:
            before, after = party.certificates[:index], party.certificates[index + 1 :]
            return replace(party, certificates=(*before, replace(each, revoked_at=now), *after))
    raise KeyError(fingerprint)
