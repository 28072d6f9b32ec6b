"""`gateway demo`: a home, a running node and real SFTP sessions, from nothing to receipts in one command."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import typer
from rich.progress import Progress
from rich.table import Table

from adapters.cli.exit_codes import NO
from adapters.cli.init.init import create_home
from adapters.cli.init.samples import FURTHER_PARTY, read_samples
from adapters.cli.output import LangOption, Language, cell, console
from adapters.home.clock import utc_now
from adapters.home.file_modes import private
from adapters.home.home import Home
from adapters.home.parties_toml import read_parties
from adapters.store.write.parties import SqlParties
from gateway.model.states import CUSTOMS_STATUSES_ZH
from gateway.operate.parties import import_parties

if TYPE_CHECKING:
    from adapters.cli.demo.story import Course

_HEADS: Final[Mapping[Language, tuple[str, ...]]] = {
    Language.EN: ("", "declaration", "account", "gateway", "customs", "receipts in InBox"),
    Language.ZH: ("", "报关单", "账户", "网关", "海关", "InBox 中的回执"),
}


def demo(lang: LangOption) -> None:
    """Demonstrate six declarations: start a gateway, send them over SFTP, print what came back.

    Released automatically, supplemented, inspected, waiting for an agency agreement, refused for the
    enterprise's class, in transit. Everything is created in a temporary folder and removed afterwards. Exits
    with 0 only if every declaration took the expected course.

    Example: gateway demo --lang zh
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in _HEADS[lang]:
        table.add_column(head, overflow="fold")
    good = True
    # Imported late, so that other commands start without these libraries.
    from adapters.cli.demo.story import play

    story = [sample for sample in read_samples() if sample.story]
    with private(), TemporaryDirectory() as folder, Progress(transient=True) as progress:
        task = progress.add_task("…", total=len(story) + 1)
        home = create_home(Path(folder) / "home", 0, utc_now())
        _register(home, home.path / "samples" / FURTHER_PARTY)
        with _serving(home) as address:
            progress.advance(task)
            for sample in story:
                progress.update(task, description=sample.package)
                course = play(home, address, sample, lang)
                met = course.as_expected(sample)
                good = good and met
                table.add_row(
                    "✓" if met else "✗",
                    cell(sample.zh if lang is Language.ZH else sample.en),
                    sample.account,
                    *_ended(course, lang),
                    "\n".join(course.lines),
                )
                progress.advance(task)
    console().print(table)
    if not good:
        raise typer.Exit(NO)


def _ended(course: "Course", lang: Language) -> tuple[str, str]:
    """The gateway's verdict, and the last status at customs."""
    from adapters.cli.demo.story import VERDICTS_ZH

    if lang is Language.EN:
        return course.verdict, course.customs_status
    statuses = {status.value: zh for status, zh in CUSTOMS_STATUSES_ZH.items()}
    return (
        VERDICTS_ZH.get(course.verdict, course.verdict),
        statuses.get(course.customs_status, course.customs_status),
    )


def _register(home: Home, file: Path) -> None:
    """Registers the party that one of the samples needs and a new home lacks."""
    records, now = read_parties(file), utc_now()
    with home.store() as database:
        import_parties(SqlParties(database), records, "demo", "story", now)


@contextmanager
def _serving(home: Home) -> Iterator[tuple[str, int]]:
    """Runs a node in its own process, as an administrator would start it; yields its SFTP address."""
    command = [sys.executable, "-m", "cli", "serve", "--home", str(home.path)]
    log = home.path / "serve.log"
    with log.open("wb") as stderr:
        node = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr)  # noqa: S603  our own command
    try:
        assert node.stdout is not None  # noqa: S101  a pipe was asked for
        line = node.stdout.readline()
        if not line:
            raise RuntimeError(f"the node did not start: {log.read_text()[-2000:]}")
        host, port = json.loads(line)["sftp"].rsplit(":", 1)
        yield host, int(port)
    finally:
        node.terminate()
        node.wait()
