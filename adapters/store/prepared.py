"""Statements that are compiled once.

SQLAlchemy looks up a compiled form for each execution and makes a context, a result and processors for it:
that takes longer than SQLite takes for the statement. Here a statement object that is executed again, as
those that modules define once, keeps its text and what turns values into parameters and columns into values.
All others go through SQLAlchemy, and so does every statement for another database than SQLite.
"""

import re
import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, cast
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import (
    BindParameter,
    ColumnDefault,
    Connection,
    CursorResult,
    Delete,
    Dialect,
    Insert,
    Select,
    Update,
)
from sqlalchemy.exc import DBAPIError, MultipleResultsFound, NoResultFound
from sqlalchemy.sql.compiler import SQLCompiler

Values = Mapping[str, Any]
_Convert = Callable[[Any], Any]
_ONE_ROW: Final = re.compile(r"VALUES (\((?:\?(?:, )?)+\)) RETURNING ")  # of an INSERT
_MOST_ROWS: Final = 5  # as a power of two: SQLite takes 32,766 parameters, and no table has 100 columns
_PREPARABLE: Final = (Select, Insert, Update, Delete)


class PreparedConnection(Connection):
    """A connection whose repeated statements are prepared. Raises what SQLAlchemy raises; rows have the
    columns as attributes and in `_mapping`, results have the methods of `Rows`."""

    def execute(self, statement: Any, parameters: Any = None, **options: Any) -> CursorResult[Any]:
        many = isinstance(parameters, list)
        prepared = None if options else _prepared(statement, parameters, self.dialect, many=many)
        if prepared is None:
            return super().execute(statement, parameters, **options)
        driver = cast(sqlite3.Connection, self.connection.dbapi_connection)
        rows = prepared.many(driver, parameters) if many else prepared.one(driver, parameters or {})
        return cast(CursorResult[Any], rows)


class Rows:
    """The result of a statement, with the methods of `sqlalchemy.CursorResult` that are in use."""

    def __init__(self, rows: Sequence[Any], rowcount: int, inserted: int | None) -> None:
        self._rows = rows
        self.rowcount = rowcount
        self.inserted_primary_key = (inserted,)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def all(self) -> Sequence[Any]:
        return self._rows

    def first(self) -> Any:
        return self._rows[0] if self._rows else None

    def one(self) -> Any:
        row = self.one_or_none()
        if row is None:
            raise NoResultFound("No row was found when one was required")
        return row

    def one_or_none(self) -> Any:
        if len(self._rows) > 1:
            raise MultipleResultsFound("Multiple rows were found when one or none was required")
        return self.first()

    def scalar(self) -> Any:
        return self._rows[0][0] if self._rows else None

    def scalar_one(self) -> Any:
        return self.one()[0]

    def scalar_one_or_none(self) -> Any:
        row = self.one_or_none()
        return None if row is None else row[0]

    def scalars(self) -> "Rows":
        return Rows([row[0] for row in self._rows], self.rowcount, None)


