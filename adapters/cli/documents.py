"""`gateway documents`: documents that declarations owe, requests for them, and arrivals (docs/reform.md,
R3, R4)."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from adapters.cli import chinese
from adapters.cli.exit_codes import NO
from adapters.cli.output import (
    HomeOption,
    JsonOption,
    LangOption,
    Language,
    LimitOption,
    Listing,
    Vocabulary,
    fail,
    opened,
    reading,
    say_fields,
    say_json,
    say_rows,
)
from adapters.home.clock import utc_now
from adapters.store.read.documents_due import list_owed, show_owed
from gateway.model.reform import Due, ReformPolicy, sources, sources_zh
from gateway.model.states import CUSTOMS_STATUSES_ZH

_DUE: Final = {Due.WITH: "随报关单提交", Due.AFTER_RELEASE: "放行后补交", Due.KEPT: "企业存单"}

app = typer.Typer(cls=Listing, help="Documents that declarations owe.")


@app.command("list")
def list_(
    home: HomeOption,
    lang: LangOption,
    open_: Annotated[
        bool, typer.Option("--open", help="Only if documents are to follow, or customs asks for some.")
    ] = False,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only past the deadline.")] = False,
    account: Annotated[str | None, typer.Option(help="Only declarations of this account.")] = None,
    limit: LimitOption = 100,
    as_json: JsonOption = False,
) -> None:
    """List the documents that accepted declarations owe, and when they are due, newest last.

    Example: gateway documents list --overdue --home /srv/gateway
    """
    with reading(home) as reader:
        rows = list_owed(reader, utc_now(), only_open=open_, overdue=overdue, account=account, limit=limit)
    columns = ("reference", "account", "entry_id", "customs_status", "due", "missing", "due_at", "reminded")
    if not as_json:
        # A declaration that owes nothing has no due date, for instance one on paper.
        rows = [{**row, "due": row["due"] if row["documents"] else None} for row in rows]
    say_rows(rows, columns, as_json=as_json, lang=lang, words=_words(home, lang))


@app.command()
def show(
    number: Annotated[
        str, typer.Argument(help="Message id, reference, SeqNo or entry number; the newest of several.")
    ],
    home: HomeOption,
    lang: LangOption,
    as_json: JsonOption = False,
) -> None:
    """Show the documents that one declaration owes, the requests to its parties, and what has arrived.

    Example: gateway documents show 020220261000000001 --home /srv/gateway
    """
    with reading(home) as reader:
        owed = show_owed(reader, number, utc_now())
    if owed is None:
        fail(NO, f"no accepted declaration is known by {number}")
    if as_json:
        say_json(owed)
        return
    in_zh = lang is Language.ZH
    fields = {name: value for name, value in owed.items() if name not in ("requests", "packages")}
    if not in_zh:  # a source may contain commas
        fields["sources"] = "; ".join(owed["sources"])
    say_fields(fields, lang=lang, words=_words(home, lang))
    for title, zh, columns, words in (
        ("requests", "补交单证通知", ("at", "why", "documents", "due_at", "note", "told_at"), chinese.ASKED),
        (
            *("packages", "单证包"),
            ("received_at", "id", "account", "name", "state", "documents"),
            chinese.MESSAGE,
        ),
    ):
        if owed[title]:
            typer.echo(f"\n{zh if in_zh else title}")
            say_rows(owed[title], columns, as_json=False, lang=lang, words=words)


def _words(home: Path, lang: Language) -> Vocabulary:
    if lang is Language.EN:
        return Vocabulary()
    with opened(home) as base:
        return _owed(base.policy().reform)


def _owed(policy: ReformPolicy) -> Vocabulary:
    """Names of documents and announcements, from the policy."""
    rows = (*policy.demand, *policy.due)
    announced = {sources([row]): sources_zh([row]) for row in rows}

    def named(codes: Any) -> object:
        called = {code: f"{name.zh}（{code}）" for code, name in policy.documents.items()}
        return "、".join(called.get(code, code) for code in codes)

    return Vocabulary(
        {
            "customs_status": chinese.translated_by(CUSTOMS_STATUSES_ZH),
            "due": chinese.translated_by(_DUE),
            "documents": named,
            "missing": named,
            "sources": lambda listed: "；".join(announced.get(each, each) for each in listed),
        },
        {"id": "报文号"},
    )
