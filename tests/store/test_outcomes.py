"""Outcomes of threads reach the tasks that wait for them, and no others."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from adapters.store.database import Database, Transaction, sqlite_engine
from adapters.store.outcomes import Outcomes

MANY: Final = 2000
_COUNT: Final = text("SELECT count(*) FROM things")


def test_every_task_gets_its_own_outcome_from_many_threads() -> None:
    async def run() -> list[object]:
        outcomes = Outcomes(asyncio.get_running_loop())
        promised = [outcomes.new() for _ in range(MANY)]

        def work(first: int) -> None:
            for number in range(first, MANY, 4):
                if number % 3:
                    promised[number].set_result(number)
                else:
                    promised[number].set_exception(ValueError(number))

        threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        async with asyncio.timeout(30):
            return list(await asyncio.gather(*(each.future for each in promised), return_exceptions=True))

    for number, result in enumerate(asyncio.run(run())):
        if number % 3:
            assert result == number
        else:
            assert isinstance(result, ValueError)
            assert result.args == (number,)


def test_an_outcome_for_a_task_that_was_cancelled_harms_no_other() -> None:
    async def run() -> str:
        outcomes = Outcomes(asyncio.get_running_loop())
        first, second = outcomes.new(), outcomes.new()
        first.future.cancel()
        assert not first.set_running_or_notify_cancel()
        first.set_result("late")
        second.set_result("in time")
        result: str = await second.future
        return result

    assert asyncio.run(run()) == "in time"


def test_an_outcome_after_the_end_of_its_loop_is_dropped() -> None:
    async def run() -> Outcomes:
        return Outcomes(asyncio.get_running_loop())

    outcomes = asyncio.run(run())
    loop = asyncio.new_event_loop()
    try:
        future = loop.create_future()
        outcomes.put(future, None, None)
        outcomes.put(future, None, None)
        assert not future.done()
    finally:
        loop.close()


def test_a_change_whose_task_is_cancelled_before_it_begins_is_not_made(tmp_path: Path) -> None:
    database = Database(sqlite_engine(tmp_path / "store.db"))
    begun, go_on = threading.Event(), threading.Event()

    def first(_transaction: Transaction) -> None:
        begun.set()
        go_on.wait(30)

    async def run() -> None:
        holding = asyncio.create_task(database.write(first))
        await asyncio.to_thread(begun.wait, 30)
        cancelled = asyncio.create_task(
            database.write(lambda to: to.connection.exec_driver_sql("CREATE TABLE things (a)"))
        )
        await asyncio.sleep(0)
        cancelled.cancel()
        go_on.set()
        await holding
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        with pytest.raises(Exception, match="no such table"):
            await database.read(lambda reader: reader.execute(_COUNT).scalar())

    with database.engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE events (sequence INTEGER, digest TEXT, latest INTEGER)")
    asyncio.run(run())
    database.close()


def test_changes_that_are_written_together_each_have_their_own_outcome(tmp_path: Path) -> None:
    def change(number: int) -> Callable[[Transaction], int]:
        def made(transaction: Transaction) -> int:
            if number % 3 == 1:
                raise ValueError(number)
            transaction.connection.exec_driver_sql("INSERT INTO made VALUES (?)", (number,))
            if number % 3 == 2:
                raise KeyError(number)
            return number

        return made

    with closing(Database(sqlite_engine(tmp_path / "store.db"))) as database:
        with database.engine.connect() as connection:
            connection.exec_driver_sql("CREATE TABLE events (sequence INTEGER, digest TEXT, latest INTEGER)")
            connection.exec_driver_sql("CREATE TABLE made (n)")
        outcomes = asyncio.run(database.write_all([change(number) for number in range(200)]))
        rows = asyncio.run(database.read(lambda reader: reader.exec_driver_sql("SELECT n FROM made").all()))
        assert asyncio.run(database.write_all([])) == []
    assert [outcome if isinstance(outcome, int) else type(outcome) for outcome in outcomes] == [
        (number, ValueError, KeyError)[number % 3] if number % 3 else number for number in range(200)
    ]
    assert [number for (number,) in rows] == list(range(0, 200, 3))


def test_a_query_that_fails_leaves_the_readers_at_work(tmp_path: Path) -> None:
    database = Database(sqlite_engine(tmp_path / "store.db"))

    def broken(_reader: Connection) -> int:
        raise ValueError("the query's own")

    async def run() -> None:
        for _ in range(5):
            with pytest.raises(ValueError, match="the query's own"):
                await database.read(broken)
        assert await database.read(lambda reader: reader.execute(text("SELECT 7")).scalar()) == 7

    asyncio.run(run())
    asyncio.run(run())  # on another loop
    database.close()


@pytest.mark.parametrize("error", [StopIteration, SystemExit, KeyboardInterrupt, MemoryError])
def test_whatever_a_change_or_query_raises_reaches_its_task_alone(
    tmp_path: Path, error: type[BaseException]
) -> None:
    database = Database(sqlite_engine(tmp_path / "store.db"))
    with database.engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE events (sequence INTEGER, digest TEXT, latest INTEGER)")

    def raises(_argument: object) -> int:
        raise error

    async def told(work: Coroutine[Any, Any, int]) -> str:
        try:
            return str(await work)
        except BaseException as raised:
            return type(raised).__name__

    async def run() -> list[str]:
        seven = text("SELECT 7")

        def sound(reader: Connection) -> int:
            return int(reader.execute(seven).scalar_one())

        works = [
            database.read(raises if number % 4 == 1 else sound)
            if number % 2
            else database.write(raises if number % 4 == 2 else lambda to: sound(to.connection))
            for number in range(40)
        ]
        async with asyncio.timeout(30):
            return [await each for each in [asyncio.ensure_future(told(work)) for work in works]]

    results = asyncio.run(run())
    expected = "RuntimeError" if error is StopIteration else error.__name__
    assert results == [expected if number % 4 in (1, 2) else "7" for number in range(40)]
    database.close()


def test_a_store_that_cannot_be_opened_is_told_each_time_and_opened_when_it_can(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    database = Database(sqlite_engine(folder / "store.db"))

    async def run() -> None:
        for _ in range(3):
            with pytest.raises(OperationalError):
                await database.read(lambda reader: reader.execute(text("SELECT 7")).scalar())
            with pytest.raises(OperationalError):
                await database.write(lambda to: to.connection.execute(text("SELECT 7")).scalar())
        folder.mkdir()
        for _ in range(3):
            assert await database.read(lambda reader: reader.execute(text("SELECT 7")).scalar()) == 7

    async def bounded() -> None:
        async with asyncio.timeout(30):
            await run()

    asyncio.run(bounded())
    database.close()


def test_a_closed_store_refuses_at_once(tmp_path: Path) -> None:
    database = Database(sqlite_engine(tmp_path / "store.db"))
    database.close()

    async def run() -> None:
        with pytest.raises(RuntimeError, match="closed"):
            await database.read(lambda _reader: None)
        with pytest.raises(RuntimeError, match="closed"):
            await database.write(lambda _to: None)

    asyncio.run(run())
    with pytest.raises(RuntimeError, match="closed"):
        database.submit(lambda _to: None)
