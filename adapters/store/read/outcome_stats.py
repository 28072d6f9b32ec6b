"""Outcomes of declarations: for sampling after release, and counted by rule (docs/reform.md, R16)."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Connection, and_, select

from adapters.store.tables.dossiers import reviews
from adapters.store.tables.messages import deliveries, events, messages
from gateway.model.dossier import ReviewOutcome
from gateway.model.message import Operation, new_id
from gateway.model.states import CustomsStatus, Event

if TYPE_CHECKING:  # imported later: queue statistics do without it
    from gateway.families.families import Families

# The longest time from a message's id, given at a claim, to its receipt.
_LONGEST_UPLOAD: Final = timedelta(days=1)
NOT_ASSESSED: Final = "not assessed"
_RELEASED: Final = (CustomsStatus.RELEASED, CustomsStatus.CLOSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """An accepted declaration of a period."""

    message: str
    entry: str
    reference: str
    received_at: datetime
    customs_status: CustomsStatus
    facts: dict[str, str]
    hint: dict[str, Any] | None


def declared(reader: Connection, since: datetime | None, until: datetime | None) -> list[Declared]:
    """The declarations that were received from `since` until before `until` and accepted, oldest first."""
    query = (
        select(messages)
        .where(messages.c.operation == Operation.DECLARE, _received(since, until), _ACCEPTED)
        .order_by(messages.c.id)
    )
    return [
        Declared(
            message=row.id,
            entry=row.entry_id or "",
            reference=row.reference,
            received_at=row.received_at,
            customs_status=CustomsStatus(row.customs_status),
            facts=row.facts,
            hint=row.hint,
        )
        for row in reader.execute(query)
    ]


def released(reader: Connection, since: datetime | None, until: datetime | None) -> list[Declared]:
    """Those of them that have an entry number and were released, each entry once."""
    by_entry = {
        declaration.entry: declaration
        for declaration in declared(reader, since, until)
        if declaration.entry and declaration.customs_status in _RELEASED
    }
    return list(by_entry.values())


def counts_by_triage(
    reader: Connection, since: datetime | None, until: datetime | None, families: "Families"
) -> list[dict[str, Any]]:
    """Outcomes of declarations by the row of the triage table that decided: `rule` is the first reason of the
    hint, which names the classes and the source."""
    inspected = _inspected(reader, since, until, families)
    reviewed = _reviewed(reader)
    rows: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for declaration in declared(reader, since, until):
        hint = declaration.hint or {}
        reason = next(iter(hint.get("reasons", ())), NOT_ASSESSED)
        counts = rows[reason, hint.get("treated_as", ""), hint.get("inspection", "")]
        counts["declared"] += 1
        if declaration.message in inspected:
            counts["inspected"] += 1
        elif declaration.customs_status in _RELEASED:
            counts["released"] += 1
        if declaration.customs_status in (CustomsStatus.REFUSED, CustomsStatus.DELETED):
            counts[declaration.customs_status.value] += 1
        if declaration.message in reviewed:
            counts[reviewed[declaration.message]] += 1
    columns = ("declared", "released", "inspected", "refused", "deleted", *ReviewOutcome)
    return [
        {
            "rule": rule,
            "treated_as": treated_as or None,
            "inspection": inspection or None,
            **{str(column): counts[column] for column in columns},
        }
        for (rule, treated_as, inspection), counts in sorted(rows.items())
    ]


def counts_by_fault(
    reader: Connection, since: datetime | None, until: datetime | None
) -> list[dict[str, Any]]:
    """The number of messages of the period in which a fault or warning was found, by rule, most frequent
    first."""
    query = select(messages.c.findings).where(messages.c.kind == "inbound", _received(since, until))
    counts: Counter[tuple[str, str, str]] = Counter()
    for (findings,) in reader.execute(query):
        counts.update({(finding["code"], finding["rule"] or "", finding["severity"]) for finding in findings})
    return [
        {"code": code, "rule": rule or None, "severity": severity, "messages": count}
        for (code, rule, severity), count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]


_ACCEPTED: Final = (
    select(deliveries.c.id)
    .where(deliveries.c.message == messages.c.id, deliveries.c.key == messages.c.id)
    .exists()
)


def _received(since: datetime | None, until: datetime | None) -> ColumnElement[bool]:
    bounds = [messages.c.kind == "inbound"]
    if since is not None:
        bounds.append(messages.c.received_at >= since)
        # Ids begin with the time of their creation, so only a few of all messages are read.
        bounds.append(messages.c.id >= new_id(since - _LONGEST_UPLOAD, bytes(10)))
    if until is not None:
        bounds.append(messages.c.received_at < until)
    return and_(*bounds)


def _inspected(
    reader: Connection, since: datetime | None, until: datetime | None, families: "Families"
) -> set[str]:
    """The declarations whose goods customs has inspected at any time: the present status may no longer show
    it."""
    codes = {type_.answer.kind: type_.answer.codes for type_ in families.types if type_.answer is not None}
    answered = (
        select(events.c.message, events.c.detail)
        .join(messages, messages.c.id == events.c.message)
        .where(events.c.event.in_((Event.ANSWERED, Event.SETTLED)), _received(since, until))
    )
    return {
        message for message, detail in reader.execute(answered) if _says_inspection(json.loads(detail), codes)
    }


def _says_inspection(detail: Mapping[str, Any], codes: Mapping[Any, Any]) -> bool:
    own = codes.get(detail.get("kind"))
    return own is not None and own.status(detail.get("code", "")) is CustomsStatus.INSPECTION


def _reviewed(reader: Connection) -> dict[str, str]:
    """The last outcome of each declaration that was reviewed again."""
    query = select(reviews.c.message, reviews.c.outcome).order_by(reviews.c.id)
    return {row.message: row.outcome for row in reader.execute(query)}


def outcomes(reader: Connection, entries: Sequence[str]) -> dict[str, str]:
    """The last outcome of each of these entries that was reviewed again."""
    query = select(reviews.c.entry_id, reviews.c.outcome).order_by(reviews.c.id)
    chosen = set(entries)
    return {row.entry_id: row.outcome for row in reader.execute(query) if row.entry_id in chosen}
