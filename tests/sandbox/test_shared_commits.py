"""Submissions that wait at the same time are committed together, and each stands or falls by itself."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest

from adapters.sandbox.customs.customs import BOOK
from adapters.sandbox.customs.ledger import Ledger
from adapters.sandbox.shared_commits import SharedCommits
from gateway.model.delivery import Outcome
from tests.support.submissions import NOW, reference_customs, sent


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path / BOOK, lambda: NOW)) as opened:
        yield opened


@pytest.fixture
def commits(ledger: Ledger) -> Iterator[SharedCommits]:
    with closing(SharedCommits(ledger, "tests")) as opened:
        yield opened


def keys(folder: Path) -> list[str]:
    """The keys of the calls that another process sees."""
    with closing(sqlite3.connect(folder / BOOK)) as other:
        return [key for (key,) in other.execute("SELECT key FROM calls ORDER BY id")]


def noted(ledger: Ledger, key: str, at: datetime = NOW) -> None:
    ledger.note_call(key, Outcome.TAKEN, "", at)


async def together(commits: SharedCommits, *work: Callable[[], str]) -> list[str | BaseException]:
    """Gives all of it while the thread is busy."""
    busy = threading.Event()
    before = asyncio.create_task(commits.alone(busy.wait))
    given = [asyncio.create_task(commits.write(partial(_as_it_is, each))) for each in work]
    await asyncio.sleep(0)
    busy.set()
    await before
    outcomes: list[str | BaseException] = await asyncio.gather(*given, return_exceptions=True)
    return outcomes


def _as_it_is(write: Callable[[], str]) -> Callable[[], str]:
    return write


def test_what_waits_at_the_same_time_is_committed_in_one_transaction(
    ledger: Ledger, commits: SharedCommits, tmp_path: Path
) -> None:
    seen = []

    def work(key: str) -> Callable[[], str]:
        def write() -> str:
            noted(ledger, key)
            seen.append(keys(tmp_path))
            return key

        return write

    assert asyncio.run(together(commits, *map(work, "ABC"))) == ["A", "B", "C"]
    assert seen == [[], [], []]
    assert keys(tmp_path) == ["A", "B", "C"]


def test_what_fails_is_undone_without_what_it_shares_the_transaction_with(
    ledger: Ledger, commits: SharedCommits, tmp_path: Path
) -> None:
    def work(key: str) -> Callable[[], str]:
        def write() -> str:
            noted(ledger, key)
            if key == "B":
                raise ValueError(key)
            return key

        return write

    first, second, third = asyncio.run(together(commits, *map(work, "ABC")))
    assert (first, third) == ("A", "C")
    assert isinstance(second, ValueError)
    assert keys(tmp_path) == ["A", "C"]


def test_where_the_transaction_is_lost_nothing_of_it_is_said_to_be_done(
    ledger: Ledger, commits: SharedCommits, tmp_path: Path
) -> None:
    def work(key: str) -> Callable[[], str]:
        def write() -> str:
            noted(ledger, key)
            if key == "B":
                ledger._connection.rollback()  # as SQLite does where the disk is full
                raise OSError("disk full")
            return key

        return write

    outcomes = asyncio.run(together(commits, *map(work, "ABC")))
    assert [type(outcome) for outcome in outcomes] == [OSError] * 3
    assert keys(tmp_path) == []
    assert asyncio.run(together(commits, work("D"))) == ["D"]


def test_numbers_have_no_gap_after_a_submission_that_is_refused_among_others(tmp_path: Path) -> None:
    wrong = sent("B", office="22")
    submissions = [sent("A"), wrong, sent("C")]

    async def scene() -> list[Outcome]:
        with closing(reference_customs(tmp_path)) as customs:
            taken = await asyncio.gather(*(each.given_to(customs) for each in submissions))
        return [outcome for outcome, _ in taken]

    assert asyncio.run(scene()) == [Outcome.TAKEN, Outcome.NEVER, Outcome.TAKEN]
    with closing(sqlite3.connect(tmp_path / BOOK)) as book:
        rows = book.execute("SELECT reference, seq_no FROM submissions ORDER BY rowid").fetchall()
    assert rows == [("A", "I20260000000000001"), ("C", "I20260000000000002")]
