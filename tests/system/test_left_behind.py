"""What the gateway leaves on the machine: nothing outside its home, and in it nothing for others to read."""

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from adapters.files.local import LocalFiles
from adapters.private import private, shared
from tests.served import ROOT, Gateway


def _run(umask: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    started = f"import os; os.umask({umask}); import cli; cli.app()"
    return subprocess.run(
        [sys.executable, "-c", started, *arguments], capture_output=True, text=True, timeout=120
    )


def test_what_is_made_in_a_home_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    home = tmp_path / "home"
    made = _run(0, "init", str(home), "--sftp-port", "0")
    assert made.returncode == 0, made.stderr
    modes = {
        str(path.relative_to(home)): stat.S_IMODE(path.stat().st_mode) for path in (home, *home.rglob("*"))
    }
    assert {name: mode for name, mode in modes.items() if mode not in (0o600, 0o700)} == {}


def test_what_is_written_for_others_has_the_modes_that_the_administrator_gives(tmp_path: Path) -> None:
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
from adapters.temporary import keep_temporary
keep_temporary(Path(sys.argv[1]))
store = sqlite3.connect(":memory:")
store.execute("PRAGMA temp_store = FILE")
store.execute("CREATE TEMP TABLE spilled AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
    " LIMIT 20000) SELECT i, hex(randomblob(200)) FROM n")
print(*(os.readlink(each) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()), sep="\\n")
"""


def test_what_sqlite_puts_aside_lies_in_the_home(tmp_path: Path) -> None:
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
    monkeypatch.setenv("TMPDIR", str(folder))
    with Gateway(tmp_path / "home") as gateway:
        assert os.listdir(folder) == []
        gateway.kill()
        gateway.start()
        assert len(os.listdir(gateway.home.temporary)) == 1
    assert os.listdir(folder) == []
