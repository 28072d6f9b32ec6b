"""Serves the customs sandbox over HTTP (docs/http-backend.md): takes submissions, and offers its answers or
pushes them. Submissions and answers are in the ledger, so the process may be killed at any point.
"""

import asyncio
import base64
import contextlib
import hashlib
import re
import ssl
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote

import httpx
import structlog
from aiohttp import web

from adapters.backends.http import ECHO
from adapters.sandbox.customs.submitted import told_body, unwrapped
from adapters.sandbox.inspection import SubmissionRefused, scratch
from adapters.sandbox.simulated_backend import SimulatedBackend
from gateway.config.connections import DxpSettings
from gateway.model.answer import Answer
from gateway.model.delivery import Outcome
from gateway.model.faults import printable
from gateway.model.message import SUBMISSION_KEY

_CHUNK: Final = 256 * 1024
_LARGEST: Final = 4 << 30  # bytes of one submission
_TYPES: Final = ("application/zip", "application/xml")
_DIGEST: Final = re.compile(r"sha-256=:([A-Za-z0-9+/=]{1,64}):")
_MOST: Final = 1000  # answers in one response
_AT_ONCE: Final = 32  # answers that are pushed at once
_IDLE: Final = 0.2  # seconds between looks for answers that other processes have queued
_TROUBLED: Final = 2.0  # seconds after a push failed
_WITHIN: Final = 30.0  # seconds for the gateway to store an answer
_STATUSES: Final = {Outcome.TAKEN: 201, Outcome.NEVER: 422}

log = structlog.get_logger()


@asynccontextmanager
async def serving(
    backend: SimulatedBackend,
    folder: Path,
    host: str,
    port: int,
    trust: ssl.SSLContext | None,
    dxp: DxpSettings | None,
) -> AsyncIterator[tuple[str, int]]:
    """Serves `backend` while the context is open, and yields the host and port it listens on. `folder` holds
    large submissions while they are checked. With `dxp`, answers are in DXP envelopes."""
    doors = _Endpoints(backend, folder, dxp)
    app = web.Application()
    app.router.add_post("/submissions", doors.submit)
    app.router.add_get("/submissions/{key}", doors.ask, allow_head=False)
    app.router.add_get("/answers", doors.answers, allow_head=False)
    app.router.add_post("/answers/acknowledge", doors.acknowledge)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=5)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, ssl_context=trust).start()
        served, number, *_ = runner.addresses[0]
        yield served, number
    finally:
        await runner.cleanup()


