"""`gateway customs serve`: the customs sandbox as a process, over a folder, HTTP or AMQP."""

import asyncio
import json
import os
import signal
import sys
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from adapters.backends.exchange import Exchange
from adapters.cli.exit_codes import UNREACHABLE, USAGE
from adapters.cli.node import log_to_stderr
from adapters.cli.output import exit_codes, fail
from adapters.home.clock import utc_now
from adapters.home.file_modes import private
from adapters.home.home import Home
from adapters.sandbox.cli.customs_serve_http import HttpEndpoint, PeerTls, serve_http
from adapters.sandbox.customs.customs import ReferenceCustoms
from adapters.sandbox.customs.serving import ExchangeServing, ServedElsewhere, alone
from gateway.config.connections import DirectorySettings, DxpSettings, HttpBackendSettings

# Ids on the platform: that of customs, and an example of an enterprise's.
_ENVELOPE: Final = DxpSettings(sender="DXPEDCDEC0000001", receiver="DXPENT0000000001", message_type="DECRET")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Served:
    """The exchange folder, the gateway's certificate, and the folder of the sandbox's own ledgers. Over HTTP
    there is no exchange folder, and `folder` is the one of the ledgers."""

    folder: Path
    certificate: Path
    books: Path


def serve(
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder", help="The exchange folder; by default the one of the home.", show_default=False
        ),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(
            "--certificate",
            help="The gateway's certificate; by default that of the home.",
            show_default=False,
        ),
    ] = None,
    home: Annotated[
        Path | None,
        typer.Option(
            "--home", envvar="GATEWAY_HOME", help="The home that this customs serves.", show_default=False
        ),
    ] = None,
    http: Annotated[
        str | None,
        typer.Option(
            "--http",
            metavar="HOST:PORT",
            help="Serve over HTTP instead of a folder; TLS is required except on loopback.",
            show_default=False,
        ),
    ] = None,
    tls_certificate: Annotated[
        Path | None,
        typer.Option(
            "--tls-certificate", help="The server's certificate (PEM), for HTTPS.", show_default=False
        ),
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option("--tls-key", help="The key of that certificate (PEM).", show_default=False)
    ] = None,
    client_ca: Annotated[
        Path | None,
        typer.Option(
            "--client-ca", help="Issuers (PEM) of the gateway's TLS certificates.", show_default=False
        ),
    ] = None,
    push: Annotated[
        str | None,
        typer.Option("--push", help="URL of the gateway that answers are pushed to.", show_default=False),
    ] = None,
    dxp: Annotated[bool, typer.Option("--dxp", help="Send answers in DXP envelopes; not over AMQP.")] = False,
    amqp: Annotated[
        bool, typer.Option("--amqp", help="Serve over the broker of the home's back-end of kind amqp.")
    ] = False,
) -> None:
    """Serve the customs sandbox over a folder, HTTP or AMQP, until SIGTERM or SIGINT; both exit with 0.

    One JSON line on standard output says when it is ready; logs go to standard error.

    The option depends on the kind of the home's back-end: directory needs no
    option, http needs --http, amqp needs --amqp.

    Example: gateway customs serve --home /srv/gateway

    Example: gateway customs serve --http 127.0.0.1:8080 --home /srv/gateway

    Example: gateway customs serve --http 0.0.0.0:8443 --home /srv/gateway
    --tls-certificate tls.crt --tls-key tls.key --client-ca gateway-ca.crt
    --push https://gateway.example:8443/answers/customs

    Example: gateway customs serve --amqp --home /srv/gateway

    Submissions are accepted with or without a DXP envelope. With --dxp, answers
    are sent in one, over a folder or HTTP; over AMQP they never are, since there
    a property of each answer names its submission.
    """
    with exit_codes():
        if amqp:
            if dxp:
                fail(USAGE, "--dxp goes with a folder or --http: over AMQP answers stand in no envelope")
            if home is None or folder is not None or http is not None:
                fail(
                    USAGE,
                    "--amqp needs a home with a back-end of kind amqp, and goes with --certificate alone",
                )
            # Imported late, so that other commands start without these libraries.
            from adapters.sandbox.cli.customs_serve_amqp import serve_amqp

            serve_amqp(Home(home.absolute()).checked(), certificate)
            return
        tls = PeerTls.from_files(tls_certificate, tls_key, client_ca)
        if http is None and (tls is not None or push is not None):
            fail(USAGE, "--push and what is about TLS go with --http")
        endpoint = None if http is None else HttpEndpoint.at(http, tls, push)
        served = (
            _serving_of(folder, certificate, home)
            if endpoint is None
            else _found_http(folder, certificate, home)
        )
        try:
            # The gateway uses the exchange folder too; everything else is in the home.
            with nullcontext() if endpoint is None else private():
                served.folder.mkdir(parents=True, exist_ok=True)
                with alone(served.folder):
                    log_to_stderr()
                    asyncio.run(_serve(served, endpoint, _ENVELOPE if dxp else None))
        except ServedElsewhere as error:
            fail(UNREACHABLE, str(error))


def _serving_of(folder: Path | None, certificate: Path | None, home: Path | None) -> _Served:
    if home is not None:
        base = Home(home.absolute()).checked()
        named = {
            name: base.path / backend.folder
            for name, backend in base.settings().backend.items()
            if isinstance(backend, DirectorySettings)
            and (folder is None or (base.path / backend.folder).resolve() == folder.resolve())
        }
        if len(named) > 1:
            fail(
                USAGE, f"gateway.toml names more than one folder; say with --folder which: {', '.join(named)}"
            )
        for name, path in named.items():
            books = base.path / "backends" / name
            return _Served(folder=path, certificate=certificate or base.certificate, books=books)
    if folder is None or certificate is None:
        fail(
            USAGE,
            "needs a home with a back-end of kind directory, or --folder and --certificate; "
            "for one of kind http or amqp say --http HOST:PORT or --amqp",
        )
    return _Served(folder=folder.absolute(), certificate=certificate, books=folder.absolute() / "customs")


def _found_http(folder: Path | None, certificate: Path | None, home: Path | None) -> _Served:
    if home is not None:
        base = Home(home.absolute()).checked()
        backends = base.settings().backend.items()
        named = [name for name, backend in backends if isinstance(backend, HttpBackendSettings)]
        if len(named) == 1:
            books = base.path / "backends" / named[0]
            return _Served(folder=books, certificate=certificate or base.certificate, books=books)
    if folder is None or certificate is None:
        fail(USAGE, "needs a home with one back-end of kind http, or --folder and --certificate")
    return _Served(folder=folder.absolute(), certificate=certificate, books=folder.absolute())


async def _serve(served: _Served, endpoint: HttpEndpoint | None, dxp: DxpSettings | None) -> None:
    stop = asyncio.Event()
    for ending in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(ending, stop.set)
    if endpoint is not None:
        await serve_http(
            endpoint, served.books, served.certificate, dxp, stop, lambda address: _ready(http=address)
        )
        return
    with closing(ReferenceCustoms(served.books, served.certificate.read_text(), utc_now)) as customs:
        serving = ExchangeServing(Exchange(served.folder), customs, dxp)
        _ready(folder=str(served.folder))
        await serving.run(stop)


def _ready(**where: str) -> None:
    sys.stdout.write(json.dumps({"ready": True, **where, "pid": os.getpid()}) + "\n")
    sys.stdout.flush()
