"""`gateway customs serve --http`: the customs sandbox over HTTP."""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from adapters.cli.exit_codes import USAGE
from adapters.cli.output import fail
from adapters.home.clock import utc_now
from adapters.sandbox.customs.customs import ReferenceCustoms
from gateway.config.connections import DxpSettings, is_loopback


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerTls:
    """Our certificate with its key, and the issuers of the peer's certificates."""

    certificate: Path
    key: Path
    issuers: Path

    @classmethod
    def from_files(cls, certificate: Path | None, key: Path | None, issuers: Path | None) -> Self | None:
        if certificate is None and key is None and issuers is None:
            return None
        if certificate is None or key is None or issuers is None:
            fail(USAGE, "--tls-certificate, --tls-key and --client-ca are given together")
        return cls(certificate=certificate, key=key, issuers=issuers)

    def context(self, purpose: ssl.Purpose) -> ssl.SSLContext:
        trust = ssl.create_default_context(purpose, cafile=self.issuers)
        trust.verify_mode = ssl.CERT_REQUIRED
        trust.load_cert_chain(self.certificate, self.key)
        return trust


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpEndpoint:
    """The address that the sandbox listens on, and the URL that it pushes answers to; None: the gateway
    fetches them."""

    host: str
    port: int
    tls: PeerTls | None
    push: str | None

    @classmethod
    def at(cls, address: str, tls: PeerTls | None, push: str | None) -> Self:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            fail(USAGE, "--http is HOST:PORT")
        if tls is None and not is_loopback(host.strip("[]")):
            fail(USAGE, "without TLS it is served to this machine only")
        if push is not None and tls is None:
            fail(USAGE, "--push needs the certificate that the gateway knows: --tls-certificate")
        return cls(host=host.strip("[]"), port=int(port), tls=tls, push=push)


async def serve_http(
    endpoint: HttpEndpoint,
    books: Path,
    certificate: Path,
    dxp: DxpSettings | None,
    stop: asyncio.Event,
    ready: Callable[[str], None],
) -> None:
    """Serves until `stop`. `ready` is called with the address once submissions are accepted."""
    # Imported late, so that other commands start without these libraries.
    from adapters.sandbox.customs.serving_http import AnswerPusher, serving

    trust = None if endpoint.tls is None else endpoint.tls.context(ssl.Purpose.CLIENT_AUTH)
    with closing(ReferenceCustoms(books, certificate.read_text(), utc_now)) as customs:
        async with serving(customs, books, endpoint.host, endpoint.port, trust, dxp) as (host, port):
            ready(f"{host}:{port}")
            if endpoint.push is not None and endpoint.tls is not None:
                trust = endpoint.tls.context(ssl.Purpose.SERVER_AUTH)
                await AnswerPusher(customs, endpoint.push, trust, dxp).run(stop)
            await stop.wait()
