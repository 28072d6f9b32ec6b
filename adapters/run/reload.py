"""Reloads policy, routes, keys and certificates while the node runs: all of it, or nothing.

Settings in gateway.toml itself need a restart; the register of parties is in the store, where every change
takes effect at once (`gateway parties import`).
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import structlog

from adapters.home.home import Home
from adapters.home.named_files import Renewal, check_named_files, file_digests
from adapters.run.judge_pool import WorkerJudges
from adapters.run.worker import Judging
from adapters.store.database import Database
from adapters.store.write.in_force import NODE, NodeEvent, note
from gateway.config.bad_settings import BadSettings
from gateway.formats.certificates import Unusable
from gateway.model.clock import Clock
from gateway.model.faults import printable
from gateway.model.policy import Policy
from gateway.model.waits import Words
from gateway.run.in_force import InForce, changed_keys

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Files:
    """The contents of the files when they were read. `secret` is for comparison only, and never shown."""

    in_force: InForce
    shown: dict[str, str]
    secret: dict[str, str]

    @property
    def digests(self) -> dict[str, str]:
        return self.in_force.digests | self.shown

    def changed(self, before: "_Files") -> list[str]:
        was, now = before.digests | before.secret, self.digests | self.secret
        return sorted(name for name in now if was.get(name) != now[name])


@dataclass(frozen=True, slots=True)
class _Ready:
    """Everything that was loaded, with the functions that put it in force."""

    files: _Files
    needs_restart: list[str]
    judges: Callable[[], Callable[[], None]]
    take: Sequence[Callable[[], None]]


def _why(error: Exception) -> Words:
    if isinstance(error, BadSettings | Unusable):
        zh, en = error.zh, str(error)
    elif isinstance(error, OSError):
        en = f"{PurePath(error.filename or '').name}: {error.strerror}"
        zh = f"不能读取文件（{en}）"
    else:
        en = str(error) or type(error).__name__
        zh = f"配置不能使用（{en}）"
    return Words(printable(zh, 1000), printable(en, 1000))


class Reloader:
    """`present` is the configuration in force. `judge_by` passes a policy to those that use it outside the
    workers."""

    def __init__(
        self,
        home: Home,
        present: InForce,
        judges: WorkerJudges,
        database: Database,
        clock: Clock,
        judge_by: Callable[[Policy], None],
        renewals: Sequence[Renewal],
    ) -> None:
        self._home = home
        self._present = _Files(present, *file_digests(home, present.settings))
        self._judges = judges
        self._database = database
        self._clock = clock
        self._judge_by = judge_by
        self._renewals = renewals
        self._one_at_a_time = asyncio.Lock()

    async def begin(self) -> None:
        """Records the configuration of the node, before it accepts any work."""
        await self._note(NodeEvent.STARTED)

    async def __call__(self) -> None:
        """When this returns, the new files are in force if they can be used, else the previous configuration;
        either is an event."""
        async with self._one_at_a_time:
            try:
                ready = await asyncio.to_thread(self._made_ready)
            except Exception as error:  # whatever is wrong with the files: the previous configuration stays
                why = _why(error)
                log.error("reload refused", reason=why.en)
                await self._note(NodeEvent.KEPT, why=why.en, why_zh=why.zh)
                return
            before, self._present = self._present, ready.files
            end_workers_before = ready.judges()
            self._judge_by(ready.files.in_force.policy)
            for take in ready.take:
                take()
            changed = ready.files.changed(before)
            log.info("reloaded", changed=changed, needs_restart=ready.needs_restart)
            detail = {"before": before.digests, "changed": changed, "needs_restart": ready.needs_restart}
            await self._note(NodeEvent.RELOADED, **detail)
            await asyncio.to_thread(end_workers_before)

    def _made_ready(self) -> _Ready:
        """Does everything that may fail."""
        home, running = self._home, self._present.in_force.settings
        written = home.settings()
        in_force = InForce(policy=home.policy(), routes=home.routes(running), settings=running)
        check_named_files(home)
        files = _Files(in_force, *file_digests(home, running))
        take = [renewal() for renewal in self._renewals]
        judges = self._judges.prepare(Judging.from_home(home, in_force.policy, in_force.routes))
        return _Ready(files, changed_keys(running, written), judges, take)

    async def _note(self, event: NodeEvent, **detail: object) -> None:
        digests, now = self._present.digests, self._clock()
        await self._database.write(lambda to: note(to, event, NODE, now, digests=digests, **detail))
