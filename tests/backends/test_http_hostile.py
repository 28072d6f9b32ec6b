"""What the other end of HTTP must not do to a gateway: make it remember, keep it waiting, fill it."""

import asyncio
import time
from pathlib import Path

import pytest
from aiohttp import web

from adapters.backends import http_push
from gateway.model.delivery import Outcome
from tests.backends.test_http import answering, gateway, submitted
from tests.backends.test_http_push import push_listener
from tests.support.submissions import sent


def test_no_cookie_of_a_back_end_is_stored(tmp_path: Path) -> None:
    cookies: list[str | None] = []

    async def handler(request: web.Request) -> web.Response:
        await request.read()
        cookies.append(request.headers.get("Cookie"))
        return web.Response(
            status=201, headers={"Set-Cookie": f"session={len(cookies)}; Path=/; Max-Age=9999"}
        )

    async def scene() -> None:
        async with answering(handler) as url, gateway(tmp_path, url) as backend:
            assert await submitted(backend, sent()) == (Outcome.TAKEN, "")
            assert (await backend.ask(sent().key))[0] is Outcome.UNKNOWN
            assert await backend.answers(1) == []

    asyncio.run(scene())
    assert cookies == [None, None, None]


@pytest.mark.parametrize("begun", [b"", b"POST /answers/customs HTTP/1.1\r\nHost: gateway\r\nAnswer-Id: 1"])
def test_a_request_that_does_not_come_to_its_end_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(http_push, "_READ_WITHIN", 0.3)

    async def scene() -> bytes:
        async with push_listener(tmp_path) as at:
            host, _, port = at.url.removeprefix("https://").partition(":")
            reader, writer = await asyncio.open_connection(host, int(port), ssl=at.trust(at.pusher))
            writer.write(begun)
            async with asyncio.timeout(20):
                text = await reader.read()
            writer.close()
            return text

    began = time.monotonic()
    assert asyncio.run(scene()) == b""
    assert time.monotonic() - began < 15


@pytest.mark.parametrize(
    ("sent_", "status"),
    [
        (b"Transfer-Encoding: chunked\r\n\r\nzz\r\nno chunk\r\n0\r\n\r\n", b"400"),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n", b"411"),
        (b"Content-Length: -1\r\n\r\n", b"400"),
        (b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", b"400"),
        (b"Content-Length: 99999999999999999999\r\n\r\n", b"400"),
        (b"Content-Length: 33554433\r\nExpect: 100-continue\r\n\r\n", b"413"),
    ],
)
def test_a_body_that_is_no_answer_is_refused_and_the_end_point_stays_open(
    tmp_path: Path, sent_: bytes, status: bytes
) -> None:
    async def scene() -> None:
        async with push_listener(tmp_path) as at:
            host, _, port = at.url.removeprefix("https://").partition(":")
            reader, writer = await asyncio.open_connection(host, int(port), ssl=at.trust(at.pusher))
            named = (
                b"POST /answers/customs HTTP/1.1\r\nHost: gateway\r\nAnswer-Id: 1\r\nAnswer-Name: a.xml\r\n"
            )
            writer.write(named + sent_)
            async with asyncio.timeout(20):
                text = (await reader.read()).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
            writer.close()
            assert text.split(b" ")[1] == status, text
            assert await at.backend.answers(64) == []
            push = asyncio.create_task(at.bring())
            assert len(await at.keep(1)) == 1
            assert await push == 204

    asyncio.run(scene())
