"""`gateway parties`: the register of parties."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from adapters.cli import chinese
from adapters.cli.exit_codes import NO
from adapters.cli.output import (
    HomeOption,
    JsonOption,
    LangOption,
    Language,
    LimitOption,
    Listing,
    cell,
    console,
    exit_codes,
    fail,
    head,
    opened,
    reading,
    say_fields,
    say_json,
    say_rows,
)
from adapters.cli.parties.keys import PartyArgument, ReasonOption, keys
from adapters.cli.parties.text import differences, row, whole, words
from adapters.home.actor import actor
from adapters.home.clock import utc_now
from adapters.home.home import Home
from adapters.home.key_files import BadFile, read_keys
from adapters.home.parties_csv import read_table
from adapters.home.parties_toml import read_parties
from adapters.home.party_fields import read_cells, wrong
from adapters.store.read.parties import registered
from adapters.store.write.parties import SqlParties, changes_of
from gateway.config.bad_settings import BadSettings
from gateway.model.china import china_date
from gateway.model.parties import PartyChange, Role, TraderClass, named
from gateway.operate.parties import add_party, import_parties
from gateway.operate.party_changes import NotPossible

app = typer.Typer(cls=Listing, help="The parties: traders, brokers, association, customs, premises.")

app.command()(keys)


@app.command("list")
def list_(home: HomeOption, lang: LangOption, limit: LimitOption = 100, as_json: JsonOption = False) -> None:
    """List registered parties with the class in force today, newest last.

    Example: gateway parties list --home /srv/gateway
    """
    with reading(home) as reader:
        register = registered(reader)
    rows = [row(party, china_date(utc_now())) for party in register.values()][-limit:]
    columns = ("account", "code", "scc", "name", "class", "role")
    say_rows(rows, columns, as_json=as_json, lang=lang, words=chinese.PARTY)


@app.command()
def show(name: PartyArgument, home: HomeOption, lang: LangOption, as_json: JsonOption = False) -> None:
    """Show everything registered about one party, and every change; keys by their fingerprints only.

    Example: gateway parties show broker-aa --home /srv/gateway
    """
    with reading(home) as reader:
        party = named(registered(reader), name) or fail(NO, f"no party is known by {name}")
        history = changes_of(reader, party.code)
    today = china_date(utc_now())
    shown = whole(party, today) | {
        "changes": [
            {**done, "at": done["at"].isoformat(), "changes": differences(change, today)}
            for done, change in history
        ]
    }
    if as_json:
        say_json(shown)
        return
    in_zh = lang is Language.ZH
    fields = {name: words(value, lang) for name, value in shown.items() if name != "changes"}
    say_fields(fields, lang=lang, words=chinese.PARTY, width=22)
    for done in shown["changes"]:
        what = ("、" if in_zh else ", ").join(head(each["field"], lang) for each in done["changes"])
        what = what or ("登记" if in_zh else "added")
        by = f"{done['at']} {done['actor']}"
        told_of = f"{by}：{what}（{done['reason']}）" if in_zh else f"{by}: {what} ({done['reason']})"
        say_fields({"changed": told_of}, lang=lang, width=22)


@app.command()
def add(
    home: HomeOption,
    code: Annotated[str, typer.Option(help="Customs code, 10 characters.", show_default=False)],
    scc: Annotated[str, typer.Option(help="Social credit code, 18 characters.", show_default=False)],
    name: Annotated[str, typer.Option(help="Name as registered.", show_default=False)],
    role: Annotated[
        str,
        typer.Option(help=f"Its role: {', '.join(Role)}; several separated by commas.", show_default=False),
    ],
    class_: Annotated[
        TraderClass | None, typer.Option("--class", help="Class of a trader or broker.")
    ] = None,
    since: Annotated[
        str, typer.Option(help="First day of that class; without it the class has no first day.")
    ] = "",
    account: Annotated[str, typer.Option(help="User name for log-ins.")] = "",
    key: Annotated[Path | None, typer.Option(help="OpenSSH public key file of the account.")] = None,
    reason: ReasonOption = "add",
    as_json: JsonOption = False,
) -> None:
    """Register a party.

    Example: gateway parties add --code 1207960404 --scc 91120116MADEM0C186 --name 某公司 --role trader
    """
    cells = {"code": code, "scc": scc, "name": name, "role": role, "class": class_ or "", "since": since}
    with exit_codes():
        if key is not None and not account:
            raise BadSettings("--key is of an account; name it with --account")
        try:
            keys = () if key is None else read_keys(key, str(key))
            record = read_cells("add", cells | {"account": account}, keys)
        except ValidationError as error:
            raise BadSettings("\n".join(wrong("add", error))) from None
        except BadFile as error:
            raise BadSettings(str(error)) from None
        base = Home(home).checked()
        try:
            with base.store() as database:
                add_party(SqlParties(database), record, actor(), reason, utc_now())
        except NotPossible as error:
            fail(NO, str(error))
        with base.reading() as reader:
            party = registered(reader)[code]
    if as_json:
        say_json(row(party, china_date(utc_now())))
    else:
        typer.echo(f"{party.code} is registered")


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(help="A file like parties.toml, or a CSV table (*.csv).", exists=True, dir_okay=False),
    ],
    home: HomeOption,
    lang: LangOption,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change; change nothing.")
    ] = False,
    reason: ReasonOption = "",
    as_json: JsonOption = False,
) -> None:
    """Add and change the parties that a file names; all of them, or none. Others are not changed.

    A class that differs from the one in force begins today, or on the day given in the file; the old one ends
    the day before. Keys and certificates are added, never removed (use `gateway parties keys`).

    Example: gateway parties import parties.csv --dry-run --home /srv/gateway
    """
    now = utc_now()
    with opened(home) as base:
        records = read_table(file) if file.suffix.lower() == ".csv" else read_parties(file)
        why = reason or f"import {file.name}"
        with base.store() as database:
            changes = import_parties(SqlParties(database), records, actor(), why, now, dry_run=dry_run)
    report = _report(changes, dry_run=dry_run)
    if as_json:
        say_json(report)
    else:
        _tell(report, lang)


def _report(changes: Sequence[PartyChange], *, dry_run: bool) -> dict[str, Any]:
    today = china_date(utc_now())

    def shown(change: PartyChange) -> dict[str, Any]:
        return {"code": change.after.code, "name": change.after.name}

    return {
        "dry_run": dry_run,
        "added": [shown(each) for each in changes if each.before is None],
        "changed": [
            {**shown(each), "changes": differences(each, today)}
            for each in changes
            if each.before is not None and each.before != each.after
        ],
        "unchanged": [shown(each) for each in changes if each.before == each.after],
    }


def _tell(report: dict[str, Any], lang: Language) -> None:
    in_zh = lang is Language.ZH
    for outcome, zh in (("added", "新登记"), ("changed", "已变更"), ("unchanged", "无变化")):
        for party in report[outcome]:
            console().print(f"{zh if in_zh else outcome:<10}", cell(f"{party['code']}  {party['name']}"))
            for change in party.get("changes", ()):
                before, after = words(change["before"], lang), words(change["after"], lang)
                changed = f"{head(change['field'], lang)}{'：' if in_zh else ': '}{before} → {after}"
                console().print(" " * 12, cell(changed))
    if report["dry_run"]:
        typer.echo("仅试算（--dry-run），未作变更" if in_zh else "nothing was changed: --dry-run")
