"""Changes to the register of parties: an import is one commit, or nothing is changed; history is kept."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from adapters.store.database import Transaction
from adapters.store.read.parties import PARTY, registered
from adapters.store.tables.messages import parties, party_changes
from gateway.config.bad_settings import BadSettings
from gateway.model.china import china_date
from gateway.model.parties import Delivery, Party
from gateway.operate.party_changes import NotPossible, PartyRecord, changed


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyChange:
    """A party that is added (`before` is None), changed, or the same as before."""

    before: Party | None
    after: Party


def plan_import(connection: Connection, records: Sequence[PartyRecord], now: datetime) -> list[PartyChange]:
    """The changes that an import would make, in the order of its records. Raises `BadSettings` with all
    errors, one per line."""
    before = registered(connection)
    after = dict(before)
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
    return [PartyChange(before=before.get(code), after=after[code]) for code in codes]


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


def write(
    transaction: Transaction, changes: Iterable[PartyChange], actor: str, reason: str, now: datetime
) -> None:
    """Writes the differences, and who made them, when and why."""
    connection = transaction.connection
    differing = [change for change in changes if change.before != change.after]
    if not differing:
        return
    # Deleted and inserted again, so that a code can pass from one party to another in one commit.
    codes = [change.after.code for change in differing]
    connection.execute(delete(parties).where(parties.c.code.in_(codes)))
    connection.execute(insert(parties), [_row(change.after, now) for change in differing])
    connection.execute(
        insert(party_changes),
        [
            {
                "party": change.after.code,
                "at": now,
                "actor": actor,
                "reason": reason,
                "before": None if change.before is None else _plain(change.before),
                "after": _plain(change.after),
            }
            for change in differing
        ],
    )


def import_parties(
    transaction: Transaction, records: Sequence[PartyRecord], actor: str, reason: str, now: datetime
) -> list[PartyChange]:
    """Imports the records into the register. Raises `BadSettings`, and then nothing is changed."""
    changes = plan_import(transaction.connection, records, now)
    write(transaction, changes, actor, reason, now)
    return changes


def changes_of(connection: Connection, code: str) -> list[tuple[dict[str, Any], PartyChange]]:
    """Every change of the party, oldest first: when, by whom, why, and what."""
    rows = connection.execute(
        select(party_changes).where(party_changes.c.party == code).order_by(party_changes.c.id)
    )
    return [
        (
            {"at": row.at, "actor": row.actor, "reason": row.reason},
            PartyChange(
                before=None if row.before is None else PARTY.validate_python(row.before),
                after=PARTY.validate_python(row.after),
            ),
        )
        for row in rows
    ]


def _row(party: Party, now: datetime) -> dict[str, Any]:
    return {
        "code": party.code,
        "scc": party.scc,
        "organisation": party.organisation_code,
        "account": None if party.account is None else party.account.name,
        "delivery": Delivery.INBOX if party.account is None else party.account.delivery,
        "record": _plain(party),
        "changed_at": now,
    }


def _plain(party: Party) -> dict[str, Any]:
    plain: dict[str, Any] = PARTY.dump_python(party, mode="json")
    return plain
