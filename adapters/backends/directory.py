"""A back-end that is a folder: submissions are files in `out`, answers are files in `in`.

A submission is handed over by a rename, and that it was must be known afterwards whatever the other side does
with the file: move it, delete it, or not look at all. So before the rename the key is noted in `sent`, where
the prepared file stands too: noted and no longer prepared means handed over.
"""

import asyncio
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Final

import structlog

from adapters.backends.exchange import KEY, Exchange, finished, move, prepare, reading, sync
from gateway.faults import printable
from gateway.message import Submission
from gateway.ports import Answer, Outcome
from gateway.submission import write_zip

# More than any document that the gateway reads, so that a longer one is refused where it is read.
_LONGEST: Final = 32 * 1024 * 1024 + 1
_AT_ONCE: Final = 2 * _LONGEST  # bytes of answers in one turn, beyond the first answer
_ANSWER: Final = re.compile(rf"(?P<key>{KEY.pattern})__(?P<number>[0-9]{{1,18}})__(?P<name>.+)")

log = structlog.get_logger()


class DirectoryBackend:
    """ports.Backend. A folder that is not there is made; in one that is there `out` and `in` must stand, so
    that nothing is handed over to the place where a share is not mounted.

    That the file is handed over is all that `TAKEN` says: what becomes of it is told by an answer.
    """

    def __init__(self, folder: Path) -> None:
        self._exchange = Exchange(folder)
        if not folder.exists():
            self._exchange.make()
        # One after the other, so that a key is prepared by one at a time.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="handing-over")
        self._said: set[str] = set()
        self._left: set[str] = set()  # what was acknowledged and cannot be put away

    async def submit(self, submission: Submission, opened: Callable[[str], IO[bytes]]) -> tuple[Outcome, str]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: self._submit(submission, opened))

    async def ask(self, key: str) -> Outcome:
        """Raises `OSError` where the folder cannot be read, and `ValueError` for what is no key."""
        handed_over = await asyncio.to_thread(self._handed_over, _checked(key))
        return Outcome.TAKEN if handed_over else Outcome.LATER

    async def answers(self, limit: int) -> Sequence[Answer]:
        return await asyncio.to_thread(self._answers, limit)

    async def acknowledge(self, ids: Sequence[str]) -> None:
        await asyncio.to_thread(self._acknowledge, ids)

    def close(self) -> None:
        """Waits for what is under way."""
        self._thread.shutdown()

    def _prepared(self, key: str) -> Path:
        return self._exchange.sent / f"{key}.tmp"

    def _handed_over(self, key: str) -> bool:
        self._exchange.look()  # a folder that is not there says nothing about what it held
        file = f"{key}.zip"
        # Not by the note alone: a folder that was put together again may have the file without it.
        if any((where / file).exists() for where in (self._exchange.out, self._exchange.taken)):
            return True
        return (self._exchange.sent / key).exists() and not self._prepared(key).exists()

    def _submit(self, submission: Submission, opened: Callable[[str], IO[bytes]]) -> tuple[Outcome, str]:
        key = _checked(submission.key)
        prepared, noted = self._prepared(key), self._exchange.sent / key
        try:
            if self._handed_over(key):
                return Outcome.TAKEN, "handed over before"
            self._exchange.sent.mkdir(exist_ok=True)
            prepare(prepared, lambda out: write_zip(submission, opened, out))
            prepare(noted, lambda out: None)
            sync(noted.parent)
        except OSError as error:
            return Outcome.LATER, _said(error)
        try:
            move(prepared, self._exchange.out / f"{key}.zip")
        except OSError as error:
            # Whether the rename lasts is not known where it was done and the folder could not be synced.
            return (Outcome.LATER if prepared.exists() else Outcome.UNKNOWN), _said(error)
        return Outcome.TAKEN, ""

    def _answers(self, limit: int) -> list[Answer]:
        try:
            found = [(entry, entry.stat(follow_symlinks=False)) for entry in finished(self._exchange.into)]
        except OSError as error:
            self._complain(error)
            return []
        found.sort(key=lambda each: (each[1].st_mtime_ns, _number(each[0].name), each[0].name))
        answers: list[Answer] = []
        size = 0
        for entry, state in found:
            if len(answers) == limit or size > _AT_ONCE:
                break
            if (id_ := _identity(entry.name, state)) in self._left:
                continue
            try:
                with reading(entry.path) as file:
                    body = file.read(_LONGEST)
            except OSError as error:  # it must not keep the others from being heard
                self._complain(error)
                continue
            size += len(body)
            answers.append(_answer(id_, entry.name, body))
        return answers

    def _complain(self, error: OSError) -> None:
        """Once of each trouble, since it is met again at every look."""
        said = _said(error)
        if said not in self._said:
            self._said.add(said)
            log.error("answers cannot be read or put away", error=said)

    def _acknowledge(self, ids: Sequence[str]) -> None:
        for id_ in ids:
            name = id_.partition(":")[2]
            file = self._exchange.into / name
            try:
                # One that was replaced by another that has not been read yet is left as it is.
                if _identity(name, os.lstat(file)) == id_:
                    self._exchange.done.mkdir(exist_ok=True)
                    os.replace(file, self._exchange.done / name)
            except FileNotFoundError:
                pass  # it was removed
            except OSError as error:
                # It must not keep the others from being heard, nor be heard again at every look.
                self._left.add(id_)
                self._complain(error)


def _checked(key: str) -> str:
    if not KEY.fullmatch(key):
        raise ValueError("not the key of a submission")
    return key


def _said(error: OSError) -> str:
    return printable(f"{error.filename or 'the folder'}: {error.strerror}")


def _number(name: str) -> int:
    found = _ANSWER.fullmatch(name)
    return int(found["number"]) if found else 0


def _identity(name: str, state: os.stat_result) -> str:
    return f"{state.st_ino}-{state.st_size}-{state.st_mtime_ns}:{name}"


def _answer(id_: str, file_name: str, body: bytes) -> Answer:
    found = _ANSWER.fullmatch(file_name)
    # Bytes of a name that are no UTF-8 arrive as characters that no database takes.
    name = printable(found["name"] if found else file_name)
    return Answer(id=id_, name=name, body=body, key=found["key"] if found else None)