class _Prepared:
    """One statement with one set of parameters; `lists` are those that an IN spells out, by length."""

    def __init__(self, statement: Any, keys: Sequence[str], dialect: Dialect, *, many: bool) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=list(keys), for_executemany=many)
        self._compiled = cast(SQLCompiler, compiled)
        self._dialect = dialect
        filled_in = (*self._compiled.insert_prefetch, *self._compiled.update_prefetch)
        self._defaults = {column.key: cast(ColumnDefault, column.default).arg for column in filled_in}
        self._lists = {bind.key: bind for bind in self._compiled.bind_names if bind.expanding}
        # False where a value is part of the text, or is asked for with each execution.
        self.repeatable = not self._compiled.literal_execute_params and not any(
            bind.callable for bind in self._compiled.bind_names
        )
        self._texts: dict[tuple[tuple[int, int], ...], tuple[str, list[Callable[[Values], Any]]]] = {}
        columns = statement.selected_columns if isinstance(statement, Select) else statement.exported_columns
        self._returns = bool(columns)
        self._converts = [_result(column.type, dialect) for column in columns]
        self._plain = not any(self._converts)
        self._row: type[Any] | None = None

    def one(self, driver: sqlite3.Connection, values: Values) -> Rows:
        text, parameters = self._bound(values)
        try:
            cursor = driver.execute(text, parameters)
            rows = self._rows(cursor, cursor.fetchall()) if self._returns else ()
        except sqlite3.Error as error:
            raise self._translated(text, error) from error
        return Rows(rows, cursor.rowcount, cursor.lastrowid)

    def many(self, driver: sqlite3.Connection, given: Sequence[Values]) -> Rows:
        if self._returns:
            return self._returned(driver, given)
        text, _ = self._bound(given[0])
        try:
            cursor = driver.executemany(text, [self._bound(values)[1] for values in given])
        except sqlite3.Error as error:
            raise self._translated(text, error) from error
        return Rows((), cursor.rowcount, None)

    def _returned(self, driver: sqlite3.Connection, given: Sequence[Values]) -> Rows:
        """Inserts many rows with one statement, each time as many as a power of two: the driver keeps the
        texts parsed, and there are few of them."""
        rows, at = list[Any](), 0
        while at < len(given):
            text, parameters = self._bound(given[at])
            count = 1
            if row := _ONE_ROW.search(text):
                count = 1 << min((len(given) - at).bit_length() - 1, _MOST_ROWS)
                text = f"{text[: row.end(1)]}{f', {row[1]}' * (count - 1)}{text[row.end(1) :]}"
                for values in given[at + 1 : at + count]:
                    parameters += self._bound(values)[1]
            try:
                cursor = driver.execute(text, parameters)
                rows += self._rows(cursor, cursor.fetchall())
            except sqlite3.Error as error:
                raise self._translated(text, error) from error
            at += count
        return Rows(rows, len(rows), None)

    def _bound(self, values: Values) -> tuple[str, list[Any]]:
        shape: tuple[tuple[int, int], ...] = ()
        if self._lists:
            lists = {key: _list(bind, values) for key, bind in self._lists.items()}
            values = {**values, **lists}
            shape = tuple((len(each), _width(each)) for each in lists.values())
        if shape not in self._texts:
            self._texts[shape] = self._text(values)
        text, parameters = self._texts[shape]
        return text, [each(values) for each in parameters]

    def _text(self, values: Values) -> tuple[str, list[Callable[[Values], Any]]]:
        """The text for IN lists of these lengths, and what finds each of its parameters among the values."""
        lists = {key: values[key] for key in self._lists}
        binds = self._compiled.bind_names
        state = self._compiled.construct_expanded_state({each.key: lists.get(each.key) for each in binds})
        found: dict[str, Callable[[Values], Any]] = {}
        for bind, name in binds.items():
            if not bind.expanding:
                found[name] = self._value(bind)
                continue
            width = _width(lists[bind.key])
            for place, expanded in enumerate(state.parameter_expansion[name]):
                convert = cast(_Convert | None, state.processors.get(expanded))
                found[expanded] = _element(bind.key, place, width, convert)
        return state.statement, [found[name] for name in state.positiontup or ()]

    def _value(self, bind: BindParameter[Any]) -> Callable[[Values], Any]:
        key, convert = bind.key, _bind(bind.type, self._dialect)
        if key in self._defaults:
            return self._filled_in(key, convert)
        if not bind.required:
            fixed = bind.effective_value
            return lambda values: _converted(values.get(key, fixed), convert)
        if convert is None:
            return itemgetter(key)
        return lambda values: convert(values[key])

    def _filled_in(self, key: str, convert: _Convert | None) -> Callable[[Values], Any]:
        default = self._defaults[key]

        def value(values: Values) -> Any:
            if key in values:
                return _converted(values[key], convert)
            return _converted(default(None) if callable(default) else default, convert)

        return value

    def _rows(self, cursor: sqlite3.Cursor, rows: Sequence[Any]) -> Sequence[Any]:
        if not rows:
            return rows
        if self._row is None:
            self._row = _row_of([each[0] for each in cursor.description])
        make = self._row._make
        if self._plain:
            return [make(row) for row in rows]
        converts = self._converts
        return [make([v if f is None else f(v) for v, f in zip(row, converts, strict=True)]) for row in rows]

    def _translated(self, text: str, error: sqlite3.Error) -> BaseException:
        """The exception of SQLAlchemy for one of the driver, without the values of the statement."""
        kind = self._dialect.loaded_dbapi.Error
        return DBAPIError.instance(text, None, error, kind, hide_parameters=True, dialect=self._dialect)


_Shapes = dict[tuple[bool, tuple[str, ...]], _Prepared | None]
_seen: WeakSet[Any] = WeakSet()
_statements: WeakKeyDictionary[Any, _Shapes] = WeakKeyDictionary()


def _prepared(statement: Any, parameters: Any, dialect: Dialect, *, many: bool) -> _Prepared | None:
    """None where it is better left to SQLAlchemy."""
    shapes = _statements.get(statement)
    if shapes is None:
        if dialect.name != "sqlite" or not isinstance(statement, _PREPARABLE):
            return None
        if statement not in _seen:
            _seen.add(statement)
            return None
        shapes = _statements[statement] = {}
    if many and not parameters:
        return None
    # A statement that reads is the same whatever is given with it; one that writes has a column for each key.
    keys = () if isinstance(statement, Select) else tuple((parameters[0] if many else parameters) or ())
    if (many, keys) not in shapes:
        prepared = _Prepared(statement, keys, dialect, many=many)
        shapes[many, keys] = prepared if prepared.repeatable else None
    return shapes[many, keys]


def _row_of(names: Sequence[str]) -> type[Any]:
    plain = namedtuple("_Plain", names, rename=True)  # type: ignore[misc]  # the columns of a statement

    class _Row(plain):
        __slots__ = ()

        @property
        def _mapping(self) -> Mapping[str, Any]:
            return dict(zip(names, self, strict=True))

    return _Row


def _converted(value: Any, convert: _Convert | None) -> Any:
    return value if convert is None else convert(value)


def _list(bind: BindParameter[Any], values: Values) -> Sequence[Any]:
    given = values.get(bind.key, bind.effective_value)
    return given if type(given) is list else list(given)


def _width(elements: Sequence[Any]) -> int:
    """The number of values in each element of an IN list of tuples; 0 where its elements are values."""
    return len(elements[0]) if elements and isinstance(elements[0], tuple | list) else 0


def _element(key: str, place: int, width: int, convert: _Convert | None) -> Callable[[Values], Any]:
    """The value at a place of an IN list, whose elements are tuples of this width, or none where it is 0."""
    number, part = divmod(place, width) if width else (place, 0)

    def element(values: Values) -> Any:
        value = values[key][number]
        return _converted(value[part] if width else value, convert)

    return element


def _bind(type_: Any, dialect: Dialect) -> _Convert | None:
    return cast(_Convert | None, type_.dialect_impl(dialect).bind_processor(dialect))


def _result(type_: Any, dialect: Dialect) -> _Convert | None:
    return cast(_Convert | None, type_.dialect_impl(dialect).result_processor(dialect, None))
