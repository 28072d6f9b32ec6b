"""Serves the customs sandbox over a folder: takes submissions from `out`, writes answers to `in`.

The process may be killed at any point. A submission leaves `out` once the ledger has it, and one that the
ledger already has is only moved. An answer is acknowledged to the ledger once its file is durable, and has
the same name if it is written again.
"""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Final

import structlog

from adapters.backends.exchange import KEY, Exchange, finished, move, put, reading
from adapters.sandbox.customs.submitted import refusal, told_body, unwrapped
from adapters.sandbox.inspection import SubmissionRefused, reference_in
from adapters.sandbox.simulated_backend import SimulatedBackend
from gateway.config.connections import DxpSettings
from gateway.model.answer import Answer
from gateway.model.delivery import Outcome
from gateway.model.faults import printable

_IDLE: Final = 0.2  # seconds between looks into the folder
_AT_ONCE: Final = 16  # submissions that are taken in one transaction
_TROUBLED: Final = 2.0  # seconds after a submission could not be taken or an answer not written

log = structlog.get_logger()


class ServedElsewhere(Exception):
    """Another process serves this folder."""


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Holds the lock of a process that serves a folder; the lock ends with the process, even if it is killed.
    Raises `ServedElsewhere` where another process holds it."""
    descriptor = os.open(
        folder / "customs.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
    )
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServedElsewhere(f"another customs serves {folder}") from None
        yield
    finally:
        os.close(descriptor)


class ExchangeServing:
    """Gives the submissions in `out` to `backend`. A file that it refuses, or that is no submission, is moved
    to `refused` with the reason beside it; if its name is a submission's key, the gateway gets a technical
    answer that nothing was imported. With `dxp`, answers are in DXP envelopes."""

    def __init__(self, exchange: Exchange, backend: SimulatedBackend, dxp: DxpSettings | None = None) -> None:
        self._dxp = dxp
        self._exchange = exchange
        self._backend = backend
        exchange.make()
        for each in (exchange.taken, exchange.refused):
            each.mkdir(exist_ok=True)

    async def run(self, stop: asyncio.Event) -> None:
        """Serves until `stop`; the turn in progress is finished."""
        while not stop.is_set():
            well = await self.turn()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _IDLE if well else _TROUBLED)

    async def turn(self) -> bool:
        """Takes all waiting submissions and writes all answers that are due, oldest first; returns whether
        all of it succeeded."""
        waiting = self._waiting()
        well = True
        for start in range(0, len(waiting), _AT_ONCE):
            names = waiting[start : start + _AT_ONCE]
            well = all([well, *await asyncio.gather(*map(self._taken, names))])
        try:
            while await self._tell():
                pass
        except Exception as error:
            log.error("answers not told", error=printable(repr(error)))
            well = False
        return well

    def _waiting(self) -> list[str]:
        entries = [
            (entry.stat(follow_symlinks=False).st_mtime_ns, entry.name)
            for entry in finished(self._exchange.out)
            if entry.name.endswith((".zip", ".xml"))
        ]
        return [name for _at, name in sorted(entries)]

    async def _taken(self, name: str) -> bool:
        try:
            await self._take(name)
        except Exception as error:
            # The file stays for the next turn, and must not hold up the others.
            log.error("submission not taken", file=printable(name), error=printable(repr(error)))
            return False
        return True

    async def _take(self, name: str) -> None:
        file = self._exchange.out / name
        key = file.stem
        reference = ""
        try:
            if not KEY.fullmatch(key):
                raise SubmissionRefused("the file is not named by the key of a submission")
            if (await self._backend.ask(key))[0] is Outcome.TAKEN:  # the process was killed before the move
                move(file, self._exchange.taken / name)
                return
            with reading(str(file)) as packed, unwrapped(key, packed, self._exchange.folder) as zipped:
                outcome, reason = await self._backend.submit_zip(key, zipped)
                if outcome is Outcome.NEVER:
                    reference = reference_in(zipped)
                    raise SubmissionRefused(reason)
        except SubmissionRefused as refusal:
            self._refuse(file, key, reference, printable(str(refusal), 2000))
        else:
            move(file, self._exchange.taken / name)
            log.info("taken", key=key)

    def _refuse(self, file: Path, key: str, reference: str, reason: str) -> None:
        if KEY.fullmatch(key):
            name, body = refusal(key, reference, reason)
            answer = Answer(id="0", name=name, body=body, key=key)
            put(self._exchange.into / f"{key}__0__{name}", partial(_write, told_body(answer, self._dxp)))
        refused = self._exchange.refused / file.name
        put(refused.with_suffix(".txt"), partial(_write, f"{reason}\n".encode()))
        move(file, refused)
        log.warning("refused", file=printable(file.name), reason=reason)

    async def _tell(self) -> bool:
        answers = await self._backend.answers(64)
        for answer in answers:
            named = f"{answer.key}__" if answer.key else ""
            put(
                self._exchange.into / f"{named}{answer.id}__{answer.name}",
                partial(_write, told_body(answer, self._dxp)),
            )
        await self._backend.acknowledge([answer.id for answer in answers])
        return len(answers) > 0


def _write(body: bytes, out: IO[bytes]) -> None:
    out.write(body)
