"""What `gateway doctor` looks at: everything that keeps a node from doing its work, without stopping it."""

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from importlib.resources import files
from importlib.util import find_spec
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from adapters.certificates import last_end
from adapters.differing import differing
from adapters.home import Home
from adapters.host_keys import KINDS, host_key_files, read_host_keys
from adapters.listeners import taken
from adapters.named_files import named_files
from adapters.stores.agreement_reading import one_side_unknown
from adapters.stores.alarms import open_alarms
from adapters.stores.database import sqlite_engine
from adapters.stores.register import SqlRegister
from adapters.stores.standing import behind
from gateway.alarm_conditions import UNFINISHED
from gateway.certificates import certificate, outside
from gateway.families import Families
from gateway.parties import Delivery
from gateway.signing import XadesSigner

WARN_BEFORE: Final = timedelta(days=30)
_NAMED: Final = 20
SPARE_BYTES: Final = 1024**3


def examine(home: Home, now: datetime, *, whole: bool = False) -> list[dict[str, Any]]:
    """One entry for each check: its name, whether it is well, and what was found. With `whole` every page of
    the store is read, which takes as long as the store is large."""
    checks: tuple[tuple[str, Callable[[], str]], ...] = (
        ("configuration", lambda: _configuration(home)),
        ("in force", lambda: _in_force(home)),
        ("message families", _families),
        ("private keys", lambda: _private_keys(home)),
        ("files of the home", lambda: _files(home)),
        ("host keys", lambda: _host_keys(home)),
        ("gateway certificate", lambda: _certificate(home, now)),
        ("clock", lambda: _clock(home, now)),
        ("parties' certificates", lambda: _parties(home, now)),
        ("agreements", lambda: _agreements(home)),
        ("partners", lambda: _partners(home)),
        ("connections", lambda: _connections(home, now)),
        ("extras", lambda: _extras(home)),
        ("addresses", lambda: _addresses(home)),
        ("unfinished uploads", lambda: _left(home)),
        ("store", lambda: _store(home, whole)),
        ("disk", lambda: _disk(home)),
        ("node", lambda: _node(home)),
    )
    return list(_results(checks))


class _Unwell(Exception):
    pass


def _results(checks: tuple[tuple[str, Callable[[], str]], ...]) -> Iterator[dict[str, Any]]:
    for name, check in checks:
        try:
            yield {"check": name, "ok": True, "detail": check()}
        except DBAPIError as error:  # without the library's own words and address
            yield {"check": name, "ok": False, "detail": str(error.orig)}
        except Exception as error:  # whatever is wrong is what the operator asked for
            yield {"check": name, "ok": False, "detail": str(error) or type(error).__name__}


def _configuration(home: Home) -> str:
    policy, routes = home.policy(), home.routes()
    return f"policy {policy.version}, {len(routes.route)} routes"


def _in_force(home: Home) -> str:
    if different := differing(home):
        raise _Unwell(different)
    return "no node runs" if home.served_by() is None else "the node runs by the files as they are"


def _families() -> str:
    families = Families.load(files("schemas"))
    return f"{len(families.types)} message types, rule set {families.digest[:12]}"


def _private_keys(home: Home) -> str:
    for key in (*host_key_files(home.keys), home.signing_key):
        mode = stat.S_IMODE(os.stat(key).st_mode)
        if mode & 0o077:
            raise _Unwell(f"{key.name} can be read by others (mode {mode:o})")
    return "readable by their owner only"


def _files(home: Home) -> str:
    """Also those that an earlier release made, under the umask of its day. Folders that the settings give to
    others are theirs; packages lie below one folder, which says for all."""
    settings = home.settings()
    others = {
        home.path / folder
        for each in (*settings.backend.values(), *settings.partner.values())
        if (folder := getattr(each, "folder", None)) is not None
    }
    open_: list[str] = []
    waiting = [home.path]
    while waiting:
        path = waiting.pop()
        if path in others or path.is_symlink():
            continue
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            open_.append(str(path.relative_to(home.path)))
        if path.is_dir() and path != home.blobs:
            waiting += path.iterdir()
    if open_:
        named = ", ".join(sorted(open_)[:_NAMED])
        return f"{len(open_)} can be read by others: {named}; to end that: chmod -R go= {home.path}"
    return "for their owner only"


def _host_keys(home: Home) -> str:
    found = read_host_keys(home.keys)
    told = [f"{each.file} {each.fingerprint}" for each in found]
    missing = [kind for kind in KINDS if kind not in {each.kind for each in found}]
    if missing:
        # No fault: whoever has pinned the keys that are there must hear of another one first.
        told.append(
            f"none of kind {', '.join(missing)}, which some clients need: make one with ssh-keygen -t "
            f"{missing[0]} -N '' -f keys/ssh_host_{missing[0]}, publish its fingerprint, gateway reload"
        )
    return "; ".join(told)


def _certificate(home: Home, now: datetime) -> str:
    pem = home.certificate.read_text()
    XadesSigner(home.signing_key.read_bytes(), pem)
    if why := outside(certificate(pem), now):
        raise _Unwell(f"{why}: nothing is judged or signed")
    ends = certificate(pem).ends
    if ends < now + WARN_BEFORE:
        raise _Unwell(f"ends on {ends.date()}")
    return f"until {ends.date()}"


