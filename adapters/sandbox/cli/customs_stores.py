"""The ledgers of a home's customs sandboxes, for commands that work beside a running node."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from adapters.cli.exit_codes import UNREACHABLE, USAGE
from adapters.cli.output import fail
from adapters.home.clock import utc_now
from adapters.home.file_modes import private
from adapters.home.home import Home
from adapters.sandbox.customs.customs import BOOK
from adapters.sandbox.customs.ledger import Ledger

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home", envvar="GATEWAY_HOME", help="The home that `gateway init` made.", show_default=False
    ),
]
FolderOption = Annotated[
    Path | None,
    typer.Option(
        "--folder",
        help="Instead of a home: the folder of a customs sandbox that is served without one.",
        show_default=False,
    ),
]
BackendOption = Annotated[
    str, typer.Option(help="Which customs sandbox, if the home has several.", show_default=False)
]


@contextmanager
def ledgers(home: Path | None, folder: Path | None) -> Iterator[Sequence[Ledger]]:
    """The ledgers of all customs sandboxes of the home, or behind the folder, that were ever served."""
    books = _stores(home, folder).values()
    with _exit_codes(), ExitStack() as stack:
        yield [stack.enter_context(closing(Ledger(path, utc_now))) for path in books if path.is_file()]


@contextmanager
def ledger(home: Path | None, folder: Path | None, backend: str) -> Iterator[Ledger]:
    """The ledger of one customs sandbox, served or not; `backend` may be empty if there is only one."""
    books = _stores(home, folder)
    if backend and backend not in books:
        fail(USAGE, f"{backend} is no customs sandbox of this home; there is: {', '.join(books) or 'none'}")
    if not backend and len(books) != 1:
        fail(USAGE, f"which customs sandbox? Name it with --backend: {', '.join(books) or 'there is none'}")
    path = books[backend or next(iter(books))]
    with _exit_codes(), nullcontext() if home is None else private():
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(Ledger(path, utc_now)) as opened:
            yield opened


def _stores(home: Path | None, folder: Path | None) -> dict[str, Path]:
    """The ledger files of the customs sandboxes, by the name of the back-end; some may not exist yet."""
    if folder is not None:
        if not folder.is_dir():
            fail(USAGE, f"{folder} is no folder")
        return {folder.name: folder / "customs" / BOOK}
    if home is None:
        fail(USAGE, "needs --home, or --folder")
    base = Home(home).checked()
    books = {name: base.path / "backends" / name / BOOK for name in base.settings().backend}
    kinds = base.settings().backend
    # Customs behind a folder may be another system, which has no ledger here.
    return {name: path for name, path in books.items() if kinds[name].kind == "reference" or path.is_file()}


@contextmanager
def _exit_codes() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        fail(UNREACHABLE, f"the ledger of the customs sandbox cannot be used: {error}")
