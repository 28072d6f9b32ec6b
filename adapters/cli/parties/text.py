"""A party and its changes, as commands show them."""

from datetime import date, datetime
from typing import Any, Final

from adapters.cli import chinese
from adapters.cli.output import Language
from gateway.formats.certificates import certificate
from gateway.model.parties import EVER, Party, PartyChange, Period
from gateway.operate.party_keys import key_fingerprint


def row(party: Party, today: date) -> dict[str, Any]:
    """The fields of a party, on whose names and order scripts rely; the class is the one in force today."""
    return {
        "account": None if party.account is None else party.account.name,
        "code": party.code,
        "scc": party.scc,
        "name": party.name,
        "class": party.class_on(today),
        "role": ",".join(party.roles),
    }


def whole(party: Party, today: date) -> dict[str, Any]:
    """All fields; keys and certificates by their fingerprints. A period without a beginning or an end has
    null there."""
    account = party.account
    return {
        **row(party, today),
        "classes": [{"class": each.trader_class, **_days(each)} for each in party.classes],
        "signature": party.signature,
        "contracts": [{"district": each.district, **_days(each)} for each in party.contracts],
        "keeps_papers": [_days(each) for each in party.keeps_papers],
        "kept_before_reform": party.kept_before_reform,
        "confirms_automatically": list(party.confirms_automatically),
        "places": list(party.places),
        "certificates": [
            {"fingerprint": certificate(each.pem).fingerprint, "revoked_at": _time(each.revoked_at)}
            for each in party.certificates
        ],
        "keys": [] if account is None else [key_fingerprint(line) for line in account.keys],
        "revoked_keys": []
        if account is None
        else [
            {"fingerprint": key_fingerprint(each.line), "revoked_at": _time(each.revoked_at)}
            for each in account.revoked_keys
        ],
        "max_package": None if account is None else account.max_package,
        "max_sessions": None if account is None else account.max_sessions,
        "max_files": None if account is None else account.max_files,
        "daily_messages": None if account is None else account.daily_messages,
        "daily_bytes": None if account is None else account.daily_bytes,
        "unfinished": [] if account is None else list(account.unfinished),
        "receipts": [] if account is None else list(account.receipts),
    }


def differences(change: PartyChange, today: date) -> list[dict[str, Any]]:
    """Each changed field with `before` and `after`; empty for a new party."""
    if change.before is None:
        return []
    before, after = whole(change.before, today), whole(change.after, today)
    return [
        {"field": field, "before": before[field], "after": after[field]}
        for field in after
        # The class of today follows from the periods.
        if field != "class" and before[field] != after[field]
    ]


def words(value: object, lang: Language) -> str:
    """A value of `whole` as text for people."""
    in_zh = lang is Language.ZH
    if value is None or value == []:
        return "-"
    if isinstance(value, bool):
        return ("是" if value else "否") if in_zh else ("yes" if value else "no")
    if isinstance(value, list):
        return ("、" if in_zh else ", ").join(words(each, lang) for each in value)
    if isinstance(value, dict):
        return _entry(value, lang)
    return str(value)


_DATES: Final = {
    "since": ("since {}", "自 {} 起"),
    "until": ("until {}", "至 {} 止"),
    "revoked_at": ("revoked {}", "{} 撤销"),
}


def _entry(entry: dict[str, Any], lang: Language) -> str:
    """A period or a certificate: its name, then the dates that it has."""
    in_zh = lang is Language.ZH
    called = chinese.PARTY.words if in_zh else {}
    what = [
        words(called[key](value) if key in called else value, lang)
        for key, value in entry.items()
        if key not in _DATES
    ]
    dates = [
        (zh if in_zh else en).format(entry[key])
        for key, (en, zh) in _DATES.items()
        if entry.get(key) is not None
    ]
    return " ".join(what + dates) or ("一直有效" if in_zh else "always")


def _days(period: Period) -> dict[str, date | None]:
    return {"since": None if period.since == EVER else period.since, "until": period.until}


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
