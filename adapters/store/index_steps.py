"""The values of an indexed column, found by stepping from one to the next."""

from typing import Any

from sqlalchemy import CTE, Column, ColumnExpressionArgument, func, select


def distinct_values(column: Column[Any], *where: ColumnExpressionArgument[bool], name: str) -> CTE:
    """A query named `name`, with the values of `column` among the rows `where`; a last row is null. However
    many rows a value has, it costs one look into an index over `where` and the column."""
    first = select(func.min(column).label(column.name)).where(*where).cte(name, recursive=True)
    value = first.c[column.name]
    following = select(func.min(column)).where(*where, column > value).correlate(first).scalar_subquery()
    return first.union_all(select(following).where(value.is_not(None)))
