"""Answers of back-ends over HTTP that are pushed to the gateway: the listener, and where they wait."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import httpx
import structlog
from aiohttp import web

from adapters.backends.body import opened_answer
from adapters.backends.http import HttpSubmissions, no_password
from adapters.backends.http_answers import LONGEST_ID, LONGEST_NAME
from adapters.home.named_files import Renewal
from gateway.config.connections import HttpBackendSettings, PushSettings
from gateway.model.answer import Answer
from gateway.model.faults import printable
from gateway.model.message import SUBMISSION_KEY

LONGEST: Final = 32 * 1024 * 1024  # bytes of one answer: of any document that the gateway reads
_ROOM: Final = 2 * LONGEST  # bytes of all that are read or wait, of one back-end
_WAITING: Final = 256  # how many, at most
KEPT_WITHIN: Final = 20.0  # seconds for the gateway's commit, before the other side must push again
_READ_WITHIN: Final = 60.0  # seconds for the header fields of an answer, and for its bytes
_STOP_WITHIN: Final = 5.0  # seconds for requests in progress when the listener is closed


log = structlog.get_logger()


class NoRoom(Exception):
    """Too much waits already."""


class PushedBackend(HttpSubmissions):
    """gateway.deliver.ports.Backend. `pusher` is the certificate (DER) of the client that pushes its answers.

    An answer waits in memory until it is acknowledged. The client waits as long, and pushes it again if it
    was not: so answers lost with a node are pushed to the next one.
    """

    def __init__(
        self, client: httpx.AsyncClient, settings: HttpBackendSettings, folder: Path, pusher: bytes
    ) -> None:
        super().__init__(client, settings, folder)
        self.pusher = pusher
        self.arrived = asyncio.Event()
        self._waiting: dict[str, tuple[Answer, asyncio.Future[None]]] = {}
        self._serials = count(1)
        self._room = _ROOM
        self._inside = 0

    async def answers(self, limit: int) -> Sequence[Answer]:
        return [answer for answer, _kept in self._waiting.values()][:limit]

    async def acknowledge(self, ids: Sequence[str]) -> None:
        for id_ in ids:
            if id_ in self._waiting and not (durable := self._waiting[id_][1]).done():
                durable.set_result(None)

    @contextmanager
    def room(self, size: int) -> Iterator[None]:
        """Reserves room while an answer of this many bytes is read and waits; raises `NoRoom`."""
        if size > self._room or self._inside == _WAITING:
            raise NoRoom
        self._room -= size
        self._inside += 1
        try:
            yield
        finally:
            self._room += size
            self._inside -= 1

    async def keep(self, name: str, body: bytes, key: str | None) -> None:
        """Returns when the gateway has made it durable; raises `TimeoutError` if that takes too long."""
        id_ = str(next(self._serials))
        durable = asyncio.get_running_loop().create_future()
        answer = Answer(id=id_, name=name, body=body, key=key)
        self._waiting[id_] = (opened_answer(answer, self._settings.dxp), durable)
        self.arrived.set()
        try:
            async with asyncio.timeout(KEPT_WITHIN):
                await durable
        finally:
            del self._waiting[id_]


def pushed_among(backends: Mapping[str, object]) -> Mapping[str, PushedBackend]:
    return {name: each for name, each in backends.items() if isinstance(each, PushedBackend)}


@asynccontextmanager
async def listening(
    settings: PushSettings,
    home: Path,
    backends: Mapping[str, PushedBackend],
    arrived: Mapping[str, asyncio.Event],
    renewals: list[Renewal],
) -> AsyncIterator[tuple[str, int]]:
    """Accepts answers while the context is open, which returns the address. A client without a certificate
    issued as the settings require cannot make any request. `arrived` has an event for each back-end, set when
    an answer waits. Functions that reload its files are added to `renewals`."""
    for name, backend in backends.items():
        backend.arrived = arrived[name]
    trust = _Trust(settings, home)
    renewals.append(trust.renewal)
    app = web.Application()
    app.router.add_post("/answers/{backend}", _PushEndpoint(backends).take)
    # aiohttp would wait an hour for a request that never ends.
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=_STOP_WITHIN, keepalive_timeout=_READ_WITHIN
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port, ssl_context=trust.listening).start()
        host, port, *_ = runner.addresses[0]
        yield host, port
    finally:
        await runner.cleanup()


class _Trust:
    """Trusted issuers and own certificate of the listener, which can be changed while it listens."""

    def __init__(self, settings: PushSettings, home: Path) -> None:
        self._settings = settings
        self._home = home
        self._present = self._made()
        self.listening = self._made()
        # A ticket would admit an earlier client without a check of its certificate.
        self.listening.num_tickets = 0
        self.listening.options |= ssl.OP_NO_TICKET
        # Called at each handshake, whatever name the client sends: the listener itself keeps its context.
        self.listening.sni_callback = self._shown

    def _made(self) -> ssl.SSLContext:
        settings, home = self._settings, self._home
        trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=home / settings.client_ca)
        trust.verify_mode = ssl.CERT_REQUIRED
        trust.minimum_version = ssl.TLSVersion.TLSv1_2
        trust.load_cert_chain(home / settings.certificate, home / settings.key, password=no_password)
        return trust

    def _shown(self, caller: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _: ssl.SSLContext) -> None:
        caller.context = self._present

    def renewal(self) -> Callable[[], None]:
        fresh = self._made()

        def take() -> None:
            self._present = fresh

        return take


class _PushEndpoint:
    def __init__(self, backends: Mapping[str, PushedBackend]) -> None:
        self._backends = backends

    async def take(self, request: web.Request) -> web.Response:
        backend = self._backends.get(request.match_info["backend"])
        if backend is None or _shown(request) != backend.pusher:
            # One text for both cases: a client that may not push here must not learn about other back-ends.
            return _refused(403, "not the one who brings answers of this back-end")
        id_, name = request.headers.get("Answer-Id", ""), _decoded(request.headers.get("Answer-Name", ""))
        if not 0 < len(id_) <= LONGEST_ID or not 0 < len(name) <= LONGEST_NAME:
            return _refused(400, "Answer-Id and Answer-Name are needed")
        size = request.content_length
        if size is None:
            return _refused(411, "Content-Length is needed")
        if not 0 < size <= LONGEST:
            return _refused(413 if size else 400, f"an answer has 1 to {LONGEST} bytes")
        key = request.headers.get("Submission-Key", "")
        try:
            with backend.room(size):
                async with asyncio.timeout(_READ_WITHIN):
                    body = await request.content.readexactly(size)
                await backend.keep(printable(name), body, key if SUBMISSION_KEY.fullmatch(key) else None)
        except (asyncio.IncompleteReadError, ConnectionError):
            return _refused(400, "it ended early")
        except (NoRoom, TimeoutError):
            return _refused(503, "not kept: bring it again", {"Retry-After": "5"})
        log.info("answer brought", backend=request.match_info["backend"], answer=printable(id_))
        return web.Response(status=204)


def _shown(request: web.Request) -> bytes | None:
    tls = request.get_extra_info("ssl_object")
    return tls.getpeercert(binary_form=True) if isinstance(tls, ssl.SSLObject) else None


def _decoded(name: str) -> str:
    """A header holds ASCII: other characters of a name are percent-encoded, as UTF-8."""
    return unquote(name, errors="replace")


def _refused(status: int, why: str, headers: Mapping[str, str] | None = None) -> web.Response:
    # The unread rest of the request is not waited for.
    response = web.Response(status=status, text=f"{why}\n", headers=headers)
    response.force_close()
    return response
