"""Plays one sample against a running node: sends it over SFTP, follows up, and reads its receipts."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import paramiko
from sqlalchemy import select

from adapters.cli.init.samples import FollowUp, Sample, read_follow_ups
from adapters.cli.output import Language
from adapters.home.home import Home
from adapters.store.tables.messages import messages
from gateway.formats import xml
from gateway.formats.submission import NAMESPACE

WITHIN: Final = 60.0  # seconds for one step, enough for a busy machine


@dataclass(frozen=True, slots=True)
class Course:
    """Result of a sample: the verdict of its final receipt, its last status at customs, and one line for each
    receipt in the sender's InBox and each act in between."""

    verdict: str
    customs_status: str
    lines: tuple[str, ...]

    def as_expected(self, sample: Sample) -> bool:
        return (self.verdict, self.customs_status) == (sample.verdict, sample.customs_status)


@dataclass(frozen=True, slots=True)
class _Line:
    """One receipt as a line of text: its kind and content. `verdict` is set for a final gateway receipt."""

    shown: str
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class _Stand:
    message: str
    state: str
    customs_status: str


# Kinds of files in an InBox, by the first part of the name, with their description.
_RECEIPTS_ZH: Final = {
    "Gateway": "网关回执",
    "Successed": "导入成功",
    "Failed": "导入失败",
    "Receipt": "海关回执",
    "Notice": "通知",
    "Request": "补交单证通知",
    "Agreement": "委托协议通知",
    "AgreementUse": "委托协议使用通知",
}
VERDICTS_ZH: Final = {"accepted": "已受理", "rejected": "已拒收", "waiting": "等待", "held": "暂停处理"}


def play(home: Home, address: tuple[str, int], sample: Sample, lang: Language) -> Course:
    """Sends the sample and, when it pauses, its follow-up. Receipts that arrive too late are left out."""
    with _session(home, address, sample.account) as sftp:
        _send(home, sftp, sample)
        lines: dict[str, str] = {}
        if sample.pauses:
            _until(lambda: sample.pauses in _reached(home, sample))
            lines |= {name: line.shown for name, line in _inbox(sftp, sample, lang).items()}
            lines["then"] = f"→ {_go_on(home, address, sample)}"
        _until(lambda: _course(home, sftp, sample, lines, lang).as_expected(sample))
        return _course(home, sftp, sample, lines, lang)


def _course(
    home: Home, sftp: paramiko.SFTPClient, sample: Sample, lines: dict[str, str], lang: Language
) -> Course:
    stand = _stand(home, sample)  # first, so that its receipts are there
    receipts = _inbox(sftp, sample, lang)
    verdict = next((line.verdict for line in receipts.values() if line.verdict), "-")
    shown = lines | {name: line.shown for name, line in receipts.items()}
    return Course(verdict, "-" if stand is None else stand.customs_status, tuple(shown.values()))


def _go_on(home: Home, address: tuple[str, int], sample: Sample) -> str:
    """Does what the sample waits for, and describes it."""
    if sample.follow_up:
        (following,) = (each for each in read_follow_ups() if each.folder == sample.follow_up)
        with _session(home, address, following.account) as sftp:
            _send(home, sftp, following)
        return f"{following.account}: {following.package}"
    stand = _stand(home, sample)
    message = "-" if stand is None else stand.message
    command = ["customs", "decide", message, sample.decided, "--reason", "实货与申报相符，查验放行"]
    subprocess.run(  # noqa: S603  our own command
        [
            sys.executable,
            "-m",
            "cli",
            *command,
            "--home",
            str(home.path),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return f"gateway customs decide … {sample.decided}"


@contextmanager
def _session(home: Home, address: tuple[str, int], account: str) -> Iterator[paramiko.SFTPClient]:
    client = home.path / "clients" / account
    with paramiko.SSHClient() as session:
        session.load_host_keys(str(client / "known_hosts"))
        session.connect(
            *address,
            username=account,
            key_filename=str(client / "id_ed25519"),
            allow_agent=False,
            look_for_keys=False,
        )
        with session.open_sftp() as sftp:
            yield sftp


def _send(home: Home, sftp: paramiko.SFTPClient, package: FollowUp) -> None:
    # Brokers' software uploads under an unfinished name and renames.
    sftp.put(str(package.path(home.path)), f"/OutBox/{package.package}.tmp")
    sftp.rename(f"/OutBox/{package.package}.tmp", f"/OutBox/{package.package}")


def _until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN
    while not reached() and time.monotonic() < deadline:
        time.sleep(0.1)


def _inbox(sftp: paramiko.SFTPClient, sample: Sample, lang: Language) -> dict[str, _Line]:
    base = sample.package.rsplit(".", 1)[0]
    return {name: _line_of(sftp, name, lang) for name in sftp.listdir("/InBox") if f"_{base}_" in name}


def _line_of(sftp: paramiko.SFTPClient, name: str, lang: Language) -> _Line:
    prefix = name.split("_", 1)[0]
    kind = _RECEIPTS_ZH.get(prefix, prefix) if lang is Language.ZH else prefix
    with sftp.open(f"/InBox/{name}") as file:
        root = xml.parse(file.read())
    if prefix == "Gateway":
        verdict = root.findtext(f"{{{NAMESPACE}}}Verdict") or "-"
        final = root.findtext(f"{{{NAMESPACE}}}Final") == "true"
        rules = [fault.get("rule") or fault.get("code") for fault in root.iter(f"{{{NAMESPACE}}}Fault")]
        shown = VERDICTS_ZH.get(verdict, verdict) if lang is Language.ZH else verdict
        return _Line(" ".join(filter(None, [kind, shown, *rules])), verdict if final else "")
    # The text of the answer itself: number or channel, and the note.
    texts = [root.findtext(f"{{*}}{tag}") or root.findtext(tag) for tag in ("SeqNo", "CHANNEL", "NOTE")]
    return _Line(" ".join(filter(None, [kind, *texts])))


def _reached(home: Home, sample: Sample) -> tuple[str, ...]:
    stand = _stand(home, sample)
    return () if stand is None else (stand.state, stand.customs_status)


def _stand(home: Home, sample: Sample) -> _Stand | None:
    with home.reading() as reader:
        row = reader.execute(
            select(messages.c.id, messages.c.state, messages.c.customs_status).where(
                messages.c.name == sample.package
            )
        ).first()
    return None if row is None else _Stand(row.id, row.state, row.customs_status)
