"""Declarations in and receipts out over a real broker."""

import asyncio
import hashlib
from pathlib import Path

import aio_pika
from sqlalchemy import select

from adapters.store.tables.messages import messages
from gateway.formats import xml
from tests.support.amqp import AmqpHome, Platform, founded, run, tool
from tests.support.declarations import owing_nothing
from tests.support.rabbitmq import Rabbit
from tests.support.rendering import packed, render
from tests.support.served import Gateway


def stored(gateway: Gateway, name: str) -> list[str]:
    with gateway.reading() as store:
        return list(store.execute(select(messages.c.channel).where(messages.c.name == name)).scalars())


def test_a_declaration_comes_in_and_its_receipts_go_out(amqp: AmqpHome) -> None:
    async def test() -> None:
        async with await Platform.connect(amqp.rabbit, amqp.vhost) as platform:
            body = render(owing_nothing("AMQPWAY0001"))
            await platform.send(body, "way-1", correlation_id="order 1", headers={"name": "way-1.xml"})
            final = await platform.final("order 1")
            assert (final.type, final.content_type) == ("gateway", "application/xml")
            assert final.headers["verdict"] == "accepted"
            assert final.headers["reference"] == "AMQPWAY0001"
            assert final.message_id is not None
            assert final.message_id.startswith("receipt-")
            assert hashlib.sha256(body).hexdigest().encode() in final.body
            assert xml.parse(final.body) is not None
            assert stored(amqp.gateway, "way-1.xml") == ["amqp"]

    run(test)


def test_without_a_correlation_id_receipts_bear_the_message_id(amqp: AmqpHome) -> None:
    async def test() -> None:
        async with await Platform.connect(amqp.rabbit, amqp.vhost) as platform:
            await platform.send(render(owing_nothing("AMQPWAY0002")), "way 2/")
            await platform.final("way 2/")
            assert stored(amqp.gateway, "way_2_.xml") == ["amqp"]

    run(test)


def test_receipts_go_to_the_queue_of_the_senders_own_that_it_names(amqp: AmqpHome) -> None:
    async def test() -> None:
        async with await Platform.connect(amqp.rabbit, amqp.vhost) as platform:
            own = await platform.channel.declare_queue("broker-aa.answers", durable=True)
            body = render(owing_nothing("AMQPWAY0003"))
            await platform.send(body, "way-3", reply_to=own.name)
            await platform.final("way-3", own)

    run(test)


def test_a_message_that_was_sent_again_before_the_gateway_took_it_has_its_receipts_twice(
    rabbit: Rabbit, tmp_path: Path
) -> None:
    # Its sender had no confirmation, and waits for the receipts on another queue now.
    place = founded(tmp_path, rabbit)
    with place.gateway:
        place.until_connected()
        place.gateway.stop()

        async def sent() -> None:
            async with await Platform.connect(rabbit, place.vhost) as platform:
                body = render(owing_nothing("AMQPWAY0011"))
                queues = [
                    await platform.channel.declare_queue(f"broker-aa.answers-{number}", durable=True)
                    for number in range(2)
                ]
                for queue in queues:
                    await platform.send(body, "way-11", reply_to=queue.name)
                await asyncio.to_thread(place.gateway.start)
                for queue in queues:
                    await platform.final("way-11", queue)

        run(sent)


def test_a_direct_reply_is_honoured(amqp: AmqpHome) -> None:
    async def test() -> None:
        async with await Platform.connect(amqp.rabbit, amqp.vhost) as platform:
            replies: asyncio.Queue[aio_pika.abc.AbstractIncomingMessage] = asyncio.Queue()
            direct = await platform.channel.get_queue("amq.rabbitmq.reply-to", ensure=False)
            await direct.consume(replies.put, no_ack=True)
            await platform.send(render(owing_nothing("AMQPWAY0004")), "way-4", reply_to=direct.name)
            while not (await replies.get()).headers["final"]:
                pass

    run(test)


def test_the_queue_of_another_account_gets_nothing(amqp: AmqpHome) -> None:
    async def test() -> None:
        async with (
            await Platform.connect(amqp.rabbit, amqp.vhost) as platform,
            await Platform.connect(amqp.rabbit, amqp.vhost, "broker-b") as other,
        ):
            body = render(owing_nothing("AMQPWAY0005"))
            await platform.send(body, "way-5", reply_to=other.receipts.name)
            await platform.final("way-5")
            while (theirs := await other.receipts.get(no_ack=True, fail=False)) is not None:
                assert theirs.correlation_id != "way-5"

    run(test)


