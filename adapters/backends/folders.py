"""A back-end that is a folder, here or on an SFTP server: submissions are files in `out`, answers in `in`.

A submission is handed over by a rename, and this must be known afterwards whatever the other side does with
the file: move it, delete it, or never look at it. So the key is noted in `sent` before the rename, next to
the prepared file: noted and no longer prepared means handed over.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from errno import ENOENT
from functools import partial
from os import strerror
from pathlib import Path
from queue import LifoQueue
from threading import Lock
from time import monotonic
from typing import IO, Final
from weakref import WeakValueDictionary

import structlog

from adapters.backends.body import opened_answer, write_body
from adapters.backends.exchange import KEY
from adapters.transport.files.folders import OUTAGES, Files, FolderEntry, Overloaded, Unreachable
from gateway.config.connections import DxpSettings
from gateway.model.answer import Answer
from gateway.model.backoff import Backoff
from gateway.model.delivery import Outcome
from gateway.model.faults import printable
from gateway.model.message import Submission
from gateway.model.unfinished_names import is_unfinished
from gateway.run.crash_points import crash_point

# More than any document that the gateway reads, so that a longer one is refused when it is read.
_LONGEST: Final = 32 * 1024 * 1024 + 1
_AT_ONCE: Final = 2 * _LONGEST  # bytes of answers read at once, after the first answer
# Between looks for answers if the place cannot be reached: a server that is down must not be tried twice a
# second.
_AGAIN: Final = Backoff(first=1.0, longest=60.0)
_ANSWER: Final = re.compile(rf"(?P<key>{KEY.pattern})__(?P<number>[0-9]{{1,18}})__(?P<name>.+)")

_ZIP, _XML = ".zip", ".xml"  # the second one in a DXP envelope
_OUT, _TAKEN, _SENT, _IN, _DONE = "out", "taken", "sent", "in", "in/done"

log = structlog.get_logger()


class FolderBackend:
    """gateway.deliver.ports.Backend. `out` and `in` must exist in the folder, so that nothing is handed over
    to the mount point of an unmounted share.

    `TAKEN` only means that the file was handed over: its outcome comes with an answer. A slow submission
    delays no answers, and other submissions only if all of `handing` are busy: each of these and `hearing`
    access the same folder for one thread at a time, and are closed with the back-end. `spool` is a local
    folder for files in transfer.
    """

    def __init__(
        self, handing: Sequence[Files], hearing: Files, dxp: DxpSettings | None, spool: Path
    ) -> None:
        self._handing = handing
        self._idle = LifoQueue[Files]()  # last in, first out: no more connections are used than necessary
        for each in reversed(handing):
            self._idle.put(each)
        self._hearing = hearing
        self._dxp = dxp
        self._spool = spool
        self._making = Lock()
        # So that only one task at a time prepares a key.
        self._one_of_its_key: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._hand = ThreadPoolExecutor(max_workers=len(handing), thread_name_prefix="handing-over")
        self._ear = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hearing")
        self.deaf = ""  # why the last look at the folder of answers failed
        self._failed = 0  # consecutive failures to reach the place of the answers
        self._not_before = 0.0  # by the monotonic clock
        self._reported: set[str] = set()
        self._left: set[str] = set()  # acknowledged answers that cannot be moved away

    async def submit(self, submission: Submission, opened: Callable[[str], IO[bytes]]) -> tuple[Outcome, str]:
        loop = asyncio.get_running_loop()
        lock = self._one_of_its_key.setdefault(submission.key, asyncio.Lock())
        async with lock:
            return await loop.run_in_executor(self._hand, lambda: self._handed(submission, opened))

    async def ask(self, key: str) -> tuple[Outcome, str]:
        """Raises `ValueError` for an invalid key."""
        return await asyncio.get_running_loop().run_in_executor(self._ear, self._ask, _checked(key))

    async def answers(self, limit: int) -> Sequence[Answer]:
        return await asyncio.get_running_loop().run_in_executor(self._ear, self._answers, limit)

    @crash_point("clear-an-answer-away")
    async def acknowledge(self, ids: Sequence[str]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._ear, self._acknowledge, ids)

    def close(self) -> None:
        """Cuts off work that waits for another machine, and waits for work in progress on this one."""
        for threads, connections in ((self._hand, self._handing), (self._ear, (self._hearing,))):
            threads.shutdown(wait=False, cancel_futures=True)
            for files in connections:
                files.close()
            threads.shutdown()
            for files in connections:
                files.close()  # it may have reconnected

    def _handed(self, submission: Submission, opened: Callable[[str], IO[bytes]]) -> tuple[Outcome, str]:
        files = self._idle.get()
        try:
            return self._submit(files, submission, opened)
        finally:
            self._idle.put(files)

    def _submit(
        self, files: Files, submission: Submission, opened: Callable[[str], IO[bytes]]
    ) -> tuple[Outcome, str]:
        key = _checked(submission.key)
        prepared = f"{key}.tmp"
        try:
            if _handed_over(files, key):
                return Outcome.TAKEN, "handed over before"
            with self._making:
                files.make(_SENT)
            files.write(_SENT, prepared, partial(self._write, submission, opened))
            files.write(_SENT, key, lambda out: None)
        except OSError as error:
            return _not_taken(error), _in_words(error)
        try:
            files.move(_SENT, prepared, _OUT, f"{key}{_ZIP if self._dxp is None else _XML}")
        except OSError as error:
            still_here = _is_left(files, prepared, error)
            return (_not_taken(error) if still_here else Outcome.UNKNOWN), _in_words(error)
        return Outcome.TAKEN, ""

    def _write(self, submission: Submission, opened: Callable[[str], IO[bytes]], out: IO[bytes]) -> None:
        write_body(submission, opened, out, self._dxp, self._spool)

    def _ask(self, key: str) -> tuple[Outcome, str]:
        try:
            return Outcome.TAKEN if _handed_over(self._hearing, key) else Outcome.LATER, ""
        except OSError as error:
            return Outcome.UNKNOWN, _in_words(error)

    def _answers(self, limit: int) -> list[Answer]:
        if monotonic() < self._not_before:
            return []
        try:
            entries = [
                each for each in self._hearing.listing(_IN) if each.plain and not is_unfinished(each.name)
            ]
        except OSError as error:
            if (reason := _in_words(error)) != self.deaf:
                log.error("answers cannot be looked for", error=reason)
            self.deaf = reason
            if isinstance(error, OUTAGES):
                self._failed += 1
                self._not_before = monotonic() + _AGAIN.pause(self._failed)
            return []
        if self.deaf:
            log.info("answers are looked for again")
        self.deaf, self._failed = "", 0
        entries.sort(key=lambda each: (each.changed, _number(each.name), each.name))
        answers: list[Answer] = []
        size = 0
        for each in entries:
            if len(answers) == limit or size > _AT_ONCE:
                break
            if (id_ := _identity(each)) in self._left:
                continue
            try:
                body = self._body(each.name)
            except OSError as error:  # one unreadable answer must not block the others
                self._complain(error)
                if isinstance(error, OUTAGES):
                    break
                continue
            size += len(body)
            answers.append(opened_answer(_answer(id_, each.name, body), self._dxp))
        return answers

    def _body(self, name: str) -> bytes:
        body = bytearray()
        with closing(self._hearing.read(_IN, name)) as chunks:
            for chunk in chunks:
                body += chunk
                if len(body) >= _LONGEST:
                    break
        return bytes(body[:_LONGEST])

    def _complain(self, error: OSError) -> None:
        """Logs each problem once, since it is found again at every look."""
        reason = _in_words(error)
        if reason not in self._reported:
            self._reported.add(reason)
            log.error("answers cannot be read or put away", error=reason)

    def _acknowledge(self, ids: Sequence[str]) -> None:
        for id_ in ids:
            name = id_.partition(":")[2]
            try:
                self._hearing.make(_DONE)
                # A file that was replaced by another one which is not read yet is left as it is.
                there = self._hearing.look(_IN, name)
                if there is not None and _identity(there) == id_:
                    self._hearing.move(_IN, name, _DONE, name)
            except FileNotFoundError:
                pass  # it was removed
            except OSError as error:
                # It must not block the other answers, nor be read again at every look.
                self._complain(error)
                if isinstance(error, OUTAGES):
                    return  # every other file would take as long
                self._left.add(id_)


def _handed_over(files: Files, key: str) -> bool:
    for folder in (_OUT, _IN):
        if files.look("", folder) is None:  # a missing folder says nothing about its former contents
            raise FileNotFoundError(ENOENT, strerror(ENOENT), folder)
    # Not by the note alone: a restored folder may contain the file without it.
    names = (f"{key}{_ZIP}", f"{key}{_XML}")
    if any(files.look(folder, name) is not None for folder in (_OUT, _TAKEN) for name in names):
        return True
    return files.look(_SENT, key) is not None and files.look(_SENT, f"{key}.tmp") is None


def _is_left(files: Files, prepared: str, error: OSError) -> bool:
    """Whether the file was certainly not handed over by a move that failed with this error."""
    if isinstance(error, Unreachable):
        return False  # the other side may still be working on it
    try:
        return files.look(_SENT, prepared) is not None
    except OSError:
        return False


def _not_taken(error: OSError) -> Outcome:
    if isinstance(error, Overloaded):
        return Outcome.BUSY
    return Outcome.DENIED if isinstance(error, PermissionError) else Outcome.LATER


def _checked(key: str) -> str:
    if not KEY.fullmatch(key):
        raise ValueError("not the key of a submission")
    return key


def _in_words(error: OSError) -> str:
    return printable(f"{error.filename or 'the folder'}: {error.strerror or error}")


def _number(name: str) -> int:
    match = _ANSWER.fullmatch(name)
    return int(match["number"]) if match else 0


def _identity(entry: FolderEntry) -> str:
    return f"{entry.mark}:{entry.name}"


def _answer(id_: str, file_name: str, body: bytes) -> Answer:
    match = _ANSWER.fullmatch(file_name)
    # Bytes of a name that are not UTF-8 are decoded to characters that no database accepts.
    name = printable(match["name"] if match else file_name)
    return Answer(id=id_, name=name, body=body, key=match["key"] if match else None)
