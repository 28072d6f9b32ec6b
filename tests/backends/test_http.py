"""What a back-end over HTTP promises beyond the contract of all: what each word and each silence means, and
who is let in."""

import asyncio
import base64
import hashlib
import io
import shutil
import ssl
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from socket import SHUT_WR
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any

import httpx
import pytest
from aiohttp import web

from adapters.backends.http import ECHO, Client, opened_client
from adapters.backends.http_answers import PolledBackend
from adapters.backends.rest import Rest
from adapters.cli.init.init import free_port
from adapters.sandbox.cli.customs_serve_http import PeerTls
from adapters.sandbox.customs.serving_http import serving
from gateway.config.connections import HttpBackendSettings
from gateway.model.delivery import Outcome
from tests.support.submissions import PackagedSubmission, reference_customs, sent
from tests.support.tls import IssuedCertificate, issued

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def answering(
    handler: Handler, tls: ssl.SSLContext | None = None, echo: bool = True
) -> AsyncIterator[str]:
    """A server that says to everything what `handler` says, and of which submission, where it is customs."""
    app = web.Application(client_max_size=0)
    if echo:
        app.on_response_prepare.append(_name_it)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{runner.addresses[0][1]}/customs"
    finally:
        await runner.cleanup()


async def _name_it(request: web.Request, response: web.StreamResponse) -> None:
    response.headers[ECHO] = request.headers.get("Idempotency-Key") or request.path.rpartition("/")[2]


@asynccontextmanager
async def gateway(folder: Path, url: str, **more: Any) -> AsyncIterator[PolledBackend]:
    settings = HttpBackendSettings.model_validate({"kind": "http", "url": url, **more})
    async with opened_client(settings, folder) as client:
        yield PolledBackend(client, settings, folder)


async def submitted(backend: PolledBackend, one: PackagedSubmission) -> tuple[Outcome, str]:
    return await backend.submit(one.submission, lambda _sha256: io.BytesIO(one.package))


def test_a_client_uses_another_certificate_and_other_issuers_after_its_renewal(tmp_path: Path) -> None:
    """The server asks for a certificate of the new authority and shows one; until then there is no way."""
    tls, new = tmp_path / "tls", tmp_path / "new"
    own = issued(tls, "gateway")
    server, other = issued(new, "server", "new authority"), issued(new, "gateway", "new authority")
    trust = PeerTls(certificate=server.certificate, key=server.key, issuers=server.ca)

    async def scene(client: Client) -> bool:
        with suppress(httpx.TransportError, ssl.SSLError):
            return (await client.get("submissions/1")).status_code == 200
        return False

    async def changed() -> None:
        async with answering(responding(200), trust.context(ssl.Purpose.CLIENT_AUTH)) as url:
            named = {name: str(getattr(own, name)) for name in ("ca", "certificate", "key")}
            settings = HttpBackendSettings.model_validate({"kind": "http", "url": url, **named})
            async with opened_client(settings, tmp_path) as client:
                assert not await scene(client)
                shutil.copyfile(other.certificate, own.certificate)
                with pytest.raises(ssl.SSLError):
                    client.renewal()  # the key beside it does not belong to it
                for name in ("key", "ca"):
                    shutil.copyfile(getattr(other, name), getattr(own, name))
                take = client.renewal()
                assert not await scene(client)
                for _ in range(3):  # those of the time before the last are closed meanwhile
                    take()
                    assert await scene(client)
                    take = client.renewal()

    asyncio.run(changed())


def responding(status: int, text: str = "", **headers: str) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=status, text=text or None, headers=headers)

    return handler


MEANINGS = {
    **dict.fromkeys((200, 201, 202, 204), Outcome.TAKEN),
    **dict.fromkeys((400, 413, 415, 422), Outcome.NEVER),
    **dict.fromkeys((301, 302, 307, 308, 401, 403, 407), Outcome.DENIED),
    **dict.fromkeys((409, 429, 503), Outcome.BUSY),
    **dict.fromkeys((404, 405, 408, 410, 425, 501, 507), Outcome.LATER),
    **dict.fromkeys((203, 206, 500, 502, 504), Outcome.UNKNOWN),
}


