"""Outcomes of the declarations of a time range, by customs office, broker and trader class (docs/reform.md,
R17)."""

from collections import Counter, defaultdict
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from adapters.store.read.parties import registered
from adapters.store.tables.messages import events, messages
from gateway.model.china import china_date
from gateway.model.message import Operation, new_id
from gateway.model.parties import Party
from gateway.model.states import CustomsStatus, Event, State
from gateway.monitor.statistics_bands import Figure

if TYPE_CHECKING:  # imported later: queue statistics do without it
    from gateway.families.families import Families

_ACCEPTED = (State.ACCEPTED, State.DELIVERED, State.CLOSED)
_RELEASED = (CustomsStatus.RELEASED, CustomsStatus.CLOSED)
_TRADER = messages.c.facts["trader_code"].as_string()
_TRADER_SCC = messages.c.facts["trader_scc"].as_string()
_BY = (messages.c.office, messages.c.party, _TRADER, _TRADER_SCC)


def office_statistics(
    reader: Connection, since: datetime, now: datetime, families: "Families"
) -> list[Figure]:
    """The declarations received since `since`. A trader counts by its present class, an unregistered one
    without a class. Messages that are held or not judged yet are not counted.

    Two grouped reads of that part of the table, found by the messages' ids, which sort by time.
    """
    window = and_(
        messages.c.id >= new_id(since, bytes(10)),
        messages.c.kind == "inbound",
        messages.c.operation == Operation.DECLARE,
    )
    by_office: defaultdict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    classes = _Classes(registered(reader), now)
    became = select(*_BY, messages.c.state, messages.c.customs_status, func.count()).where(window)
    became = became.group_by(*_BY, messages.c.state, messages.c.customs_status)
    for office, broker, trader, scc, state, status, count in reader.execute(became):
        counts = by_office[office or "", broker or "", classes.class_of(trader, scc)]
        if state in _ACCEPTED:
            counts["accepted"] += count
        elif state == State.REJECTED:
            counts["rejected"] += count
        if status == CustomsStatus.REFUSED:
            counts["refused"] += count
        elif status in _RELEASED:
            counts["released"] += count
    inspected = (
        select(*_BY, func.count(events.c.message.distinct()))
        .join(events, events.c.message == messages.c.id)
        .where(window, events.c.event.in_((Event.ANSWERED, Event.SETTLED)), _says_inspection(families))
        .group_by(*_BY)
    )
    for office, broker, trader, scc, count in reader.execute(inspected):
        by_office[office or "", broker or "", classes.class_of(trader, scc)]["inspected"] += count
    return [
        Figure(office=office, broker=broker, trader_class=class_, counts=counts)
        for (office, broker, class_), counts in sorted(by_office.items())
        if counts
    ]


class _Classes:
    """The class of a trader by the codes that its declarations name."""

    def __init__(self, parties: dict[str, Party], now: datetime) -> None:
        day = china_date(now)
        self._by_code: dict[str, str] = {}
        for party in parties.values():
            class_ = party.class_on(day)
            for code in (party.code, party.scc):
                self._by_code[code] = "" if class_ is None else class_.value

    def class_of(self, code: str | None, scc: str | None) -> str:
        return self._by_code.get(code or "", "") or self._by_code.get(scc or "", "")


def _says_inspection(families: "Families") -> ColumnElement[bool]:
    """Matches the event of an answer whose code means inspection, as `Transaction.log` writes it."""
    inspections = [
        and_(
            events.c.detail.contains(f'"code": "{code}"', autoescape=True),
            events.c.detail.contains(f'"kind": "{type_.answer.kind}"', autoescape=True),
        )
        for type_ in families.types
        if type_.answer is not None
        for code, status in type_.answer.codes.statuses.items()
        if status is CustomsStatus.INSPECTION
    ]
    return or_(False, *inspections)
