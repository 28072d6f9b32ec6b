"""A statement that is executed again gives what SQLAlchemy gives, though it does not go through it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    bindparam,
    delete,
    func,
    insert,
    select,
    tuple_,
    update,
)
from sqlalchemy.exc import IntegrityError, MultipleResultsFound, NoResultFound

from adapters.store.database import sqlite_engine
from adapters.store.prepared import PreparedConnection, Rows
from adapters.store.tables.messages import Instant

TABLE: Final = Table(
    "things",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("at", Instant),
    Column("facts", JSON, nullable=False, default=dict),
    Column("open", Boolean, nullable=False, default=True),
    Column("body", LargeBinary),
    Column("count", Integer, nullable=False, default=0),
)
NOW: Final = datetime(2026, 11, 30, 8, 15, 30, 123456, tzinfo=UTC)
c = TABLE.c

SELECTS: Final[dict[str, tuple[Any, list[dict[str, Any]]]]] = {
    "all columns": (select(TABLE).order_by(c.id), [{}]),
    "by a time": (
        select(c.name).where(c.at <= bindparam("now")),
        [{"now": NOW}, {"now": NOW - timedelta(1)}],
    ),
    "by what is fixed": (select(c.name).where(c.open.is_(True), c.count == 0), [{}]),
    "in a list": (
        select(c.id, c.facts).where(c.name.in_(bindparam("names", expanding=True))).order_by(c.id),
        [{"names": ["a", "b"]}, {"names": ["b"]}, {"names": []}, {"names": ["a", "x", "b"]}],
    ),
    "in a list of times": (
        select(c.id).where(c.at.in_(bindparam("times", expanding=True))),
        [{"times": [NOW]}, {"times": [NOW, NOW]}],
    ),
    "in a fixed list": (select(c.id).where(c.name.in_(("a", "b"))).order_by(c.id), [{}]),
    "in a list of pairs": (
        select(c.name).where(tuple_(c.id, c.count).in_(bindparam("pairs", expanding=True))),
        [{"pairs": [(1, 0), (2, 5)]}, {"pairs": [(2, 5)]}, {"pairs": []}],
    ),
    "in a set": (
        select(c.name).where(c.name.in_(bindparam("set", expanding=True))).order_by(c.id),
        [{"set": {"a", "b"}}, {"set": {"a": 1}.keys()}, {"set": ("b",)}],
    ),
    "in a list of lists": (
        select(c.name).where(tuple_(c.id, c.count).in_(bindparam("lists", expanding=True))),
        [{"lists": [[1, 0]]}, {"lists": [(1, 0)]}],
    ),
    "with limit": (select(c.name).order_by(c.id).limit(bindparam("most")), [{"most": 1}, {"most": 9}]),
    "a function": (select(func.max(c.at).label("latest"), func.count()), [{}]),
    "a name of a method": (select(c.count, c.id.label("index")).order_by(c.id), [{}]),
}


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    engine = sqlite_engine(tmp_path / "store.db")
    TABLE.metadata.create_all(engine)
    with PreparedConnection(engine) as opened:
        opened.execute(
            insert(TABLE),
            [
                {
                    "name": "a",
                    "at": NOW,
                    "facts": {"关": [1, None]},
                    "open": True,
                    "body": b"\x00\xff",
                    "count": 0,
                },
                {"name": "b", "at": None, "facts": {}, "open": False, "body": None, "count": 5},
            ],
        )
        yield opened
    engine.dispose()


def plain(rows: Any) -> list[Any]:
    return [(tuple(row), dict(row._mapping)) for row in rows]


@pytest.mark.parametrize("name", SELECTS)
def test_a_reading_statement_gives_the_same_rows_each_time(connection: Connection, name: str) -> None:
    statement, parameters = SELECTS[name]
    for given in parameters:
        expected = plain(Connection.execute(connection, statement, given).all())
        for _ in range(3):
            result = connection.execute(statement, given)
            assert plain(result.all()) == expected
        assert isinstance(cast(object, result), Rows), "it still goes through SQLAlchemy"


def test_columns_are_attributes_of_a_row(connection: Connection) -> None:
    query = select(TABLE).where(c.name == bindparam("called"))
    for _ in range(3):
        row = connection.execute(query, {"called": "a"}).one()
        assert (row.at, row.facts, row.open, row.body, row[0]) == (
            NOW,
            {"关": [1, None]},
            True,
            b"\x00\xff",
            1,
        )
        assert row._asdict()["name"] == "a"


def test_what_is_inserted_has_defaults_and_its_number(connection: Connection) -> None:
    add = insert(TABLE)
    for number in range(3, 7):
        added = connection.execute(add, {"name": f"n{number}", "at": NOW})
        assert list(added.inserted_primary_key or ()) == [number]
    # Other keys make another statement; what is not given is filled in.
    connection.execute(add, {"name": "other", "count": 3, "open": False})
    rows = connection.execute(select(c.facts, c.open, c.count, c.at).where(c.id >= 6).order_by(c.id)).all()
    assert [tuple(row) for row in rows] == [({}, True, 0, NOW), ({}, False, 3, None)]


def test_many_are_inserted_in_order_with_their_numbers(connection: Connection) -> None:
    add = insert(TABLE).returning(c.id, c.name)
    for first, count in ((10, 3), (20, 3), (30, 1), (40, 13), (60, 64), (200, 100)):
        names = [f"{first + number}" for number in range(count)]
        rows = connection.execute(add, [{"name": name} for name in names]).all()
        assert [row.name for row in rows] == names
        assert [row.id for row in rows] == sorted(row.id for row in rows)


def test_a_change_says_how_many_rows_it_changed_and_which(connection: Connection) -> None:
    change = update(TABLE).where(c.name == bindparam("called"))
    back = update(TABLE).where(c.count > bindparam("over")).values(count=0).returning(c.name)
    for count in range(1, 4):
        assert connection.execute(change, {"called": "a", "count": count, "at": None}).rowcount == 1
        assert connection.execute(change, {"called": "x", "count": count, "at": None}).rowcount == 0
        assert sorted(connection.execute(back, {"over": 0}).scalars().all()) == (
            ["a", "b"] if count == 1 else ["a"]
        )


def test_many_changes_of_one_statement_are_all_made(connection: Connection) -> None:
    change = update(TABLE).where(c.name == bindparam("called")).values(count=c.count + bindparam("more"))
    for _ in range(3):
        connection.execute(change, [{"called": "a", "more": 1}, {"called": "b", "more": 2}])
    assert [tuple(row) for row in connection.execute(select(c.name, c.count).order_by(c.id))] == [
        ("a", 3),
        ("b", 11),
    ]


def test_what_is_made_from_a_repeated_statement_is_not_taken_for_it(connection: Connection) -> None:
    query = select(c.name).order_by(c.id)
    for _ in range(3):
        assert connection.execute(query).scalars().all() == ["a", "b"]
    assert connection.execute(query.where(c.id == 2)).scalars().all() == ["b"]
    gone = delete(TABLE).where(c.name == bindparam("called"))
    for _ in range(3):
        connection.execute(gone, {"called": "nobody"})
    assert connection.execute(gone.returning(c.id), {"called": "b"}).scalars().all() == [2]


def test_a_result_with_too_few_or_too_many_rows_raises(connection: Connection) -> None:
    query = select(c.id).where(c.id >= bindparam("least")).order_by(c.id)
    for _ in range(3):
        assert connection.execute(query, {"least": 3}).first() is None
        assert connection.execute(query, {"least": 3}).scalar() is None
        assert connection.execute(query, {"least": 3}).scalar_one_or_none() is None
        assert connection.execute(query, {"least": 2}).scalar_one() == 2
        with pytest.raises(NoResultFound):
            connection.execute(query, {"least": 3}).one()
        with pytest.raises(MultipleResultsFound):
            connection.execute(query, {"least": 1}).scalar_one()


def test_a_failure_is_the_librarys_exception_and_shows_no_values(connection: Connection) -> None:
    add = insert(TABLE)
    for name in ("c", "d"):
        connection.execute(add, {"name": name})
    with pytest.raises(IntegrityError) as failed:
        connection.execute(add, {"name": "c"})
    assert "UNIQUE" in str(failed.value)
    connection.execute(add, [{"name": "e"}])
    with pytest.raises(IntegrityError):
        connection.execute(add, [{"name": "secret"}, {"name": "secret"}])
    assert "secret" not in str(failed.value)


def test_a_value_that_is_missing_is_an_error(connection: Connection) -> None:
    query = select(c.id).where(c.name == bindparam("called"))
    for _ in range(2):
        connection.execute(query, {"called": "a"})
    with pytest.raises(KeyError, match="called"):
        connection.execute(query, {})


def test_a_value_that_is_part_of_the_text_is_that_of_each_execution(connection: Connection) -> None:
    numbers = iter(range(1, 9))
    literal = select(c.name).where(c.id == bindparam("number", literal_execute=True))
    called = select(c.name).where(c.id == bindparam("number", callable_=lambda: next(numbers)))
    for _ in range(3):
        assert connection.execute(literal, {"number": 1}).scalars().all() == ["a"]
        assert connection.execute(literal, {"number": 2}).scalars().all() == ["b"]
    assert [connection.execute(called).scalars().all() for _ in range(3)] == [["a"], ["b"], []]