class _Endpoints:
    def __init__(self, backend: SimulatedBackend, folder: Path, dxp: DxpSettings | None) -> None:
        self._backend = backend
        self._folder = folder
        self._dxp = dxp
        self._being_taken = Counter[str]()  # keys of submissions that are being read and checked

    async def submit(self, request: web.Request) -> web.Response:
        key = request.headers.get("Idempotency-Key", "")
        if not SUBMISSION_KEY.fullmatch(key):
            return _response(400, "Idempotency-Key must be the key of a submission")
        if request.content_type not in _TYPES:
            return _response(415, "a submission is application/zip, or application/xml in an envelope of DXP")
        self._being_taken[key] += 1
        try:
            return await self._read_and_take(request, key)
        finally:
            self._being_taken -= Counter((key,))

    async def _read_and_take(self, request: web.Request, key: str) -> web.Response:
        with scratch(self._folder) as packed:
            digest = hashlib.sha256()
            async for chunk in request.content.iter_chunked(_CHUNK):
                digest.update(chunk)
                packed.write(chunk)
                if packed.tell() > _LARGEST:
                    return _response(413, f"a submission has at most {_LARGEST} bytes")
            stated = _DIGEST.search(request.headers.get("Content-Digest", ""))
            if stated is None or stated[1] != base64.b64encode(digest.digest()).decode():
                return _response(400, "Content-Digest is not there, or not that of the body")
            packed.seek(0)
            outcome, reason = await self._take(key, packed)
        log.info("submission", key=key, outcome=outcome.value, reason=reason)
        return _response(_STATUSES[outcome], reason, key)

    async def _take(self, key: str, packed: IO[bytes]) -> tuple[Outcome, str]:
        try:
            with unwrapped(key, packed, self._folder) as zipped:
                return await self._backend.submit_zip(key, zipped)
        except SubmissionRefused as refusal:
            return Outcome.NEVER, printable(str(refusal), 2000)

    async def ask(self, request: web.Request) -> web.Response:
        key = request.match_info["key"]
        before = self._being_taken[key]
        outcome, _why = await self._backend.ask(key)
        if outcome is not Outcome.TAKEN and (before or self._being_taken[key]):
            return _response(409, "it is being taken", key)
        return _response(200 if outcome is Outcome.TAKEN else 404, outcome.value, key)

    async def answers(self, request: web.Request) -> web.Response:
        limit = request.query.get("limit", "64")
        if not (limit.isascii() and limit.isdecimal() and 0 < int(limit) <= _MOST):
            return _response(400, f"limit is a number from 1 to {_MOST}")
        answers = await self._backend.answers(int(limit))
        return web.json_response([self._listed(answer) for answer in answers])

    def _listed(self, answer: Answer) -> dict[str, str | None]:
        body = base64.b64encode(told_body(answer, self._dxp)).decode()
        return {"id": answer.id, "name": answer.name, "key": answer.key, "body": body}

    async def acknowledge(self, request: web.Request) -> web.Response:
        try:
            ids = (await request.json())["ids"]
            await self._backend.acknowledge([str(int(each)) for each in ids])
        except (ValueError, KeyError, TypeError):
            return _response(400, 'the ids of answers are needed: {"ids": ["1", "2"]}')
        return web.Response(status=204)


class AnswerPusher:
    """Pushes the answers of `backend` to the gateway's listener at `url`, each again until the gateway has
    stored it; the answers to one submission one after the other."""

    def __init__(
        self, backend: SimulatedBackend, url: str, trust: ssl.SSLContext, dxp: DxpSettings | None
    ) -> None:
        self._backend = backend
        self._url = url
        self._trust = trust
        self._dxp = dxp

    async def run(self, stop: asyncio.Event) -> None:
        """Pushes until `stop`; the batch in progress is finished."""
        at_once = httpx.Limits(max_connections=_AT_ONCE)
        async with httpx.AsyncClient(
            verify=self._trust, trust_env=False, limits=at_once, timeout=httpx.Timeout(_WITHIN, pool=None)
        ) as client:
            while not stop.is_set():
                well = True
                while well and not stop.is_set() and (answers := await self._backend.answers(64)):
                    well = await self._bring(client, answers)
                if well:
                    await self._backend.until_due(_IDLE)
                else:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), _TROUBLED)

    async def _bring(self, client: httpx.AsyncClient, answers: Sequence[Answer]) -> bool:
        to: defaultdict[str | None, list[Answer]] = defaultdict(list)
        for answer in answers:
            to[answer.key].append(answer)
        return all(await asyncio.gather(*(self._bring_in_order(client, each) for each in to.values())))

    async def _bring_in_order(self, client: httpx.AsyncClient, answers: Sequence[Answer]) -> bool:
        for answer in answers:
            headers = {"Answer-Id": answer.id, "Answer-Name": quote(answer.name)}
            headers |= {"Submission-Key": answer.key} if answer.key else {}
            body = told_body(answer, self._dxp)
            try:
                response = await client.post(self._url, content=body, headers=headers)
            except httpx.HTTPError as error:
                log.warning("answer not brought", error=printable(repr(error)))
                return False
            if response.status_code != 204:
                log.warning("answer not brought", status=response.status_code, error=printable(response.text))
                return False
            await self._backend.acknowledge([answer.id])
        return True


def _response(status: int, text: str, key: str = "") -> web.Response:
    headers = {ECHO: key} if SUBMISSION_KEY.fullmatch(key) else {}
    return web.Response(status=status, text=f"{text}\n", headers=headers)
