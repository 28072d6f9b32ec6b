"""A back-end over HTTP: submissions are posted, each under its key; a query by key shows whether one arrived.

`docs/http-backend.md` is the protocol. `http_answers` and `http_push` are the two ways of receiving answers.
"""

import asyncio
import base64
import hashlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from io import BufferedRandom
from pathlib import Path
from tempfile import TemporaryFile
from time import time
from typing import IO, Final

import httpx

from adapters.backends.body import write_body
from adapters.backends.rest import Rest
from adapters.transport.tls_trouble import certificate_trouble
from gateway.config.connections import HttpBackendSettings
from gateway.model.delivery import Outcome
from gateway.model.faults import printable
from gateway.model.message import SUBMISSION_KEY, Submission
from gateway.model.trace_context import TRACEPARENT, traceparent

_CHUNK: Final = 256 * 1024
_SLOWEST: Final = 128 * 1024  # bytes a second: the slowest accepted transfer of a body
ECHO: Final = "Submission-Key"  # header of a response: the key that it concerns
_LONGEST_NOTE: Final = 2000  # bytes of a refusal's text; operators are shown less
_STATUSES: Final = (
    dict.fromkeys((200, 201, 202, 204), Outcome.TAKEN)
    | dict.fromkeys((400, 413, 415, 422), Outcome.NEVER)
    | dict.fromkeys((401, 403, 407), Outcome.DENIED)
    | dict.fromkeys((409, 429, 503), Outcome.BUSY)
    # The server failed during its work, or a proxy did: it is unknown whether the submission was taken
    # before.
    | dict.fromkeys((500, 502, 504), Outcome.UNKNOWN)
)

# TLS errors while reading are not wrapped by httpx, and time-outs are system errors too.
TROUBLE: Final = (httpx.HTTPError, OSError)


class Client(httpx.AsyncClient):
    """Uses no proxy and no other setting of the environment, no redirects, no cookies, and accepts only
    certificates issued as the settings require."""

    def __init__(self, settings: HttpBackendSettings, home: Path) -> None:
        self._lines = _Lines(settings, home)
        super().__init__(
            base_url=settings.url,
            transport=self._lines,
            trust_env=False,
            follow_redirects=False,
            # A cookie of one response must not be sent with the next submission: each request is complete in
            # itself.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            timeout=settings.seconds,
            headers={"Accept-Encoding": "identity", "User-Agent": "customs-edi-gateway"},
        )

    def renewal(self) -> Callable[[], None]:
        """See `named_files.Renewal`."""
        return self._lines.renewal()


class _Lines(httpx.AsyncBaseTransport):
    """The connections of a client, which can be replaced with new keys and certificates."""

    def __init__(self, settings: HttpBackendSettings, home: Path) -> None:
        self._settings = settings
        self._home = home
        self._present = self._made()
        self._before: httpx.AsyncHTTPTransport | None = None

    def _made(self) -> httpx.AsyncHTTPTransport:
        # Queries and looks for answers never wait for submissions.
        limits = httpx.Limits(max_connections=self._settings.at_once + 2)
        trust = _trust(self._settings, self._home)
        return httpx.AsyncHTTPTransport(verify=trust, trust_env=False, limits=limits)

    def renewal(self) -> Callable[[], None]:
        fresh = self._made()

        def take() -> None:
            # Requests in progress finish on their old connection; those from before the previous renewal have
            # ended.
            ended, self._before, self._present = self._before, self._present, fresh
            if ended is not None:
                self._closing = asyncio.ensure_future(ended.aclose())

        return take

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._present.handle_async_request(request)

    async def aclose(self) -> None:
        for each in (self._before, self._present):
            if each is not None:
                await each.aclose()


@asynccontextmanager
async def opened_client(settings: HttpBackendSettings, home: Path) -> AsyncIterator[Client]:
    async with Client(settings, home) as client:
        yield client


def _trust(settings: HttpBackendSettings, home: Path) -> ssl.SSLContext:
    trust = ssl.create_default_context(cafile=None if settings.ca is None else home / settings.ca)
    trust.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.certificate is not None and settings.key is not None:
        trust.load_cert_chain(home / settings.certificate, home / settings.key, password=no_password)
    return trust


def no_password() -> str:
    raise ValueError("the key of a connection must have no pass phrase: there is nobody to ask")


