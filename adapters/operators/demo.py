"""`gateway demo`: a home, a running node and real SFTP sessions, from nothing to receipts in one command."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import paramiko
import typer
from rich.progress import Progress
from rich.table import Table
from sqlalchemy import select

from adapters.assemble import utc_now
from adapters.founding import found
from adapters.home import Home
from adapters.operators.output import NO, LangOption, Language, cell, console
from adapters.operators.samples import Sample, read_samples
from adapters.stores.database import sqlite_engine
from adapters.stores.tables import messages
from gateway import xml
from gateway.submission import NAMESPACE

WITHIN: Final = 60.0  # seconds for one declaration, on a machine that is busy with other things

_HEADS: Final[Mapping[Language, tuple[str, ...]]] = {
    Language.EN: ("", "declaration", "account", "gateway", "customs", "receipts in InBox"),
    Language.ZH: ("", "报关单", "账户", "网关", "海关", "InBox 中的回执"),
}


@dataclass(frozen=True, slots=True)
class _Course:
    """What came back for one sample, as its sender sees it and as the store has it."""

    verdict: str
    customs_status: str
    receipts: list[str]

    def as_expected(self, sample: Sample) -> bool:
        return (self.verdict, self.customs_status) == (sample.verdict, sample.customs_status)


def demo(lang: LangOption = Language.EN) -> None:
    """Show the whole way: start a gateway, send the shipped samples over SFTP, print the receipts.

    Everything is made in a temporary folder and gone afterwards. Ends with 0 only if every receipt is as
    expected.

    Example: gateway demo --lang zh
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in _HEADS[lang]:
        table.add_column(head, overflow="fold")
    good = True
    samples = read_samples()
    with TemporaryDirectory() as folder, Progress(transient=True) as progress:
        task = progress.add_task("…", total=len(samples) + 1)
        home = found(Path(folder) / "home", 0, utc_now())
        with _serving(home) as address:
            progress.advance(task)
            for sample in samples:
                progress.update(task, description=sample.package)
                course = _send(home, address, sample)
                met = course.as_expected(sample)
                good = good and met
                table.add_row(
                    "✓" if met else "✗",
                    cell(sample.zh if lang is Language.ZH else sample.en),
                    sample.account,
                    course.verdict,
                    course.customs_status,
                    "\n".join(course.receipts),
                )
                progress.advance(task)
    console().print(table)
    if not good:
        raise typer.Exit(NO)


@contextmanager
def _serving(home: Home) -> Iterator[tuple[str, int]]:
    """A node in a process of its own, as an administrator would start it."""
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


def _send(home: Home, address: tuple[str, int], sample: Sample) -> _Course:
    client = home.path / "clients" / sample.account
    with paramiko.SSHClient() as session:
        session.load_host_keys(str(client / "known_hosts"))
        session.connect(
            *address,
            username=sample.account,
            key_filename=str(client / "id_ed25519"),
            allow_agent=False,
            look_for_keys=False,
        )
        with session.open_sftp() as sftp:
            # As brokers' software does: an unfinished name, then a rename.
            sftp.put(str(sample.path(home.path)), f"/OutBox/{sample.package}.tmp")
            sftp.rename(f"/OutBox/{sample.package}.tmp", f"/OutBox/{sample.package}")
            return _await(home, sftp, sample)


def _await(home: Home, sftp: paramiko.SFTPClient, sample: Sample) -> _Course:
    base = sample.package.rsplit(".", 1)[0]
    until = time.monotonic() + WITHIN
    while True:
        status = _customs_status(home, sample.package)  # first, so that its receipts are there
        told = [_told(sftp, name) for name in sftp.listdir("/InBox") if f"_{base}_" in name]
        verdict = next((line.verdict for line in told if line.verdict), "-")
        course = _Course(verdict, status, [line.shown for line in told])
        if course.as_expected(sample) or time.monotonic() > until:
            return course
        time.sleep(0.1)


@dataclass(frozen=True, slots=True)
class _Line:
    """One receipt in a line: what it is and what it says. `verdict` is that of a gateway receipt."""

    shown: str
    verdict: str = ""


def _told(sftp: paramiko.SFTPClient, name: str) -> _Line:
    prefix = name.split("_", 1)[0]
    with sftp.open(f"/InBox/{name}") as file:
        root = xml.parse(file.read())
    if prefix == "Gateway":
        verdict = root.findtext(f"{{{NAMESPACE}}}Verdict") or "-"
        rules = [fault.get("rule") or fault.get("code") for fault in root.iter(f"{{{NAMESPACE}}}Fault")]
        return _Line(" ".join(filter(None, [prefix, verdict, *rules])), verdict)
    # What customs says in its own words: number or channel, and the note.
    said = [root.findtext(f"{{*}}{tag}") or root.findtext(tag) for tag in ("SeqNo", "CHANNEL", "NOTE")]
    return _Line(" ".join(filter(None, [prefix, *said])))


def _customs_status(home: Home, package: str) -> str:
    engine = sqlite_engine(home.database, read_only=True)
    with engine.connect() as reader:
        status = reader.execute(
            select(messages.c.customs_status).where(messages.c.name == package)
        ).scalar_one_or_none()
    engine.dispose()
    return str(status)