@pytest.mark.parametrize("status", MEANINGS)
def test_each_status_means_what_the_protocol_says(tmp_path: Path, status: int) -> None:
    async def scene() -> tuple[Outcome, str]:
        location = {"Location": "/elsewhere"} if 300 <= status < 400 else {}
        async with answering(responding(status, **location)) as url, gateway(tmp_path, url) as backend:
            return await submitted(backend, sent())

    outcome, note = asyncio.run(scene())
    assert outcome is MEANINGS[status]
    assert note == "" if status < 300 else str(status) in note


@pytest.mark.parametrize("status", [200, 201, 202, 204])
@pytest.mark.parametrize("named", ["", "01M6CY1EB00000000000000004"])
def test_an_http_answer_that_does_not_name_the_submission_is_not_taken_for_customs(
    tmp_path: Path, status: int, named: str
) -> None:
    """As of a network's log-in page: to a submission, and to the question for it."""

    async def scene() -> list[tuple[Outcome | None, str]]:
        headers = {ECHO: named} if named else {}
        page = responding(status, "" if status == 204 else "<html>please log in</html>", **headers)
        async with answering(page, echo=False) as url, gateway(tmp_path, url) as backend:
            return [await submitted(backend, sent()), await backend.ask(sent().key)]

    for outcome, note in asyncio.run(scene()):
        assert outcome is Outcome.UNKNOWN
        assert f"HTTP {status}" in note


def test_not_found_is_believed_only_if_the_answer_names_the_submission(tmp_path: Path) -> None:
    async def scene(echo: bool) -> Outcome | None:
        async with answering(responding(404), echo=echo) as url, gateway(tmp_path, url) as backend:
            return (await backend.ask(sent().key))[0]

    assert asyncio.run(scene(True)) is Outcome.LATER
    assert asyncio.run(scene(False)) is Outcome.UNKNOWN


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("rest", ["100000000000", "600", "Wed, 21 Oct 2099 07:28:00 GMT"])
def test_nothing_is_sent_during_a_requested_pause(tmp_path: Path, status: int, rest: str) -> None:
    requests: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        await request.read()
        requests.append(request.method)
        return web.Response(status=status, headers={"Retry-After": rest})

    async def scene() -> None:
        async with answering(handler) as url, gateway(tmp_path, url) as backend:
            assert (await submitted(backend, sent()))[0] is Outcome.BUSY
            outcome, note = await submitted(backend, sent())
            assert outcome is Outcome.BUSY
            assert "Retry-After" in note

    asyncio.run(scene())
    assert requests == ["POST"]


def test_a_restart_keeps_a_requested_pause_and_an_operator_can_end_it(
    tmp_path: Path,
) -> None:
    requests: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        await request.read()
        requests.append(request.method)
        return web.Response(status=503, headers={"Retry-After": "600"})

    async def scene(url: str) -> tuple[Outcome, str]:
        async with gateway(tmp_path, url) as backend:
            return await submitted(backend, sent())

    async def run() -> None:
        async with answering(handler) as url:
            await scene(url)
            outcome, note = await scene(url)  # of another client over the same folder
            assert (outcome, "Retry-After" in note, len(requests)) == (Outcome.BUSY, True, 1)
            Rest(tmp_path).end()
            await scene(url)
            assert len(requests) == 2

    asyncio.run(run())


@pytest.mark.parametrize("stored", ["", "soon", "99999999999", "1", "nan"])
def test_an_invalid_retry_after_is_ignored(tmp_path: Path, stored: str) -> None:
    (tmp_path / "not-before").write_text(stored)
    assert Rest(tmp_path).remaining() == 0


