"""Output of commands (docs/for-operators.md, "Commands"): tables for people, JSON for scripts, exit codes."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError
from typer.core import TyperGroup

from adapters.cli.chinese_heads import HEADS
from adapters.cli.exit_codes import NO, UNREACHABLE, USAGE
from adapters.cli.tables import in_words, instant, laid_out
from adapters.home.home import Home, HomeLocked, NotAHome
from gateway.config.bad_settings import BadSettings
from gateway.model.faults import JudgementDeferred, printable


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Chinese words for the values of fields, by field name, and for fields whose heading differs from the
    usual one (`adapters/cli/chinese.py`)."""

    words: Mapping[str, Callable[[Any], object]] = field(default_factory=dict)
    heads: Mapping[str, str] = field(default_factory=dict)


class Language(StrEnum):
    ZH = "zh"
    EN = "en"


_PLAIN: Final = Vocabulary()
_ZONES: Final = {Language.ZH: "北京时间", Language.EN: "UTC+8"}


class Listing(TyperGroup):
    """A group whose `list` may be left out: `gateway parties --json` is `gateway parties list --json`."""

    left_out = "list"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        bare = not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)
        completing = ctx.resilient_parsing  # then the shell asks for completions only
        return super().parse_args(ctx, [self.left_out, *args] if bare and not completing else args)


HomeOption = Annotated[
    Path,
    typer.Option(
        "--home", envvar="GATEWAY_HOME", help="The home that `gateway init` made.", show_default=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON for scripts instead of a table.")]


def spoken() -> Language:
    """The user's language, from the usual environment variables."""
    locale = next(filter(None, map(os.environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), "")
    return Language.ZH if locale.startswith("zh") else Language.EN


LangOption = Annotated[
    Language,
    typer.Option(
        "--lang",
        default_factory=spoken,
        show_default="zh where LANG is zh_…, else en",
        help="Language of tables and messages.",
    ),
]
LimitOption = Annotated[
    int,
    typer.Option("--limit", min=0, max=10_000_000, help="Show at most this many, the newest; 0 shows all."),
]


def said_why(reason: str) -> str:
    if not reason.strip():
        raise typer.BadParameter("it must say why", param_hint="'--reason'")
    return reason


ReasonOption = Annotated[
    str, typer.Option(help="Reason; kept in the trace.", show_default=False, callback=said_why)
]


def console() -> Console:
    # A pipe gets wide lines instead of wrapped cells, so that `grep` works.
    return Console(width=None if sys.stdout.isatty() else 1000, highlight=False)


def say_json(value: object) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def say_rows(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    *,
    as_json: bool,
    lang: Language = Language.EN,
    words: Vocabulary = _PLAIN,
) -> None:
    """Prints an array in JSON, or a table of the named columns. A sender's text is escaped for the terminal.
    A terminal gets times in China, a pipe full instants. `words` are the Chinese words of the columns."""
    if as_json:
        say_json(list(rows))
        return
    heads = [head(column, lang, words) for column in columns]
    shown = [[_word(column, row[column], lang, words) for column in columns] for row in rows]
    if sys.stdout.isatty():
        for line in laid_out(shown, heads, console().width, _ZONES[lang]):
            typer.echo(line)
    else:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for each in heads:
            table.add_column(each, overflow="fold")
        for values in shown:
            table.add_row(*(cell(value) for value in values))
        console().print(table)
    if not rows:
        typer.echo("（无）" if lang is Language.ZH else "(none)")


def say_fields(
    fields: Mapping[str, Any],
    *,
    lang: Language = Language.EN,
    words: Vocabulary = _PLAIN,
    width: int = 15,
) -> None:
    """Prints a line for each field, preceded by its name."""
    for name, value in fields.items():
        called = head(name, lang, words)
        blank = " " * (width - cell_len(called))
        console().print(f"{blank}{called}  ", cell(_word(name, value, lang, words), lang), sep="")


def head(name: str, lang: Language, words: Vocabulary = _PLAIN) -> str:
    """The heading of a field. A name without a Chinese word stays unchanged."""
    if lang is Language.EN:
        return name.replace("_", " ")
    return words.heads.get(name) or HEADS.get(name, name)


def _word(name: str, value: object, lang: Language, words: Vocabulary) -> object:
    if lang is Language.EN or value is None:
        return value
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, dict):
        return {head(key, lang): _word(key, each, lang, words) for key, each in value.items()}
    return words.words[name](value) if name in words.words else value


def cell(value: object, lang: Language = Language.EN) -> Text:
    if sys.stdout.isatty() and instant(value) is not None:
        zone = _ZONES[lang]
        return Text(f"{zone} {in_words(value)}" if lang is Language.ZH else f"{in_words(value)} {zone}")
    return Text(printable(value) if isinstance(value, str) and value else in_words(value))


def fail(code: int, text: str) -> NoReturn:
    # Line breaks stay; other control characters are escaped, since the text may contain names from others.
    shown = "\n".join(printable(line, 4000) for line in text.split("\n"))
    typer.echo(f"gateway: {shown}", err=True)
    raise typer.Exit(code)


class No(Exception):
    """The answer is no; the text says why."""


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turns the expected errors of a home into one sentence and an exit code."""
    try:
        yield
    except No as error:
        fail(NO, str(error))
    except (NotAHome, BadSettings) as error:
        fail(USAGE, str(error))
    except HomeLocked as error:
        fail(UNREACHABLE, str(error))
    except JudgementDeferred as error:
        fail(UNREACHABLE, f"not now: {error}")
    except OperationalError as error:
        fail(UNREACHABLE, f"the store cannot be opened: {error.orig}")
    except UnicodeEncodeError:
        fail(USAGE, "what was given is no text in UTF-8")
    except OSError as error:
        if error.errno is None:  # not an error of the operating system
            raise
        # For instance a full or read-only disk, missing permissions, or an address in use.
        where = "" if error.filename is None else f"{error.filename}: "
        fail(UNREACHABLE, f"{where}{error.strerror or error}")


@contextmanager
def opened(path: Path) -> Iterator[Home]:
    """How a command on a home begins: errors inside end it with an exit code."""
    with exit_codes():
        yield Home(path).checked()


@contextmanager
def reading(path: Path) -> Iterator[Connection]:
    """How a command begins that only reads the store of a home."""
    with opened(path) as home, home.reading() as reader:
        yield reader
