"""`gateway messages diff`: compares the attempts of one message, or two messages, side by side."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer
from rich.table import Table
from rich.text import Text
from sqlalchemy import Connection, Row, select

from adapters.cli.messages.lookup import MessageArgument, find_message
from adapters.cli.output import HomeOption, JsonOption, cell, console, reading, say_json
from adapters.store.read.message_detail import trace_message
from adapters.store.tables.messages import deliveries, receipts
from gateway.formats.xml import trusted
from gateway.model.faults import printable
from gateway.model.message import ReceiptKind
from gateway.model.states import Event

_BEGINNINGS: Final = (Event.RECEIVED, Event.REPLAYED, Event.RESUMED, Event.ARRIVED, Event.EXPIRED)
_VERDICTS: Final = (
    *(Event.PASSED, Event.REFUSED, Event.REPEATED, Event.ACCEPTED_NO_DELIVERY, Event.WAITING, Event.FAILED),
    *(Event.DISMISSED, Event.JOINED, Event.REPLACED),
)
_DELIVERIES: Final = (Event.TAKEN, Event.UNDELIVERABLE)
_OF_AN_ATTEMPT: Final = (
    *("began", "at", "by", "why", "undertaking", "approved_by", "verdict", "judged_at", "faults", "linked"),
    *("waiting_for", "rules", "policy", "route", "receipt", "deliveries", "state"),
)
_OF_A_MESSAGE: Final = (
    *("account", "name", "sha256", "size", "received_at", "party", "family", "type", "reference"),
    *("content", "operation", "state", "customs_status", "seq_no", "entry_id", "linked", "agreement"),
)


def diff(
    message: MessageArgument,
    home: HomeOption,
    other: Annotated[
        str | None, typer.Argument(help="Another message to compare it with.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the attempts of a message, or two messages, side by side, and mark the differences.

    An attempt begins when the message arrives, when what it waited for arrives, or when it is replayed.

    Example: gateway messages diff TB20261102000001 --home /srv/gateway
    """
    with reading(home) as reader:
        shown = _attempts(reader, message, other)
    if as_json:
        say_json(shown)
        return
    names = [*shown["rows"]]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "", *shown["columns"]):
        table.add_column(Text(printable(column)), overflow="fold")
    for name in names:
        mark = "≠" if name in shown["differs"] else ""
        values = (cell(_short(value)) for value in shown["rows"][name])
        table.add_row(mark, cell(name.replace("_", " ")), *values)
    console().print(table)


def _attempts(reader: Connection, message: str, other: str | None) -> dict[str, Any]:
    row = find_message(reader, message)
    if other is None:
        attempts = attempts_of(trace_message(reader, row.id))
        columns = [f"attempt {number}" for number in range(1, len(attempts) + 1)]
        return {"messages": [row.id], **_beside(columns, attempts, _OF_AN_ATTEMPT)}
    pair = [row, find_message(reader, other)]
    facts = [_facts(reader, each) for each in pair]
    names = (*_OF_A_MESSAGE, *sorted({name for each in facts for name in each if name not in _OF_A_MESSAGE}))
    return {"messages": [each.id for each in pair], **_beside([each.id for each in pair], facts, names)}


def _beside(
    columns: Sequence[str], compared: Sequence[dict[str, Any]], names: Sequence[str]
) -> dict[str, Any]:
    """Rows for every name that any of them has, and the names for which their values differ."""
    rows = {name: [each.get(name) for each in compared] for name in names}
    rows = {
        name: values for name, values in rows.items() if any(value not in (None, [], "") for value in values)
    }
    differs = [name for name, values in rows.items() if any(value != values[0] for value in values)]
    return {"columns": list(columns), "rows": rows, "differs": differs}


def attempts_of(trail: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Start and result of each attempt, from the events of a message, oldest first."""
    attempts: list[dict[str, Any]] = []
    for event in trail:
        detail, happened = event["detail"], event["event"]
        if happened in _BEGINNINGS or (happened == Event.RENAMED and detail.get("anew")):
            attempts.append(
                {
                    "began": happened,
                    "at": event["at"],
                    "by": event["actor"],
                    "why": detail.get("reason") or detail.get("thing"),
                    "undertaking": detail.get("undertaking"),
                    "approved_by": detail.get("approved_by"),
                    "deliveries": [],
                }
            )
        present = attempts[-1]
        if happened in _VERDICTS:
            present |= {"verdict": happened, "judged_at": event["at"]}
            named = ("faults", "linked", "waiting_for", "rules", "policy", "route", "receipt")
            present |= {name: detail.get(name) for name in named}
        if happened in _DELIVERIES:
            note = f" ({detail['note']})" if detail.get("note") else ""
            present["deliveries"].append(f"{detail.get('destination')} {happened}{note}")
        present["state"] = event["state"]
    return attempts


def _facts(reader: Connection, row: Row[*tuple[Any, ...]]) -> dict[str, Any]:
    named = {name: _plain(row._mapping[name]) for name in _OF_A_MESSAGE}
    faults = sorted({finding["rule"] or finding["code"] for finding in row.findings})
    destinations = (
        select(deliveries.c.destination).where(deliveries.c.message == row.id).order_by(deliveries.c.id)
    )
    return {
        **named,
        "faults": faults,
        "backends": list(reader.execute(destinations).scalars()),
        **{f"fact {name}": value for name, value in (row.facts or {}).items()},
        **{f"part {name}": digest for name, digest in _parts(reader, row.id).items()},
    }


def _parts(reader: Connection, message: str) -> dict[str, str]:
    """The parts of its package with their digests, from the newest receipt that names them."""
    own = select(receipts.c.body).where(
        receipts.c.message == message, receipts.c.kind == ReceiptKind.GATEWAY, ~receipts.c.superseded
    )
    # A pending receipt about an unreachable back-end does not list them, and may be the newest.
    for body in reader.execute(own.order_by(receipts.c.id.desc())).scalars():
        if named := list(trusted(bytes(body)).iter("{*}Part")):
            return {each.get("name", ""): each.get("sha256", "") for each in named}
    return {}


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def _short(value: Any) -> Any:
    # Full digests are for scripts; enough of each is shown to tell two apart.
    return f"{value[:12]}…" if isinstance(value, str) and len(value) == 64 else value
