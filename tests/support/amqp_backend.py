"""The reference customs over AMQP, as it is for the gateway: both ends of a test's virtual host."""

import asyncio
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import closing
from functools import cache
from itertools import count
from pathlib import Path
from typing import IO, Any, Final, TypeVar

import aio_pika

from adapters.backends.amqp import AmqpBackend
from adapters.backends.amqp_exchange import answer
from adapters.sandbox.customs.customs import BOOK, ReferenceCustoms
from adapters.sandbox.customs.serving_amqp import AmqpServing
from gateway.config.connections import AmqpBackendSettings
from gateway.model.answer import Answer
from gateway.model.clock import Clock
from gateway.model.delivery import Outcome
from gateway.model.message import Submission
from tests.support.rabbitmq import Rabbit

WITHIN: Final = 120.0
_T = TypeVar("_T")
_NUMBERS: Final = count(1)


def backend_settings(rabbit: Rabbit, home: Path, vhost: str, **more: object) -> AmqpBackendSettings:
    """A back-end's log-in as the user `gateway`, with a queue for questions."""
    login = rabbit.settings(home, vhost).model_dump(exclude={"prefetch", "delivery_limit"})
    settings = {"kind": "amqp", "questions": "customs.questions", **login}
    return AmqpBackendSettings.model_validate(settings | more)


@cache
def _vhost(rabbit: Rabbit) -> str:
    return rabbit.vhost()


def write_login(folder: Path, rabbit: Rabbit) -> None:
    """Gives the customs of this folder queues of its own; their names stand beside the folder."""
    home = _beside(folder)
    home.mkdir()
    number = next(_NUMBERS)
    queues = {purpose: f"{purpose}-{number}" for purpose in ("submissions", "answers", "questions")}
    settings = backend_settings(rabbit, home, _vhost(rabbit), **queues)
    (home / "settings.json").write_text(settings.model_dump_json())


def _beside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}-broker")


async def until(condition: Callable[[], object]) -> None:
    """Raises `TimeoutError` where it never holds."""
    async with asyncio.timeout(WITHIN):
        while not condition():
            await asyncio.sleep(0.01)


class OverAmqp:
    """ports.Backend. A submission returns when customs has looked at it, and answers are given when all that
    customs has to say has come; both ends run in a thread of their own, since a test's loops come and go."""

    def __init__(self, folder: Path, certificate_pem: str, clock: Clock) -> None:
        home = _beside(folder)
        settings = AmqpBackendSettings.model_validate_json((home / "settings.json").read_text())
        self._ledger = folder / BOOK
        self._answers = settings.answers
        self._customs = ReferenceCustoms(folder, certificate_pem, clock)
        self._gateway = AmqpBackend(settings, home, "gateway")
        self._serving = AmqpServing(settings, home, "customs", self._customs)
        self._calls: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._opened(settings), self._loop).result(WITHIN)

    async def submit(self, submission: Submission, opened: Callable[[str], IO[bytes]]) -> tuple[Outcome, str]:
        return await self._there(self._submit(submission, opened))

    async def ask(self, key: str) -> tuple[Outcome | None, str]:
        return await self._there(self._gateway.ask(key))

    async def answers(self, limit: int) -> Sequence[Answer]:
        return await self._there(self._read_answers(limit))

    async def acknowledge(self, ids: Sequence[str]) -> None:
        await self._there(self._gateway.acknowledge(ids))

    def close(self) -> None:
        """As it may be called twice."""
        if self._loop.is_running():
            asyncio.run_coroutine_threadsafe(self._left(), self._loop).result(WITHIN)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(WITHIN)
            self._loop.close()
            self._customs.close()

    async def _there(self, work: Coroutine[Any, Any, _T]) -> _T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def _opened(self, settings: AmqpBackendSettings) -> None:
        self._stop = asyncio.Event()
        self._at_work = asyncio.create_task(self._serving.run(self._stop))
        await self._gateway.__aenter__()
        url = f"amqp://{settings.user}:{settings.user}@{settings.host}:{settings.port}/{settings.vhost}"
        self._marking = await aio_pika.connect(url)
        self._channel = await self._marking.channel()
        await self._gateway.until_connected()
        await self._serving.until_connected()

    async def _left(self) -> None:
        await self._marking.close()
        await self._gateway.__aexit__(None, None, None)
        self._stop.set()
        await self._at_work

    async def _submit(
        self, submission: Submission, opened: Callable[[str], IO[bytes]]
    ) -> tuple[Outcome, str]:
        key = submission.key
        self._calls.setdefault(key, self._called(key))
        outcome, note = await self._gateway.submit(submission, opened)
        if outcome is Outcome.TAKEN:
            self._calls[key] += 1
            outcomes = self._calls[key]
            await until(lambda: self._called(key) >= outcomes)
        return outcome, note

    def _called(self, key: str) -> int:
        with closing(sqlite3.connect(self._ledger)) as database:
            (rows,) = database.execute("SELECT count(*) FROM calls WHERE key = ?", (key,)).fetchone()
            return int(rows)

    async def _read_answers(self, limit: int) -> Sequence[Answer]:
        """What is held once a mark has come that was put behind all that customs had to say."""
        async with asyncio.timeout(WITHIN):
            while await self._customs.answers(1):
                await asyncio.sleep(0.01)
            mark = answer(f"mark {next(_NUMBERS)}", None, "mark", b"mark")
            await self._channel.default_exchange.publish(mark, self._answers)
            held: Sequence[Answer] = ()
            while "mark" not in (row.name for row in held):
                await asyncio.sleep(0.01)
                held = await self._gateway.answers(1 << 30)
        await self._gateway.acknowledge([row.id for row in held if row.name == "mark"])
        return [row for row in held if row.name != "mark"][:limit]
