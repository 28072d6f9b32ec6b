"""Small packages in the store."""

from typing import Final

from sqlalchemy import LargeBinary, String, bindparam, insert, select

from adapters.store.database import Transaction
from adapters.store.tables.messages import packages

_SHA256: Final = bindparam("digest", type_=String(64))
_PUT: Final = insert(packages).from_select(
    ["sha256", "body"],
    select(_SHA256, bindparam("bytes", type_=LargeBinary)).where(
        ~select(packages.c.sha256).where(packages.c.sha256 == _SHA256).exists()
    ),
)


def put_package(transaction: Transaction, sha256: str, body: bytes) -> None:
    """Keeps a package, once however often it is sent."""
    transaction.connection.execute(_PUT, {"digest": sha256, "bytes": body})
