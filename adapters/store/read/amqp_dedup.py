"""Properties of received AMQP messages, for recognising a message that is delivered twice."""

from typing import Final

from sqlalchemy import bindparam, select

from adapters.store.database import Database
from adapters.store.tables.messages import messages
from adapters.store.tables.operations import replies

_SAME_MESSAGE: Final = (
    select(messages.c.seq)
    .join(replies, replies.c.message == messages.c.id)
    .where(
        replies.c.account == bindparam("account"),
        replies.c.message_id == bindparam("message_id"),
        messages.c.sha256 == bindparam("sha256"),
    )
    .limit(1)
)


class SqlAmqpDuplicates:
    """gateway.receive.ports.AmqpDuplicates over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def seen(self, account: str, message_id: str, sha256: str) -> bool:
        values = {"account": account, "message_id": message_id, "sha256": sha256}
        row = await self._database.read(lambda reader: reader.execute(_SAME_MESSAGE, values).first())
        return row is not None
