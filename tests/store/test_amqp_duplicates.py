"""What every store must promise about AMQP messages that are given to us twice."""

import asyncio
from dataclasses import replace

from adapters.store.read.amqp_dedup import SqlAmqpDuplicates
from gateway.model.message import Reply
from tests.support.stores import Store, arrival

REPLY = Reply(message_id="m 1", correlation="order 1", to="broker.replies")


def test_a_duplicate_is_recognised_by_account_message_id_and_content(store: Store) -> None:
    async def test() -> None:
        replies = SqlAmqpDuplicates(store.database)
        sent = replace(arrival(), reply=REPLY)
        assert not await replies.seen("broker", REPLY.message_id, sent.sha256)
        await store.messages.add(sent)
        assert await replies.seen("broker", REPLY.message_id, sent.sha256)
        assert not await replies.seen("other", REPLY.message_id, sent.sha256)
        assert not await replies.seen("broker", "m 2", sent.sha256)
        assert not await replies.seen("broker", REPLY.message_id, arrival(2).sha256)

    asyncio.run(test())
