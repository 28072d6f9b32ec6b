"""Changes to the register of parties: an import is one commit, or nothing is changed; history is kept."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from adapters.store.database import Database, Transaction
from adapters.store.read.parties import PARTY, registered
from adapters.store.tables.messages import parties, party_changes
from gateway.model.parties import Delivery, Party, PartyChange
from gateway.operate.ports import PartyDecision


class SqlParties:
    """gateway.operate.ports.PartyStore over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def change(self, decide: PartyDecision, actor: str, reason: str, now: datetime) -> Sequence[PartyChange]:
        return self._database.submit(lambda to: _decided(to, decide, actor, reason, now)).result()

    def try_out(self, decide: PartyDecision, actor: str, reason: str, now: datetime) -> Sequence[PartyChange]:
        return self._database.rehearsed(lambda to: _decided(to, decide, actor, reason, now))


def _decided(
    transaction: Transaction, decide: PartyDecision, actor: str, reason: str, now: datetime
) -> Sequence[PartyChange]:
    changes = decide(registered(transaction.connection))
    write(transaction, changes, actor, reason, now)
    return changes


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
