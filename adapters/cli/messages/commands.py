"""`gateway messages`: list, show and trace messages. The commands that act on them are in `actions`."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Final

import typer
from sqlalchemy import Connection

from adapters.cli import chinese
from adapters.cli.messages import actions, diff, package
from adapters.cli.messages.filters import Filters, filtered
from adapters.cli.messages.lookup import MessageArgument, find_message
from adapters.cli.output import (
    HomeOption,
    JsonOption,
    LangOption,
    Language,
    Listing,
    Vocabulary,
    cell,
    console,
    reading,
    say_fields,
    say_json,
    say_rows,
)
from adapters.home.clock import utc_now
from adapters.store.read.message_detail import beside, show_message, trace_message
from adapters.store.read.message_search import list_messages
from adapters.store.write.receipt_actions import removals
from gateway.formats.report import filled, heading
from gateway.model.faults import Place

app = typer.Typer(cls=Listing, help="Find, understand, hold, release, reject and replay messages.")

# Tables that `show` prints after the fields of the message.
_TABLES: Final = {
    "steps": ("at", "step"),
    "deliveries": ("id", "destination", "state", "attempts", "changed_at", "next_at", "note"),
    "backends": ("name", "breaker", "probe_at", "note", "paused_by", "pause_reason"),
    "receipts": (
        "created_at",
        "account",
        "kind",
        "verdict",
        "final",
        "collected_at",
        "removed_at",
        "post_at",
        "name",
    ),
    "links": ("link", "id", "kind", "type", "reference", "state", "received_at", "name"),
    "undertakings": ("id", "act", "state", "outcome", "actor", "decided_by", "reason", "note"),
}
_TABLES_ZH: Final[Mapping[str, tuple[str, Vocabulary]]] = {
    "steps": ("转关进度", Vocabulary()),
    "deliveries": ("递交", chinese.DELIVERY),
    "backends": ("海关接口", chinese.BACKEND),
    "receipts": ("回执", chinese.RECEIPT),
    "links": ("关联报文", chinese.LINK),
    "undertakings": ("批量操作", chinese.UNDERTAKING),
}

_APART: Final = ("findings", "facts", "next")

for act in (
    actions.hold,
    actions.release,
    actions.reject,
    actions.replay,
    diff.diff,
    package.package,
):
    app.command()(act)


@app.command("list")
@filtered
def list_(
    home: HomeOption,
    lang: LangOption,
    filters: Filters,
    after: Annotated[
        str | None, typer.Option(help="Next page: the first messages after this message id; 0 is the start.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Include answers of customs.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List what parties sent, newest last. All given filters must match.

    Example: gateway messages list --state rejected --fault schema-missing --older 2h --home /srv/gateway
    """
    filter_ = replace(filters.as_filter(utc_now()), after=after, everything=all_)
    with reading(home) as reader:
        rows = list_messages(reader, filter_, filters.limit)
        if not as_json:  # the JSON keys are fixed by the contract
            more = beside(reader, [row["id"] for row in rows])
            rows = [row | more[row["id"]] for row in rows]
    columns = (
        *("received_at", "id", "account", "reference", "type", "state", "customs_status", "faults"),
        *("waiting_for", "until", "name", "repeat_of"),
    )
    say_rows(rows, columns, as_json=as_json, lang=lang, words=chinese.MESSAGE)


@app.command()
def show(message: MessageArgument, home: HomeOption, lang: LangOption, as_json: JsonOption = False) -> None:
    """Show everything about one message.

    Example: gateway messages show 01JD0000000000000000000000 --home /srv/gateway
    """
    with reading(home) as reader:
        shown = show_message(reader, find_message(reader, message), utc_now())
    if as_json:
        say_json(shown)
        return
    printer = console()
    in_zh = lang is Language.ZH
    fields = {name: value for name, value in shown.items() if name not in (*_APART, *_TABLES)}
    say_fields(fields, lang=lang, words=chinese.MESSAGE)
    if shown["next"] is not None:
        printer.print("\n下一步  " if in_zh else "\nnext  ", cell(shown["next"][lang]), sep="")
    for finding in shown["findings"]:
        code, place = finding["rule"] or finding["code"], Place(**finding["place"])
        head = heading(finding["severity"], code, place)
        printer.print("\n", cell(head.zh if in_zh else head.en), sep="")
        printer.print("  ", cell(finding[lang]), sep="")
        if finding["value"] is not None:
            value = filled(finding["value"])
            printer.print("  ", cell(value.zh if in_zh else value.en), sep="")
    for title, columns in _TABLES.items():
        if shown[title]:
            called, words = _TABLES_ZH[title]
            printer.print(f"\n{called if in_zh else title}")
            say_rows(shown[title], columns, as_json=False, lang=lang, words=words)


@app.command()
def trace(message: MessageArgument, home: HomeOption, lang: LangOption, as_json: JsonOption = False) -> None:
    """List every event of a message, with actor, time and position in the log.

    Example: gateway messages trace TB20261102000001 --home /srv/gateway
    """
    with reading(home) as reader:
        trail = _trail(reader, find_message(reader, message).id)
    short = [{**row, "detail": in_short(row["detail"]), "digest": row["digest"][:12]} for row in trail]
    columns = ("sequence", "at", "event", "actor", "state", "detail", "digest")
    say_rows(trail if as_json else short, columns, as_json=as_json, lang=lang, words=chinese.STEP)


def _trail(reader: Connection, message: str) -> list[dict[str, Any]]:
    trail = trace_message(reader, message)
    return sorted([*trail, *removals(reader, message)], key=lambda each: datetime.fromisoformat(each["at"]))


def in_short(detail: dict[str, Any]) -> str:
    # Full digests are for scripts; a table shows enough of them to tell two apart.
    return " ".join(f"{key}={_short(value)}" for key, value in detail.items())


def _short(value: Any) -> Any:
    if isinstance(value, list):
        return [_short(each) for each in value]
    return f"{value[:12]}…" if isinstance(value, str) and len(value) == 64 else value