def test_clients_of_another_vendor_receive_receipts(amqp: AmqpHome) -> None:
    async def test() -> None:
        async with await Platform.connect(amqp.rabbit, amqp.vhost) as platform:
            own = await platform.channel.declare_queue("broker-aa.tools", durable=True)
            body = render(owing_nothing("AMQPWAY0007"))
            await platform.send(body, "way-7", reply_to=own.name)
            url = amqp.rabbit.url(amqp.vhost, "broker-aa")
            result = await asyncio.to_thread(
                tool, "amqp-consume", "-u", url, "-q", own.name, "-c", "1", "cat"
            )
            assert xml.parse(result.stdout) is not None

    run(test)


def test_a_package_that_was_uploaded_over_sftp_is_claimed(amqp: AmqpHome) -> None:
    async def test() -> None:
        async with await Platform.connect(amqp.rabbit, amqp.vhost) as platform:
            body = render(owing_nothing("AMQPWAY0008"))
            await asyncio.to_thread(_upload, amqp.gateway, "way-8.xml.part", body)
            await claim(platform, "way-8.xml.part", body, "way-8")
            final = await platform.final("way-8")
            assert final.headers["verdict"] == "accepted"
            assert stored(amqp.gateway, "way-8.xml") == ["amqp"]
            # It is a message now: there is nothing to claim any more.
            await claim(platform, "way-8.xml.part", body, "way-8b")
            refusal = await platform.refusal("way-8b")
            assert refusal.headers["x-reason"] == "claim-missing"

    run(test)


def test_of_many_claims_of_one_upload_only_those_that_are_true_are_taken(amqp: AmqpHome) -> None:
    async def test() -> None:
        async with await Platform.connect(amqp.rabbit, amqp.vhost) as platform:
            body = render(owing_nothing("AMQPWAY0009"))
            await asyncio.to_thread(_upload, amqp.gateway, "way-9.xml.part", body)
            ids = [f"way-9-{number}" for number in range(16)]
            await asyncio.gather(
                *(
                    claim(platform, "way-9.xml.part", body, id_, size=len(body) if id_[-1] in "02468" else 7)
                    for id_ in ids
                )
            )
            collected: set[str | None] = set()
            while not collected >= {*ids}:  # the queue may have receipts of other tests
                message = await platform.hear()
                if message.type == "refused" or message.headers.get("final"):
                    collected.add(message.correlation_id)
            with amqp.gateway.reading() as store:
                sizes = store.execute(select(messages.c.size).where(messages.c.name == "way-9.xml"))
                assert {*sizes.scalars()} == {len(body)}

    run(test)


def test_a_package_is_recognised_by_the_content_types_that_clients_write(amqp: AmqpHome) -> None:
    async def test() -> None:
        async with await Platform.connect(amqp.rabbit, amqp.vhost) as platform:
            kinds = {
                "text/xml": render,
                "application/x-zip-compressed": packed,
                "application/octet-stream": packed,
                "application/octet-stream; charset=utf-8": render,
            }
            for number, (kind, made) in enumerate(kinds.items()):
                body, message = made(owing_nothing(f"AMQPKIND000{number}")), f"kind-{number}"
                await platform.send(body, message, content_type=kind, content_encoding="UTF-8")
                final = await platform.final(message)
                assert final.headers["verdict"] == "accepted", kind
                assert stored(amqp.gateway, f"{message}.{'zip' if made is packed else 'xml'}") == ["amqp"]

    run(test)


async def claim(platform: Platform, file: str, body: bytes, message_id: str, size: int | None = None) -> None:
    digest = hashlib.sha256(body).hexdigest()
    text = f'{{"file": "{file}", "size": {len(body) if size is None else size}, "sha256": "{digest}"}}'
    kind = "application/vnd.customs-edi-gateway.claim+json"
    await platform.send(text.encode(), message_id, content_type=kind)


def _upload(gateway: Gateway, name: str, body: bytes) -> None:
    with gateway.login("broker-aa").session() as client, client.open(f"/OutBox/{name}", "wb") as file:
        file.write(body)