def _clock(home: Home, now: datetime) -> str:
    engine = sqlite_engine(home.database, read_only=True)
    with engine.connect() as reader:
        why = behind(reader, now)
    engine.dispose()
    if why:
        raise _Unwell(f"{why}: nothing is judged or signed (gateway clock accept --help)")
    return "not behind the log"


def _parties(home: Home, now: datetime) -> str:
    parties = SqlRegister(sqlite_engine(home.database, read_only=True)).parties()
    last = {party.code: last_end(party.certificates) for party in parties}
    ending = [
        f"{code} on {ends.date()}"
        for code, ends in last.items()
        if ends is not None and ends < now + WARN_BEFORE
    ]
    if ending:
        raise _Unwell(f"ending: {', '.join(ending)}")
    return f"{len(parties)} parties"


def _agreements(home: Home) -> str:
    """That one side is not registered yet keeps nothing from its work: it is named, not found fault with."""
    engine = sqlite_engine(home.database, read_only=True)
    try:
        with engine.connect() as reader:
            found = one_side_unknown(reader, _NAMED)
    finally:
        engine.dispose()
    if not found:
        return "both sides of each are registered"
    named = ", ".join(f"{number} ({code})" for number, code in found)
    more = f", the first {_NAMED}" if len(found) == _NAMED else ""
    return f"not counted until the party is registered{more}: {named}"


def _partners(home: Home) -> str:
    """Those that host their folders: what is theirs in the settings and what in the register fit together."""
    visited = {name: each.account for name, each in home.settings().partner.items()}
    registered = SqlRegister(sqlite_engine(home.database, read_only=True)).parties()
    ways = {each.account.name: each.account.delivery for each in registered if each.account is not None}
    wrong = []
    for name, account in visited.items():
        if account not in ways:
            wrong.append(f"{name}: no account is named {account}")
        elif ways[account] is not Delivery.FOLDER:
            wrong.append(
                f"{name}: the delivery of account {account} is {ways[account]}, not {Delivery.FOLDER}"
            )
    named = list(visited.values())
    wrong += [
        f"{account}: named by more than one partner"
        for account in sorted(set(named))
        if named.count(account) > 1
    ]
    wrong += [
        f"account {account}: its receipts go to folders, and no partner in gateway.toml is it"
        for account, way in sorted(ways.items())
        if way is Delivery.FOLDER and account not in named
    ]
    if wrong:
        raise _Unwell("; ".join(wrong))
    return f"{len(visited)} visited"


def _connections(home: Home, now: datetime) -> str:
    """Nothing is connected to: whether the files that the settings name can be used, and whether receipts
    that are to go out over AMQP have a broker to go to."""
    settings, named = home.settings(), named_files(home)
    wrong = [each.unusable or each.exposed for each in named if each.unusable or each.exposed]
    wrong += [
        f"{each.setting}: ends on {each.ends.date()}"
        for each in named
        if each.ends is not None and each.ends < now + WARN_BEFORE
    ]
    if settings.amqp is None:
        registered = SqlRegister(sqlite_engine(home.database, read_only=True)).parties()
        wrong += [
            f"account {each.account.name}: its receipts go out over AMQP, and gateway.toml has no [amqp]"
            for each in registered
            if each.account is not None and each.account.delivery is Delivery.AMQP
        ]
    if wrong:
        raise _Unwell("; ".join(wrong))
    return f"{len(named)} files of keys, certificates and passwords"


def _extras(home: Home) -> str:
    if home.settings().tracing is None:
        return "none wanted"
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        raise _Unwell("tracing: needs the extra: pip install 'customs-edi-gateway[tracing]'")
    return "tracing"


def _addresses(home: Home) -> str:
    if home.served_by() is not None:
        return "listened on by the node"
    if wrong := list(taken(home.settings())):
        raise _Unwell("; ".join(wrong))
    return "free"


def _left(home: Home) -> str:
    """As the node sees it, which alone knows its uploads."""
    engine = sqlite_engine(home.database, read_only=True)
    with engine.connect() as reader:
        told = [alarm.en for alarm in open_alarms(reader) if alarm.key.startswith(UNFINISHED)]
    engine.dispose()
    if told:
        raise _Unwell("; ".join(told))
    return "none is left"


def _store(home: Home, whole: bool) -> str:
    engine = sqlite_engine(home.database, read_only=True)
    with engine.connect() as reader:
        found = reader.execute(text("PRAGMA quick_check")).scalars().all() if whole else ["ok"]
        held = reader.execute(text("SELECT count(*) FROM messages WHERE state = 'held'")).scalar_one()
    engine.dispose()
    if found != ["ok"]:
        raise _Unwell("; ".join(found))
    looked = "no damaged page" if whole else "it can be read (--whole reads every page)"
    return f"{looked} (whether its rows are as written: gateway audit verify); {held} messages held"


def _disk(home: Home) -> str:
    free = shutil.disk_usage(home.path).free
    if free < SPARE_BYTES:
        raise _Unwell(f"{free // 1024**2} MB free")
    return f"{free // 1024**3} GB free"


def _node(home: Home) -> str:
    return "not running" if home.served_by() is None else "running"