@pytest.mark.parametrize("rest", ["", "0", "soon", "-5", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_busy_server_that_names_no_time_gets_the_next_submission(tmp_path: Path, rest: str) -> None:
    async def scene() -> list[str]:
        busy = responding(503, **{"Retry-After": rest})
        async with answering(busy) as url, gateway(tmp_path, url) as backend:
            return [(await submitted(backend, sent()))[1] for _ in range(2)]

    assert asyncio.run(scene()) == ["HTTP 503", "HTTP 503"]


def test_a_submission_is_sent_as_a_zip_under_its_key_with_its_digest(tmp_path: Path) -> None:
    requests: list[tuple[str, dict[str, str], bytes]] = []

    async def handler(request: web.Request) -> web.Response:
        requests.append((request.path, dict(request.headers), await request.content.read()))
        return web.Response(status=201)

    async def send(one: PackagedSubmission) -> None:
        async with answering(handler) as url, gateway(tmp_path, url) as backend:
            assert await submitted(backend, one) == (Outcome.TAKEN, "")
            assert await submitted(backend, one) == (Outcome.TAKEN, "")

    once = sent()
    asyncio.run(send(once))
    (path, headers, body), again = requests
    assert path == "/customs/submissions"
    assert headers["Idempotency-Key"] == once.key
    assert headers["Content-Type"] == "application/zip"
    assert headers["Content-Length"] == str(len(body))
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    assert headers["Content-Digest"] == f"sha-256=:{digest}:"
    assert once.package in [zipfile.ZipFile(io.BytesIO(body)).read("报关单.zip")]
    assert again[2] == body
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_is_logged_in_the_servers_words_shortened_and_printable(tmp_path: Path) -> None:
    async def scene() -> tuple[Outcome, str]:
        text = "商品编号错误\x1b[31m" + "x" * (1 << 20)
        async with answering(responding(422, text)) as url, gateway(tmp_path, url) as backend:
            return await submitted(backend, sent())

    outcome, note = asyncio.run(scene())
    assert outcome is Outcome.NEVER
    assert note.startswith("商品编号错误\\u{1b}[31mxxx")
    assert len(note) < 400


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    requested: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        requested.append(request.path)
        raise web.HTTPTemporaryRedirect("/elsewhere")

    async def scene() -> None:
        async with answering(handler) as url, gateway(tmp_path, url) as backend:
            outcome, note = await submitted(backend, sent())
            assert (outcome, note) == (
                Outcome.DENIED,
                "HTTP 307: redirects to /elsewhere, which is not followed",
            )
            assert (await backend.ask(sent().key))[0] is Outcome.UNKNOWN
            assert await backend.answers(10) == []

    asyncio.run(scene())
    assert "/elsewhere" not in requested


def test_environment_variables_do_not_change_where_requests_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")

    async def scene() -> Outcome:
        async with answering(responding(201)) as url, gateway(tmp_path, url) as backend:
            return (await submitted(backend, sent()))[0]

    assert asyncio.run(scene()) is Outcome.TAKEN


def test_a_server_that_is_not_there_takes_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        async with gateway(tmp_path, f"http://127.0.0.1:{free_port()}") as backend:
            assert (await submitted(backend, sent()))[0] is Outcome.LATER
            assert (await backend.ask(sent().key))[0] is Outcome.UNKNOWN
            assert await backend.answers(10) == []

    asyncio.run(scene())


@asynccontextmanager
async def breaking_off(after: int) -> AsyncIterator[str]:
    """A server that reads so many bytes, and then goes without a word."""

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = 0
        while seen < after and (data := await reader.read(min(after - seen, 1 << 16))):
            seen += len(data)
        writer.transport.abort()

    server = await asyncio.start_server(served, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def test_a_connection_that_breaks_after_the_body_leaves_the_outcome_unknown(tmp_path: Path) -> None:
    async def scene() -> Outcome:
        async with breaking_off(1) as url, gateway(tmp_path, url) as backend:
            return (await submitted(backend, sent()))[0]

    assert asyncio.run(scene()) is Outcome.UNKNOWN


def test_a_connection_that_breaks_before_the_end_of_the_body_has_taken_nothing(tmp_path: Path) -> None:
    large = PackagedSubmission(sent().submission, bytes(40 << 20))

    async def scene() -> Outcome:
        async with breaking_off(10_000) as url, gateway(tmp_path, url) as backend:
            return (await submitted(backend, large))[0]

    assert asyncio.run(scene()) is Outcome.LATER


def test_a_submission_that_was_taken_without_an_answer_is_queried_and_has_one_effect(tmp_path: Path) -> None:
    """Customs takes it and says so to a proxy that has gone."""
    once = sent()
    with closing(reference_customs(tmp_path / "customs")) as customs:

        async def silent(request: web.Request) -> web.StreamResponse:
            if request.method == "POST":
                await request.read()
                await customs.submit(once.submission, lambda _sha256: io.BytesIO(once.package))
                await asyncio.sleep(60)
            return web.Response(status=200 if (await customs.ask(once.key))[0] is Outcome.TAKEN else 404)

        async def scene() -> None:
            async with answering(silent) as url, gateway(tmp_path, url, seconds=1) as backend:
                assert (await backend.ask(once.key))[0] is Outcome.LATER
                assert (await submitted(backend, once))[0] is Outcome.UNKNOWN
                assert (await backend.ask(once.key))[0] is Outcome.TAKEN
            assert len(await customs.answers(100)) == 5

        asyncio.run(scene())


def test_a_query_does_not_answer_not_found_while_the_submission_is_being_read(tmp_path: Path) -> None:
    """The question overtakes what it is about: the connection broke for the gateway, not yet for customs."""
    once, folder = sent(), tmp_path / "customs"

    async def scene() -> list[Outcome | None]:
        with closing(reference_customs(folder)) as customs:
            async with (
                serving(customs, folder, "127.0.0.1", 0, None, None) as at,
                gateway(tmp_path, f"http://127.0.0.1:{at[1]}") as backend,
            ):
                answers: list[Outcome | None] = [(await backend.ask(once.key))[0]]
                reader, writer = await asyncio.open_connection("127.0.0.1", at[1])
                head = "POST /submissions HTTP/1.1\r\nHost: customs\r\nContent-Type: application/zip\r\n"
                head += f"Content-Length: 10\r\nIdempotency-Key: {once.key}\r\nExpect: 100-continue\r\n\r\n"
                writer.write(head.encode())
                await reader.readuntil(b"100 Continue\r\n\r\n")
                answers.append((await backend.ask(once.key))[0])
                writer.write(b"not a zip.")
                await reader.readuntil(b" 400 ")
                writer.close()
                await writer.wait_closed()
                answers.append((await backend.ask(once.key))[0])
                return answers

    assert asyncio.run(scene()) == [Outcome.LATER, Outcome.UNKNOWN, Outcome.LATER]


@asynccontextmanager
async def customs_over_tls(folder: Path, tls: IssuedCertificate) -> AsyncIterator[str]:
    trust = PeerTls(certificate=tls.certificate, key=tls.key, issuers=tls.ca).context(ssl.Purpose.CLIENT_AUTH)
    with closing(reference_customs(folder)) as customs:
        async with serving(customs, folder, "127.0.0.1", 0, trust, None) as (host, port):
            yield f"https://{host}:{port}"


def own_certificate(own: IssuedCertificate) -> dict[str, str]:
    return {"certificate": str(own.certificate), "key": str(own.key)}


@contextmanager
def turning_down(tls: IssuedCertificate) -> Iterator[str]:
    """A server that lets nobody in without a certificate, and says so by an alert, as TLS has it."""
    trust = PeerTls(certificate=tls.certificate, key=tls.key, issuers=tls.ca).context(ssl.Purpose.CLIENT_AUTH)

    class Turning(BaseRequestHandler):
        def handle(self) -> None:
            plain = self.request.dup()
            with suppress(ssl.SSLError), trust.wrap_socket(self.request, server_side=True) as inside:
                inside.recv(1)
            plain.shutdown(SHUT_WR)
            with plain, suppress(OSError):
                while plain.recv(1 << 16):
                    pass

    with ThreadingTCPServer(("127.0.0.1", 0), Turning) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_both_ends_show_certificates(tmp_path: Path) -> None:
    ours, theirs = issued(tmp_path / "tls", "gateway"), issued(tmp_path / "tls", "customs")

    async def scene() -> None:
        async with (
            customs_over_tls(tmp_path / "customs", theirs) as url,
            gateway(tmp_path, url, ca=str(theirs.ca), **own_certificate(ours)) as backend,
        ):
            assert await submitted(backend, sent()) == (Outcome.TAKEN, "")
            assert len(await backend.answers(10)) == 5

    asyncio.run(scene())


def test_a_refused_client_is_denied(tmp_path: Path) -> None:
    theirs = issued(tmp_path / "tls", "customs")
    stranger = issued(tmp_path / "tls", "stranger", "another authority")

    async def scene(url: str, own: dict[str, str]) -> None:
        async with gateway(tmp_path, url, ca=str(theirs.ca), **own) as backend:
            outcome, note = await submitted(backend, sent())
            assert outcome is Outcome.DENIED
            assert note.startswith("it does not accept our certificate")
            assert (await backend.ask(sent().key))[0] is Outcome.UNKNOWN

    with turning_down(theirs) as url:
        for own in ({}, own_certificate(stranger)):
            asyncio.run(scene(url, own))


@pytest.mark.parametrize("wrong", ["issuer", "name"])
def test_a_server_that_is_another_is_not_sent_anything(tmp_path: Path, wrong: str) -> None:
    ours, theirs = issued(tmp_path / "tls", "gateway"), issued(tmp_path / "tls", "customs")
    stranger = issued(tmp_path / "tls", "stranger", "another authority")

    async def scene() -> tuple[Outcome, str]:
        async with customs_over_tls(tmp_path / "customs", theirs) as url:
            ca = stranger.ca if wrong == "issuer" else theirs.ca
            url = url if wrong == "issuer" else url.replace("127.0.0.1", "localhost")
            async with gateway(tmp_path, url, ca=str(ca), **own_certificate(ours)) as backend:
                return await submitted(backend, sent())

    outcome, note = asyncio.run(scene())
    assert outcome is Outcome.DENIED
    assert note.startswith("its certificate is not accepted")


def listed(*answers: object) -> Handler:
    async def handler(_request: web.Request) -> web.Response:
        return web.json_response(list(answers))

    return handler


def one(id_: str = "1", **change: object) -> dict[str, object]:
    body = base64.b64encode(b"<DEC_RESULT/>").decode()
    return {"id": id_, "name": "Receipt_1.xml", "key": None, "body": body, **change}


async def polled_ids(folder: Path, handler: Handler, limit: int = 10, looks: int = 10) -> list[str]:
    async with answering(handler) as url, gateway(folder, url) as backend:
        for _look in range(looks - 1):
            await backend.answers(limit)
        return [answer.id for answer in await backend.answers(limit)]


def test_a_bad_answer_does_not_stop_the_others_from_being_read(tmp_path: Path) -> None:
    bad: tuple[object, ...] = (
        one("a", body="no base64!"),
        one("b", name=""),
        one("c", id=7),
        one("d", body=None),
        "e",
        None,
        [],
    )
    assert asyncio.run(polled_ids(tmp_path, listed(*bad, one("good")), limit=1)) == ["good"]


def test_an_answer_with_an_invalid_key_is_taken_without_a_key(tmp_path: Path) -> None:
    key = sent().key

    async def scene() -> list[str | None]:
        answers = listed(one("1", key=key), one("2", key="../x"), one("3"), one("4", key=f"{key}-0202"))
        async with answering(answers) as url, gateway(tmp_path, url) as backend:
            return [answer.key for answer in await backend.answers(10)]

    assert asyncio.run(scene()) == [key, None, None, f"{key}-0202"]


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[" * 100_000, b"[{},{},{}]" + b" " * 10 + b"x", b"\xff", b"[" + b"{}," * (1 << 20)]
)
def test_a_list_that_is_none_is_no_answer(tmp_path: Path, body: bytes) -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    assert asyncio.run(polled_ids(tmp_path, handler)) == []


def test_an_endless_list_is_not_read_to_its_end_and_asked_for_in_smaller_pieces(tmp_path: Path) -> None:
    limits: list[int] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        limits.append(int(request.query["limit"]))
        if limits[-1] == 1:
            return web.json_response([one("1")])
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'["')
        for _ in range(200):
            await response.write(b"A" * (1 << 20))
        return response

    assert asyncio.run(polled_ids(tmp_path, handler, limit=2, looks=1)) == ["1"]
    assert limits == [2, 1]


def test_a_submission_that_cannot_be_prepared_is_not_taken(tmp_path: Path) -> None:
    async def scene() -> tuple[Outcome, str]:
        async with answering(responding(201)) as url, gateway(tmp_path / "none", url) as backend:
            return await submitted(backend, sent())

    outcome, note = asyncio.run(scene())
    assert (outcome, note) == (Outcome.LATER, "cannot be prepared: No such file or directory")
