"""`gateway customs`: manual review in the customs sandbox."""

from collections.abc import Sequence
from typing import Annotated

import typer

from adapters.cli import chinese
from adapters.cli.exit_codes import NO
from adapters.cli.output import JsonOption, LangOption, Language, exit_codes, fail, say_json, say_rows
from adapters.home.actor import actor
from adapters.home.clock import utc_now
from adapters.sandbox.cli import customs_ledgers, customs_serve
from adapters.sandbox.cli.customs_stores import FolderOption, HomeOption, ledgers
from adapters.sandbox.customs import reviews
from adapters.sandbox.customs.decisions import OfficerAct
from adapters.sandbox.customs.ledger import Ledger
from gateway.model.faults import printable

app = typer.Typer(
    no_args_is_help=True, help="The customs sandbox: its queue, decisions, ledgers, and server."
)
app.add_typer(customs_ledgers.app, name="ledger")


@app.command()
def queue(
    lang: LangOption, home: HomeOption = None, folder: FolderOption = None, as_json: JsonOption = False
) -> None:
    """List the declarations that wait in the customs sandbox, for what and why; the longest wait first.

    Example: gateway customs queue --home /srv/gateway
    """
    with exit_codes(), ledgers(home, folder) as books:
        waiting = [each for ledger in books for each in ledger.waiting()]
    rows = [
        {
            "key": each.submission.key,
            "reference": each.submission.reference,
            "entry_id": each.submission.entry_id,
            "office": reviews.facts_of(each).get("office", ""),
            "status": each.waits.value,
            "since": each.since.isoformat(),
            "reason": each.reason,
        }
        for each in waiting
    ]
    columns = ("key", "reference", "entry_id", "office", "status", "since", "reason")
    say_rows(rows, columns, as_json=as_json, lang=lang, words=chinese.QUEUE)


@app.command()
def decide(
    number: Annotated[str, typer.Argument(help="Key, reference or entry number, as listed in the queue.")],
    act: Annotated[OfficerAct, typer.Argument(help="The decision.")],
    reason: Annotated[str, typer.Option(help="Reason; sent to the declarant.", show_default=False)],
    lang: LangOption,
    home: HomeOption = None,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decide a declaration that waits in the customs sandbox. Exits with 1 if it does not wait for this act.

    A running node receives the answers at once. docs/sandbox.md explains each act and when it is possible.

    Example: gateway customs decide 01JD0000000000000000000000 release --reason "in order" --home /srv/gateway
    """
    who, now = actor(), utc_now()
    with exit_codes(), ledgers(home, folder) as books:
        key = _key(books, number)
        for ledger in books:
            try:
                reviews.decide(ledger, key, act, actor=who, reason=printable(reason), now=now)
            except reviews.NotInQueue:
                continue
            except reviews.NotFitting as error:
                fail(NO, f"{printable(key)} {error}")
            break
        else:
            fail(NO, f"{printable(key)} does not wait in the customs sandbox; see: gateway customs queue")
    if as_json:
        say_json({"key": key, "act": act, "actor": who, "at": now.isoformat()})
    else:
        typer.echo(f"{key}：{chinese.DECISIONS[act]}" if lang is Language.ZH else f"{key}: {act}")


def _key(books: Sequence[Ledger], number: str) -> str:
    """The key of the declaration that waits under this key, reference or entry number; if none does, `number`
    itself. Exits with 1 if several wait under it, since parties choose references independently."""
    waiting = [each.submission for ledger in books for each in ledger.waiting()]
    keys = [each.key for each in waiting if number in (each.key, each.reference, each.entry_id)]
    if len(keys) > 1:
        fail(NO, f"{printable(number)}: several wait under it, so give one of the keys: {', '.join(keys)}")
    return keys[0] if keys else number


app.command()(customs_serve.serve)
