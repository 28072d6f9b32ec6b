"""How commands speak: tables for people, JSON for scripts, and exit codes (CONTRACT.md, "Command line")."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from sqlalchemy.exc import OperationalError
from typer.core import TyperGroup

from adapters.differing import differing
from adapters.home import Home, HomeLocked, NotAHome
from adapters.operators.tables import in_words, instant, laid_out
from gateway.faults import Deferred, printable
from gateway.settings import BadSettings

NO: Final = 1  # the answer is no
USAGE: Final = 2
UNREACHABLE: Final = 3  # the home is locked, or a server cannot be reached
INTERNAL: Final = 4
WAITS: Final = 5  # written down, for a second person to approve


class Language(StrEnum):
    ZH = "zh"
    EN = "en"


class Listing(TyperGroup):
    """A group whose `list` may be left out: `gateway parties --json` is `gateway parties list --json`."""

    left_out = "list"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        bare = not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)
        completing = ctx.resilient_parsing  # then what may follow is asked for, not done
        return super().parse_args(ctx, [self.left_out, *args] if bare and not completing else args)


HomeOption = Annotated[
    Path,
    typer.Option(
        "--home", envvar="GATEWAY_HOME", help="The home that `gateway init` made.", show_default=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON for scripts instead of a table.")]
LangOption = Annotated[Language, typer.Option("--lang", help="Language of sentences.")]
LimitOption = Annotated[
    int, typer.Option("--limit", min=0, max=10_000_000, help="The newest so many; 0 shows all.")
]


def console() -> Console:
    # A pipe gets wide lines instead of wrapped cells, so that `grep` works.
    return Console(width=None if sys.stdout.isatty() else 1000, highlight=False)


def say_json(value: object) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def say_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """An array in JSON, or a table of the named columns. Nothing of a sender's reaches the terminal raw. A
    terminal gets times in China, a pipe full instants."""
    if as_json:
        say_json(list(rows))
        return
    if sys.stdout.isatty():
        for line in laid_out(rows, columns, console().width):
            typer.echo(line)
        if not rows:
            typer.echo("(none)")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(cell(row[column]) for column in columns))
    console().print(table)
    if not rows:
        typer.echo("(none)")


def cell(value: object) -> Text:
    if sys.stdout.isatty() and instant(value) is not None:
        return Text(f"{in_words(value)} UTC+8")
    return Text(printable(value) if isinstance(value, str) and value else in_words(value))


def fail(code: int, text: str) -> NoReturn:
    # A line for each of them, but nothing else that a terminal would obey: it may name what others named.
    shown = "\n".join(printable(line, 4000) for line in text.split("\n"))
    typer.echo(f"gateway: {shown}", err=True)
    raise typer.Exit(code)


@contextmanager
def told() -> Iterator[None]:
    """Turns what can go wrong with a home into one sentence and an exit code."""
    try:
        yield
    except (NotAHome, BadSettings) as error:
        fail(USAGE, str(error))
    except HomeLocked as error:
        fail(UNREACHABLE, str(error))
    except Deferred as error:
        fail(UNREACHABLE, f"not now: {error}")
    except OperationalError as error:
        fail(UNREACHABLE, f"the store cannot be opened: {error.orig}")
    except UnicodeEncodeError:
        fail(USAGE, "what was given is no text in UTF-8")
    except OSError as error:
        if error.errno is None:  # none of the system's
            raise
        # A disk that is full or read-only, rights that are missing, an address that is taken.
        where = "" if error.filename is None else f"{error.filename}: "
        fail(UNREACHABLE, f"{where}{error.strerror or error}")


def opened(path: Path) -> Home:
    return Home(path).checked()


def warn_of_differing(home: Home) -> None:
    """On standard error, before something is said or done by the files: that the node runs by others."""
    try:
        different = differing(home)
    except (BadSettings, OSError) as error:
        different = f"what the node runs by cannot be compared with the files: {error}"
    if different:
        typer.echo(f"gateway: {printable(different, 1000)}", err=True)