class HttpSubmissions:
    """The sending half of gateway.deliver.ports.Backend. Bodies are spooled in `folder` first."""

    def __init__(self, client: httpx.AsyncClient, settings: HttpBackendSettings, folder: Path) -> None:
        self._client = client
        self._settings = settings
        self._folder = folder
        self._rest = Rest(folder)

    async def submit(self, submission: Submission, opened: Callable[[str], IO[bytes]]) -> tuple[Outcome, str]:
        if (rest := self._rest.remaining()) > 0:
            return Outcome.BUSY, f"it asked to come back in {rest:.0f} s (Retry-After)"
        with ExitStack() as prepared:
            try:
                spool = prepared.enter_context(TemporaryFile(dir=self._folder))
                size, digest = await asyncio.to_thread(self._fill, spool, submission, opened)
            except OSError as error:
                return Outcome.LATER, f"cannot be prepared: {error.strerror}"
            return await self._send(submission.key, _Body(spool, size), digest)

    async def ask(self, key: str) -> tuple[Outcome, str]:
        """Raises `ValueError` for an invalid key."""
        if not SUBMISSION_KEY.fullmatch(key):
            raise ValueError("not the key of a submission")
        try:
            async with asyncio.timeout(self._settings.seconds):
                async with self._client.stream("GET", f"submissions/{key}") as response:
                    outcome = {200: Outcome.TAKEN, 404: Outcome.LATER}.get(response.status_code)
                    if outcome is not None and response.headers.get(ECHO) != key:
                        return Outcome.UNKNOWN, _not_of(key, response)
                    if outcome is None:
                        return Outcome.UNKNOWN, await _note(response) or f"HTTP {response.status_code}"
                    return outcome, ""
        except TROUBLE as error:
            return Outcome.UNKNOWN, certificate_trouble(error) or _trouble(error)

    def _fill(
        self, spool: BufferedRandom, submission: Submission, opened: Callable[[str], IO[bytes]]
    ) -> tuple[int, bytes]:
        write_body(submission, opened, spool, self._settings.dxp, self._folder)
        size = spool.tell()
        spool.seek(0)
        digest = hashlib.file_digest(spool, "sha256").digest()
        spool.seek(0)
        return size, digest

    async def _send(self, key: str, body: "_Body", digest: bytes) -> tuple[Outcome, str]:
        named = f"sha-256=:{base64.b64encode(digest).decode()}:"
        headers = {
            "Content-Type": "application/zip" if self._settings.dxp is None else "application/xml",
            "Content-Length": str(body.size),
            "Content-Digest": named,  # RFC 9530
            "Idempotency-Key": key,
            TRACEPARENT: traceparent(key),
        }
        try:
            async with asyncio.timeout(self._settings.seconds + body.size / _SLOWEST):
                request = self._client.stream("POST", "submissions", content=body, headers=headers)
                async with request as response:
                    outcome = _outcome(response)
                    if outcome is Outcome.TAKEN and response.headers.get(ECHO) != key:
                        return Outcome.UNKNOWN, _not_of(key, response)
                    if outcome in (Outcome.BUSY, Outcome.LATER):
                        self._rest.ask(_retry_after(response.headers.get("Retry-After", "")))
                    return outcome, await _note(response)
        except TROUBLE as error:
            if trouble := certificate_trouble(error):
                return Outcome.DENIED, trouble
            # As long as its last bytes have not been sent, the other side cannot have it.
            return Outcome.UNKNOWN if body.ended else Outcome.LATER, _trouble(error)


class _Body:
    """The spooled bytes, read in another thread; `ended` is set before the last of them are passed on."""

    def __init__(self, spool: IO[bytes], size: int) -> None:
        self._spool = spool
        self._left = size
        self.size = size
        self.ended = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self._left:
            chunk = await asyncio.to_thread(self._spool.read, _CHUNK)
            self._left -= len(chunk)
            self.ended = self._left == 0
            yield chunk


def _outcome(response: httpx.Response) -> Outcome:
    if response.is_redirect:
        return Outcome.DENIED  # an operator has to check whether the address is right
    return _STATUSES.get(response.status_code, Outcome.UNKNOWN if response.is_success else Outcome.LATER)


def _not_of(key: str, response: httpx.Response) -> str:
    """Any server may answer 200 or 404, for example a network's log-in page: customs names the key that it
    means."""
    return printable(f"HTTP {response.status_code} without {ECHO}: {key}: not known to be customs' word")


def _retry_after(retry_after: str) -> float:
    """Seconds, from either form (RFC 9110, 10.2.3); 0 for anything else."""
    if retry_after.isascii() and retry_after.isdecimal():
        return float(retry_after[:9])
    try:
        at = parsedate_to_datetime(retry_after)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - time()
    except (ValueError, OverflowError):
        return 0.0


async def _note(response: httpx.Response) -> str:
    if response.is_success:
        return ""
    text = f"HTTP {response.status_code}"
    if response.is_redirect:
        return printable(
            f"{text}: redirects to {response.headers.get('Location', '')}, which is not followed"
        )
    body = b""
    try:
        async for chunk in response.aiter_raw(_LONGEST_NOTE):
            body += chunk
            if len(body) >= _LONGEST_NOTE:
                break
    except TROUBLE:
        pass  # the status gives the outcome
    more = body[:_LONGEST_NOTE].decode("utf-8", "replace").strip()
    if more and _outcome(response) is Outcome.NEVER:
        return printable(more)  # customs' own text about the submission, which its sender may see
    return printable(f"{text}: {more}" if more else text)


def _trouble(error: BaseException) -> str:
    return printable(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
