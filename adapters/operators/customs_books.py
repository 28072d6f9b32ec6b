"""The ledgers of the customs sandboxes of a home, for the commands that work beside a running node."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from adapters.assemble import utc_now
from adapters.backends.reference.ledger import Ledger
from adapters.home import Home
from adapters.operators.output import UNREACHABLE, USAGE, fail, opened

BackendOption = Annotated[
    str, typer.Option(help="Which customs sandbox, where the home has several.", show_default=False)
]


@contextmanager
def ledgers(path: Path) -> Iterator[Sequence[Ledger]]:
    """Of every customs sandbox of the home that was ever served."""
    home = opened(path)
    books = [_book(home, name) for name in home.settings().backend]
    with _told(), ExitStack() as stack:
        yield [stack.enter_context(closing(Ledger(book, utc_now))) for book in books if book.is_file()]


@contextmanager
def ledger(path: Path, backend: str) -> Iterator[Ledger]:
    """Of one customs sandbox, served or not yet; `backend` may be empty where there is only one."""
    home = opened(path)
    names = [
        name
        for name, settings in home.settings().backend.items()
        if settings.kind == "reference" or _book(home, name).is_file()
    ]
    if backend and backend not in names:
        fail(USAGE, f"{backend} is no customs sandbox of this home; there is: {', '.join(names) or 'none'}")
    if not backend and len(names) != 1:
        fail(USAGE, f"which customs sandbox? Name it with --backend: {', '.join(names) or 'there is none'}")
    book = _book(home, backend or names[0])
    book.parent.mkdir(parents=True, exist_ok=True)
    with _told(), closing(Ledger(book, utc_now)) as found:
        yield found


def _book(home: Home, backend: str) -> Path:
    return home.path / "backends" / backend / "customs.db"


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        fail(UNREACHABLE, f"the ledger of the customs sandbox cannot be used: {error}")
