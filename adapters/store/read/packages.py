"""The packages that the store refers to."""

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, select

from adapters.store.tables.messages import agreements, deliveries, messages

_PACKAGES: Final = (
    select(messages.c.sha256)
    .where(messages.c.body.is_(None))
    .union(select(agreements.c.sha256), select(deliveries.c.package_sha256))
)


def packages(reader: Connection) -> Iterator[str]:
    """The SHA-256 (hex) of each, in order."""
    yield from reader.execution_options(yield_per=1000).execute(_PACKAGES.order_by("sha256")).scalars()
