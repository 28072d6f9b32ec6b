"""Runs the examples of a document as a reader would type them, in order, in one folder.

The word after `sh` says how a block is run: `run` must succeed; `serve` goes to the background, and its first
line says that it is ready; `until` is typed again until it prints what the document shows; `fails` must not
succeed. Blocks of `sh` alone are not run. A `text` block that follows is what is printed: each of its lines,
in that order, with anything for an ellipsis.
"""

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Final

_FENCE: Final = re.compile(r"^```(\w+) ?(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_WITHIN: Final = 300.0


@dataclass(frozen=True)
class Example:
    line: int
    way: str
    command: str
    shown: str


def examples(document: Path) -> list[Example]:
    """The blocks that are run, each with the output that the document shows for it."""
    text = document.read_text(encoding="utf-8")
    fences = list(_FENCE.finditer(text))
    collected = []
    for fence, after in zip_longest(fences, fences[1:]):
        if fence[1] == "sh" and fence[2]:
            shown = after[3] if after is not None and after[1] == "text" else ""
            collected.append(Example(text.count("\n", 0, fence.start()) + 1, fence[2], fence[3], shown))
    return collected


def follow(document: Path, folder: Path, port: int) -> int:
    """Runs all examples of a document in `folder`, with `port` for the 2222 that it names; how many."""
    with _Reader(folder, port) as reader:
        steps = examples(document)
        for example in steps:
            reader.do(example)
        return len(steps)


class _Reader:
    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self._served: list[subprocess.Popen[str]] = []
        self._environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            **{name: value for name, value in os.environ.items() if name == "PYTHONPATH"},
        }

    def __enter__(self) -> "_Reader":
        return self

    def __exit__(self, *_: object) -> None:
        for served in self._served:
            os.killpg(served.pid, signal.SIGTERM)
            served.wait(_WITHIN)
            assert served.stdout is not None
            served.stdout.close()

    def do(self, example: Example) -> None:
        command = example.command.replace("2222", str(self._port))
        with _told_where(example):
            if example.way == "serve":
                self._serve(command)
            elif example.way == "until":
                self._until(command, example.shown)
            else:
                code, printed = self._run(command)
                assert (code == 0) is (example.way == "run"), f"ended with {code}: {printed}"
                assert _shows(printed, example.shown), printed

    def _serve(self, command: str) -> None:
        with (self._folder / "served.log").open("w") as log:
            served = subprocess.Popen(
                ["/bin/sh", "-c", command],
                cwd=self._folder,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self._served.append(served)
        assert served.stdout is not None
        line = served.stdout.readline() if select.select([served.stdout], [], [], _WITHIN)[0] else ""
        assert '"ready": true' in line, (self._folder / "served.log").read_text()

    def _until(self, command: str, expected: str) -> None:
        deadline = time.monotonic() + _WITHIN
        while True:
            code, printed = self._run(command)
            if code == 0 and _shows(printed, expected):
                return
            assert time.monotonic() < deadline, f"ended with {code}: {printed}"

    def _run(self, command: str) -> tuple[int, str]:
        done = subprocess.run(
            ["/bin/sh", "-ec", command],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_WITHIN,
            check=False,
        )
        return done.returncode, done.stdout


@contextmanager
def _told_where(example: Example) -> Iterator[None]:
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"the example in line {example.line}: {error}") from None


def _shows(printed: str, expected: str) -> bool:
    """Whether each line that is shown is among those printed, in the same order."""
    lines = iter(" ".join(line.split()) for line in printed.splitlines())
    return all(
        any(_pattern(expected).fullmatch(line) for line in lines)
        for expected in expected.splitlines()
        if expected
    )


def _pattern(line: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(" ".join(part.split())) for part in line.split("…")))
