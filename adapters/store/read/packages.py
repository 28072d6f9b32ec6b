"""The packages that the store refers to, and those that it holds."""

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection, bindparam, inspect, select

from adapters.store.tables.messages import agreements, deliveries, messages, packages

_PACKAGES: Final = (
    select(messages.c.sha256)
    .where(messages.c.body.is_(None))
    .union(select(agreements.c.sha256), select(deliveries.c.package_sha256))
)


_BODY: Final = select(packages.c.body).where(packages.c.sha256 == bindparam("sha256"))


def referred_packages(reader: Connection) -> Iterator[str]:
    """The SHA-256 (hex) of each, in order."""
    yield from reader.execution_options(yield_per=1000).execute(_PACKAGES.order_by("sha256")).scalars()


def package_body(reader: Connection, sha256: str) -> Any:
    """The bytes of a package that the store holds itself, None if it does not. SQLite also gives a value of
    another type, if somebody has put one there."""
    return reader.execute(_BODY, {"sha256": sha256}).scalar()


def holds_packages(reader: Connection) -> bool:
    """Whether this is a store of a release that keeps small packages in it."""
    return inspect(reader).has_table(packages.name)
