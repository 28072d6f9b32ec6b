"""What is not taken over AMQP: where it goes, and what its sender is told."""

import asyncio
import gzip
import json
from collections.abc import Callable
from typing import Any, Final

import pytest
from aio_pika.exceptions import ChannelClosed
from paramiko import SFTPFile

from gateway.model.faults import Fault
from tests.support.amqp import LARGEST, AmqpHome, Platform, dead, run, tool

CLAIM: Final = "application/vnd.customs-edi-gateway.claim+json"
SHA256: Final = "0" * 64


def claim(file: str, size: int = 4, sha256: str = SHA256) -> bytes:
    return json.dumps({"file": file, "size": size, "sha256": sha256}).encode()


CASES: Final[dict[str, tuple[Fault, bytes, dict[str, Any]]]] = {
    "no content type": (Fault.AMQP_CONTENT_TYPE, b"<a/>", {"content_type": None}),
    "text": (Fault.AMQP_CONTENT_TYPE, b"<a/>", {"content_type": "text/plain"}),
    "encoding that is said": (Fault.AMQP_ENCODING, b"<a/>", {"content_encoding": "gzip"}),
    "encoding that is seen": (Fault.AMQP_ENCODING, gzip.compress(b"<a/>"), {"content_encoding": "UTF-8"}),
    "empty": (Fault.AMQP_SIZE, b"", {}),
    "control character": (Fault.AMQP_MESSAGE_ID, b"<a/>", {"message_id": "a\nb"}),
    "name of a zip": (Fault.AMQP_NAME, b"<a/>", {"headers": {"name": "a.zip"}}),
    "name with a folder": (Fault.AMQP_NAME, b"<a/>", {"headers": {"name": "../a.xml"}}),
    "name is a number": (Fault.AMQP_NAME, b"<a/>", {"headers": {"name": 5}}),
    "name too long": (Fault.AMQP_NAME, b"<a/>", {"headers": {"name": "a" * 252 + ".xml"}}),
    "claim of nothing": (Fault.CLAIM_UNREADABLE, b"{}", {"content_type": CLAIM}),
    "claim is no JSON": (Fault.CLAIM_UNREADABLE, b"\xff" * 9, {"content_type": CLAIM}),
    "claim is nested": (Fault.CLAIM_UNREADABLE, b"[" * 4000, {"content_type": CLAIM}),
    "claim of a missing file": (Fault.CLAIM_MISSING, claim("none.zip.part"), {"content_type": CLAIM}),
    "claim of a finished name": (Fault.CLAIM_MISSING, claim("none.zip"), {"content_type": CLAIM}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_message_that_cannot_be_taken_is_put_aside_and_its_sender_is_notified(
    amqp: AmqpHome, case: str
) -> None:
    fault, body, properties = CASES[case]

    async def test() -> None:
        async with await Platform.connect(amqp.rabbit, amqp.vhost) as platform:
            values = {"message_id": f"refused {case}", "correlation_id": case, **properties}
            await platform.send(body, **values)
            refusal = await platform.refusal(case)
            aside = await dead(amqp.rabbit, amqp.vhost, case)
        assert aside.body == body
        assert aside.headers["x-user"] == "broker-aa"
        assert aside.headers["x-routing-key"] == "declarations"
        for letter in (refusal, aside):
            assert letter.headers["x-reason"] == fault.code
            assert letter.headers["x-reason-en"]
            assert letter.headers["x-reason-zh"]
        assert json.loads(refusal.body)["code"] == fault.code

    run(test)


def test_a_package_that_is_too_large_is_put_aside_by_the_broker_and_its_sender_is_notified(
    amqp: AmqpHome,
) -> None:
    async def test() -> None:
        async with await Platform.connect(amqp.rabbit, amqp.vhost) as platform:
            await platform.send(bytes(LARGEST + 1), "large", correlation_id="large")
            refusal = await platform.refusal("large")
            assert refusal.headers["x-reason"] == Fault.AMQP_SIZE.code
            assert "x-death" in (await dead(amqp.rabbit, amqp.vhost, "large")).headers

    run(test)


def test_a_message_without_a_user_is_put_aside_and_nobody_is_notified(amqp: AmqpHome) -> None:
    async def test() -> None:
        url = amqp.rabbit.url(amqp.vhost, "broker-aa")
        options = ("-e", "gateway.in", "-r", "x", "-C", "application/xml", "-b", "<tool/>")
        await asyncio.to_thread(tool, "amqp-publish", "-u", url, *options)
        aside = await dead(amqp.rabbit, amqp.vhost, None)
        assert (aside.body, aside.headers["x-reason"]) == (b"<tool/>", Fault.AMQP_USER.code)

    run(test)


def test_a_user_whose_receipts_do_not_go_out_over_amqp_is_refused(amqp: AmqpHome) -> None:
    async def test() -> None:
        amqp.rabbit.allow(amqp.vhost, "trader-a", "^trader-a.*", ".*", ".*")
        async with await Platform.connect(amqp.rabbit, amqp.vhost, "trader-a") as platform:
            await platform.send(b"<a/>", "trader", correlation_id="trader")
            aside = await dead(amqp.rabbit, amqp.vhost, "trader")
            assert aside.headers["x-reason"] == Fault.AMQP_USER.code
            assert await platform.receipts.get(fail=False) is None

    run(test)


def test_nobody_sends_as_another(amqp: AmqpHome) -> None:
    async def test() -> None:
        async with await Platform.connect(amqp.rabbit, amqp.vhost, "broker-b") as platform:
            with pytest.raises(ChannelClosed, match="user_id"):
                await platform.send(b"<a/>", "forged", user_id="broker-aa")

    run(test)


@pytest.mark.parametrize(
    ("fault", "finish"),
    [(Fault.CLAIM_OPEN, lambda file: None), (Fault.CLAIM_DIFFERS, lambda file: file.close())],
    ids=["open", "another digest"],
)
def test_a_claim_of_an_upload_that_is_not_it_leaves_the_upload(
    amqp: AmqpHome, fault: Fault, finish: Callable[[SFTPFile], None]
) -> None:
    async def test(client: Any) -> None:
        async with await Platform.connect(amqp.rabbit, amqp.vhost) as platform:
            await platform.send(claim(f"{fault.code}.zip.part"), fault.code, content_type=CLAIM)
            refusal = await platform.refusal(fault.code)
            assert refusal.headers["x-reason"] == fault.code
            await dead(amqp.rabbit, amqp.vhost, None)
        assert f"{fault.code}.zip.part" in await asyncio.to_thread(client.listdir, "/OutBox")

    with amqp.gateway.login("broker-aa").session() as client:
        file = client.open(f"/OutBox/{fault.code}.zip.part", "wb")
        file.write(b"1234")
        finish(file)
        run(lambda: test(client))


def test_a_message_beyond_an_accounts_allowance_is_refused_with_a_notice(amqp: AmqpHome) -> None:
    async def test() -> None:
        async with await Platform.connect(amqp.rabbit, amqp.vhost, "broker-b") as platform:
            await platform.send(b"<longer-than-ten/>", "beyond", correlation_id="beyond")
            refusal = await platform.refusal("beyond")
        assert refusal.headers["x-reason"] == Fault.ALLOWANCE_USED.code

    _allow(amqp, 10)
    try:
        run(test)
    finally:
        _allow(amqp, 0)


def _allow(amqp: AmqpHome, daily_bytes: int) -> None:
    """Of broker-b; 0 sets no bound."""
    parties = amqp.gateway.home.path / "parties.toml"
    text = parties.read_text("utf-8")
    named = 'name = "broker-b"\n'
    path = parties.with_name("bounded.toml")
    path.write_text(text.replace(named, f"{named}daily_bytes = {daily_bytes}\n"), "utf-8")
    done = amqp.gateway.cli("parties", "import", str(path))
    assert done.returncode == 0, done.stderr
