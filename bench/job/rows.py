"""The rows of the job, written in groups with plain `sqlite3`: the same tables as the product's.

Rows of a group are collected by statement and written with `executemany`; numbers and the log's chain are
counted here, since nobody else writes this store.
"""

import hashlib
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from json import JSONEncoder, dumps
from pathlib import Path
from typing import Any, Final

from adapters.store.database import GENESIS
from gateway.judge.transitions import ACTOR
from gateway.model.china import china_date
from gateway.model.decision import Decision, DeclarationOutcome
from gateway.model.message import ChainLink, Receipt
from gateway.model.states import State

GATEWAY: Final = ACTOR
CUSTOMS: Final = "customs"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_CANONICAL: Final = JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
_DETAIL: Final = JSONEncoder(sort_keys=True, ensure_ascii=False).encode

ARRIVAL: Final = (
    "INSERT INTO messages (seq, id, kind, account, channel, name, sha256, size, received_at, folder,"
    " moved_at, state, link_sequence, link_digest, facts, customs_status, findings, reason, revision,"
    " attempts) VALUES (?, ?, 'inbound', ?, 'amqp', ?, ?, ?, ?, 'OutBox', ?, 'received', ?, ?, '{}', 'none',"
    " '[]', '', 0, 0)"
)
PACKAGE: Final = "INSERT INTO packages (sha256, body) VALUES (?, ?) ON CONFLICT DO NOTHING"
REPLY: Final = (
    "INSERT INTO replies (message, account, message_id, correlation, reply_to) VALUES (?, ?, ?, ?, ?)"
)
SENT_DAY: Final = (
    "INSERT INTO sent_days (day, account, messages, size) VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET messages = messages + excluded.messages, size = size + excluded.size"
)
TO_JUDGE: Final = "INSERT INTO to_judge (account, item, due_at, fence, attempts) VALUES (?, ?, 0, 0, 0)"
JUDGED: Final = "DELETE FROM to_judge WHERE item = ?"
ACCEPT: Final = (
    "UPDATE messages SET state = 'accepted', folder = 'SentBox', moved_at = ?, revision = 1, attempts = 1,"
    " fence = 1, party = ?, family = ?, type = ?, reference = ?, content = ?, body_digest = ?, operation = ?,"
    " office = ?, facts = ?, findings = ?, agreement = ?, hint = ? WHERE seq = ? AND revision = 0"
)
HOLDER: Final = "INSERT INTO holders (party, family, type, reference, message) VALUES (?, ?, ?, ?, ?)"
AGREEMENT_ACT: Final = (
    "INSERT INTO agreement_acts (number, at, act, actor, state, message, reason)"
    " VALUES (?, ?, 'used', 'gateway', ?, ?, '')"
)
OBLIGATION: Final = (
    "INSERT INTO obligations (message, due, documents, sources, missing, reminded) VALUES (?, ?, ?, ?, ?, 0)"
)
DEADLINE: Final = "UPDATE obligations SET released_at = ?, due_at = ?, remind_at = ? WHERE message = ?"
DELIVERY: Final = (
    "INSERT INTO deliveries (id, message, destination, alternatives, account, about, key, state, envelope,"
    " package_sha256, package_name, package_size, enclosures, attempts, fence, since, note, unsure,"
    " created_at, changed_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?, ?, ?, 0, 0, ?, '', 0, ?, ?)"
)
TO_SEND: Final = (
    "INSERT INTO to_send (destination, account, item, due_at, fence, about) VALUES (?, ?, ?, ?, 0, ?)"
)
SENT: Final = "DELETE FROM to_send WHERE item = ?"
SETTLE: Final = (
    "UPDATE deliveries SET state = 'delivered', attempts = 1, fence = 1, changed_at = ?"
    " WHERE id = ? AND state = 'pending'"
)
ANSWER: Final = (
    "INSERT INTO messages (seq, id, kind, account, channel, name, sha256, size, body, received_at, moved_at,"
    " type, reference, seq_no, entry_id, state, linked, link_sequence, link_digest, facts, customs_status,"
    " findings, reason, revision, attempts)"
    " VALUES (?, ?, 'answer', ?, 'backend', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'closed', ?, ?, ?, '{}', 'none',"
    " '[]', '', 0, 0)"
)
# Taken by customs (one revision) and answered five times, in one change.
CLOSE: Final = (
    "UPDATE messages SET state = ?, customs_status = ?, seq_no = ?, entry_id = ?, moved_at = ?,"
    " revision = 2 + ? WHERE seq = ? AND revision = 1"
)
REQUEST: Final = (
    "INSERT INTO requests (id, message, at, why, documents, due_at, note, told_at)"
    " VALUES (?, ?, ?, ?, ?, ?, '', ?)"
)
_RECEIPT: Final = (
    "INSERT INTO receipts (id, message, account, folder, name, kind, verdict, final, superseded, body, size,"
    " created_at) VALUES (?, ?, ?, 'InBox', ?, ?, ?, ?, 0, ?, ?, ?)"
)
_TO_POST: Final = "INSERT INTO to_post (account, item, due_at, fence) VALUES (?, ?, ?, 0)"
_COLLECTED: Final = (
    "UPDATE receipts SET collected_at = ? WHERE id IN (SELECT item FROM to_post WHERE item BETWEEN ? AND ?)"
)
_POSTED: Final = "DELETE FROM to_post WHERE item BETWEEN ? AND ?"
_EVENT: Final = (
    "INSERT INTO events (sequence, message, at, event, actor, state, detail, digest, latest)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def micros(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


class Rows:
    """A store of the product's tables that this process alone writes, and the rows of the group in hand."""

    def __init__(self, path: Path, delivered: frozenset[str]) -> None:
        """`delivered` are the accounts to which receipts are delivered."""
        self.connection = sqlite3.connect(path, isolation_level=None, cached_statements=512)
        execute = self.connection.execute
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            execute(f"PRAGMA {pragma}")
        self._delivered = delivered
        self._rows: defaultdict[str, list[Sequence[Any]]] = defaultdict(list)
        self._numbers = {
            table: self._last(table, column)
            for table, column in (("messages", "seq"), ("deliveries", "id"), ("requests", "id"))
        }
        self._receipt = self._posted = self._last("receipts", "id")
        self._published = self._receipt  # the last that was handed out to be published
        last = execute(
            "SELECT sequence, digest, latest FROM events ORDER BY sequence DESC LIMIT 1"
        ).fetchone()
        self._sequence: int = last[0] if last else 0
        self._digest: str = last[1] if last else GENESIS
        self._latest: int = last[2] if last else 0

    def _last(self, table: str, column: str) -> int:
        (found,) = self.connection.execute(f"SELECT coalesce(max({column}), 0) FROM {table}").fetchone()  # noqa: S608
        return int(found)

    def number(self, table: str) -> int:
        self._numbers[table] += 1
        return self._numbers[table]

    def put(self, statement: str, *row: Any) -> None:
        self._rows[statement].append(row)

    def log(self, message: str, at: datetime, event: str, actor: str, state: str, **detail: Any) -> ChainLink:
        """Appends to the log; values that say nothing are left out."""
        told = {name: value for name, value in detail.items() if value not in (None, "", [], {})}
        entry = {
            "message": message,
            "at": at.isoformat(),
            "event": event,
            "actor": actor,
            "state": state,
            "detail": told,
        }
        self._digest = hashlib.sha256(f"{self._digest}\n{_CANONICAL(entry)}".encode()).hexdigest()
        self._sequence += 1
        moment = micros(at)
        self._latest = max(self._latest, moment)
        self._rows[_EVENT].append(
            (self._sequence, message, moment, event, actor, state, _DETAIL(told), self._digest, self._latest)
        )
        return ChainLink(sequence=self._sequence, digest=self._digest)

    def receipts(self, message: str, given: Sequence[Receipt], at: datetime) -> list[tuple[int, Receipt]]:
        """Adds receipts; returns those that are to be delivered, with their numbers."""
        moment, brought = micros(at), []
        for each in given:
            self._receipt += 1
            if each.account in self._delivered:
                self.put(_TO_POST, each.account, self._receipt, moment)
                brought.append((self._receipt, each))
            self._rows[_RECEIPT].append(
                (
                    *(self._receipt, message, each.account, each.name, each.kind, each.verdict, each.final),
                    *(each.body, len(each.body), moment),
                )
            )
        return brought

    def accept(self, seq: int, account: str, decision: Decision, at: datetime) -> int:
        """The rows of a declaration that is accepted, besides its receipts; returns its delivery's number."""
        facts, outcome, moment = decision.facts, decision.outcome, micros(at)
        assert facts is not None
        assert isinstance(outcome, DeclarationOutcome)
        assert outcome.use is not None
        assert outcome.hint is not None
        assert outcome.obligation is not None
        (submission,) = decision.submissions
        key, message, agreement = facts.key, decision.message, outcome.use.agreement
        hint, owed = outcome.hint, outcome.obligation
        self.put(
            ACCEPT,
            *(moment, key.party, key.family, key.type, key.reference, facts.content, facts.body),
            *(facts.operation, facts.values.get("office", "")[:4] or None, dumps(facts.values)),
            *(
                dumps([asdict(each) for each in decision.findings]),
                agreement.number,
                dumps(_plain(hint)),
                seq,
            ),
        )
        self.put(JUDGED, seq)
        self.put(HOLDER, key.party, key.family, key.type, key.reference, message)
        self.put(AGREEMENT_ACT, agreement.number, moment, agreement.state, message)
        documents = (dumps(owed.documents), dumps(owed.sources), dumps(owed.missing(outcome.brings)))
        self.put(OBLIGATION, message, owed.due, *documents)
        delivery = self.number("deliveries")
        self.put(
            DELIVERY,
            *(delivery, message, submission.destination, dumps(submission.alternatives), account),
            *(submission.about, submission.key, submission.envelope, submission.package_sha256),
            *(submission.package_name, submission.package_size),
            *(dumps([_plain(each) for each in submission.enclosures]), moment, moment, moment),
        )
        self.put(TO_SEND, submission.destination, account, delivery, moment, submission.about)
        trail: dict[str, object] = {"attempt": decision.attempt, **decision.trail}
        faults = [found.rule or found.code for found in decision.findings]
        self.log(message, at, decision.event, GATEWAY, State.ACCEPTED, faults=faults, **trail)
        return delivery

    def sent_today(self, account: str, sizes: Sequence[int], at: datetime) -> None:
        self.put(SENT_DAY, china_date(at).isoformat(), account, len(sizes), sum(sizes))

    def posted(self, at: datetime) -> None:
        """What has been published up to the commit before is confirmed."""
        if self._published > self._posted:
            self.put(_COLLECTED, micros(at), self._posted + 1, self._published)
            self.put(_POSTED, self._posted + 1, self._published)
            self._posted = self._published

    def commit(self) -> None:
        """Writes the rows of the group, durably."""
        self.connection.execute("BEGIN IMMEDIATE")
        for statement, rows in self._rows.items():
            changed = self.connection.executemany(statement, rows).rowcount
            assert changed == len(rows) or statement in (PACKAGE, _COLLECTED, _POSTED), statement
        self.connection.execute("COMMIT")
        self._rows.clear()
        self._published = self._receipt

    def close(self) -> None:
        self.connection.close()


def _plain(value: Any) -> dict[str, object]:
    """A flat dataclass as JSON has it; `dataclasses.asdict` copies and takes several times as long."""
    return {name: getattr(value, name) for name in value.__slots__}
