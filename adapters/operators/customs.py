"""`gateway customs`: the review by hand of the customs sandbox."""

import getpass
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from adapters.assemble import utc_now
from adapters.backends.reference import reviews
from adapters.backends.reference.courses import Act
from adapters.backends.reference.ledger import Ledger
from adapters.operators.output import (
    NO,
    UNREACHABLE,
    HomeOption,
    JsonOption,
    fail,
    opened,
    say_json,
    say_rows,
    told,
)
from gateway.faults import printable

app = typer.Typer(no_args_is_help=True, help="The customs sandbox: what waits there for a person to decide.")


@app.command()
def queue(home: HomeOption, as_json: JsonOption = False) -> None:
    """Declarations that wait in the customs sandbox, the longest first, and for what.

    Example: gateway customs queue --home /srv/gateway
    """
    with told(), _ledgers(home) as ledgers:
        waiting = [each for ledger in ledgers for each in ledger.waiting()]
    rows = [
        {
            "key": each.taken.key,
            "reference": each.taken.reference,
            "entry_id": each.taken.entry_id,
            "office": reviews.facts_of(each).get("office", ""),
            "status": each.waits.value,
            "since": each.since.isoformat(),
        }
        for each in waiting
    ]
    say_rows(rows, ("key", "reference", "entry_id", "office", "status", "since"), as_json=as_json)


@app.command()
def decide(
    key: Annotated[str, typer.Argument(help="The key that stands in the queue.")],
    act: Annotated[Act, typer.Argument(help="What is decided.")],
    home: HomeOption,
    reason: Annotated[str, typer.Option(help="Why; the declarant is told.", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Decide a declaration that waits in the customs sandbox. Ends with 1 where it does not wait there.

    A running node hears the answers at once. A release and a return take it out of the queue.

    Example: gateway customs decide 01JD0000000000000000000000 release --reason "in order" --home /srv/gateway
    """
    actor, now = getpass.getuser(), utc_now()
    with told(), _ledgers(home) as ledgers:
        for ledger in ledgers:
            try:
                reviews.decide(ledger, key, act, actor=actor, reason=printable(reason), now=now)
            except reviews.NotInQueue:
                continue
            break
        else:
            fail(NO, f"{printable(key)} does not wait in the customs sandbox; see: gateway customs queue")
    if as_json:
        say_json({"key": key, "act": act, "actor": actor, "at": now.isoformat()})
    else:
        typer.echo(f"{key}: {act}")


@contextmanager
def _ledgers(path: Path) -> Iterator[Sequence[Ledger]]:
    """Of every customs sandbox of the home that was ever served."""
    home = opened(path)
    books = [home.path / "backends" / name / "customs.db" for name in home.settings().backend]
    try:
        with ExitStack() as stack:
            yield [stack.enter_context(closing(Ledger(book, utc_now))) for book in books if book.is_file()]
    except sqlite3.OperationalError as error:
        fail(UNREACHABLE, f"the ledger of the customs sandbox cannot be used: {error}")
