"""What the gateway leaves on the machine: nothing outside its home, and in it nothing for others to read."""

import os
import re
import signal
import stat
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from adapters.cli.init.init import create_home, free_port
from adapters.home.file_modes import private, shared
from adapters.transport.files.local import LocalFiles
from tests.support.customs import customs_answers
from tests.support.declarations import owing_nothing
from tests.support.harness import Harness
from tests.support.rendering import render
from tests.support.served import ROOT, Gateway

ENTRY = "020220261234567890"


def _run(umask: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    started = f"import os; os.umask({umask}); import cli; cli.main()"
    return subprocess.run(
        [sys.executable, "-c", started, *arguments], capture_output=True, text=True, timeout=120
    )


def test_files_in_a_home_are_private_whatever_the_umask(tmp_path: Path) -> None:
    home = tmp_path / "home"
    made = _run(0, "init", str(home), "--sftp-port", "0")
    assert made.returncode == 0, made.stderr
    assert open_to_others(home) == {}


def open_to_others(folder: Path) -> dict[str, str]:
    modes = {}
    for path in (folder, *folder.rglob("*")):
        with suppress(FileNotFoundError):  # a node that runs may have taken it away
            modes[str(path.relative_to(folder))] = stat.S_IMODE(path.lstat().st_mode)
    return {name: oct(mode) for name, mode in modes.items() if mode & 0o077}


def test_files_that_commands_write_are_private_whatever_the_umask(tmp_path: Path) -> None:
    with Harness.until_now(tmp_path / "home") as harness:
        accepted = harness.judged("broker-aa", "R1.xml", render(owing_nothing("R1")))
        customs_answers(harness, accepted.message, "000000001230540010", ENTRY, "L")
        home = str(harness.home.path)
        duty = ("tariff=8467", "rate=8")
        for command in (
            ("association", "list"),
            ("customs", "ledger", "add", "duties", *duty),
            ("dossier", "export", ENTRY, "--to", str(tmp_path / "export.zip"), "--reason", "asked for"),
            ("backup", str(tmp_path / "backup")),
        ):
            done = _run(0, *command, "--home", home)
            assert done.returncode == 0, (command, done.stderr)
        assert open_to_others(harness.home.path / "backends") == {}
    assert stat.S_IMODE((tmp_path / "export.zip").stat().st_mode) == 0o600
    assert open_to_others(tmp_path / "backup") == {}


def test_the_demo_shows_nobody_what_it_makes_whatever_the_umask(tmp_path: Path) -> None:
    started = "import os; os.umask(0); import cli; cli.main()"
    demo = subprocess.Popen(
        [sys.executable, "-c", started, "demo"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        # What is there once the node logs: its home and the log itself.
        while not [log for log in tmp_path.rglob("serve.log") if log.stat().st_size]:
            assert demo.poll() is None
            time.sleep(0.05)
        (folder,) = tmp_path.iterdir()
        assert open_to_others(folder) == {}
    finally:
        demo.send_signal(signal.SIGINT)
        demo.wait()


@pytest.mark.parametrize("way", ["folder", "http"])
def test_files_of_customs_serve_in_a_home_are_private_and_those_of_an_exchange_are_not(
    tmp_path: Path, way: str
) -> None:
    home = create_home(tmp_path / "home", 0, datetime.now(UTC)).path
    port = free_port()
    kind = (
        'kind = "directory"\nfolder = "../exchange"'
        if way == "folder"
        else f'kind = "http"\nurl = "http://127.0.0.1:{port}/"'
    )
    settings = home / "gateway.toml"
    settings.write_text(
        re.sub(r'^kind = "reference".*$', kind, settings.read_text("utf-8"), flags=re.M), "utf-8"
    )
    arguments = [
        "customs",
        "serve",
        "--home",
        str(home),
        *(["--http", f"127.0.0.1:{port}"] if way == "http" else []),
    ]
    started = "import os; os.umask(0o022); import cli; cli.main()"
    with subprocess.Popen(
        [sys.executable, "-c", started, *arguments], cwd=ROOT, stdout=subprocess.PIPE
    ) as customs:
        assert customs.stdout is not None
        assert customs.stdout.readline()
        customs.terminate()
    assert (customs.returncode, open_to_others(home)) == (0, {})
    if way == "folder":
        assert stat.S_IMODE((tmp_path / "exchange" / "in").stat().st_mode) == 0o755


def test_files_written_for_others_have_the_modes_that_the_administrator_sets(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    files = LocalFiles(tmp_path)
    with private():
        files.make("in/done")
        files.write("in/done", "a.xml", lambda out: out.write(b"<a/>"))
    assert stat.S_IMODE((tmp_path / "in/done").stat().st_mode) == shared(0o777)
    assert stat.S_IMODE((tmp_path / "in/done/a.xml").stat().st_mode) == shared(0o666)


_SPILLS: Final = """
import os, sqlite3, sys
from pathlib import Path
from adapters.home.temporary import keep_temporary
keep_temporary(Path(sys.argv[1]))
store = sqlite3.connect(":memory:")
store.execute("PRAGMA temp_store = FILE")
store.execute("CREATE TEMP TABLE spilled AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
    " LIMIT 20000) SELECT i, hex(randomblob(200)) FROM n")
print(*(os.readlink(each) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()), sep="\\n")
"""


def test_temporary_files_of_sqlite_are_in_the_home(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SPILLS, str(tmp_path / "tmp")],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    spilled = [Path(line).parent for line in done.stdout.splitlines() if "/etilqs_" in line]
    assert (set(spilled), done.stderr) == ({tmp_path / "tmp"}, "")


def test_a_node_that_is_killed_leaves_nothing_in_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    gateway = Gateway(tmp_path / "home")
    monkeypatch.setenv("TMPDIR", str(folder))
    with gateway:
        assert os.listdir(folder) == []
        gateway.kill()
        (gateway.home.temporary / "left").touch()
        gateway.start()
        assert os.listdir(gateway.home.temporary) == []
    assert os.listdir(folder) == []
