"""`gateway customs serve`: the customs sandbox as a process of its own, behind a folder."""

import asyncio
import json
import os
import signal
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from adapters.assemble import utc_now
from adapters.backends.exchange import Exchange
from adapters.backends.reference.customs import ReferenceCustoms
from adapters.backends.reference.serving import ServedElsewhere, Serving, alone
from adapters.operators.node import log_to_stderr
from adapters.operators.output import UNREACHABLE, USAGE, fail, opened, told
from gateway.connections import DirectorySettings


@dataclass(frozen=True, slots=True, kw_only=True)
class _Served:
    """The folder of the exchange, the gateway's certificate, and where customs keeps its own books."""

    folder: Path
    certificate: Path
    books: Path


def serve(
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder", help="The folder of the exchange; without it the one of the home.", show_default=False
        ),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(
            "--certificate",
            help="The gateway's certificate; without it that of the home.",
            show_default=False,
        ),
    ] = None,
    home: Annotated[
        Path | None,
        typer.Option(
            "--home", envvar="GATEWAY_HOME", help="The home whose customs this is.", show_default=False
        ),
    ] = None,
) -> None:
    """Serve the customs sandbox behind a folder, until SIGTERM or SIGINT; both end with 0.

    One JSON line on standard output says when it is ready; logs go to standard error.

    Example: gateway customs serve --home /srv/gateway
    """
    with told():
        served = _found(folder, certificate, home)
        exchange = Exchange(served.folder)
        exchange.make()
        try:
            with alone(served.folder):
                log_to_stderr()
                asyncio.run(_serve(exchange, served))
        except ServedElsewhere as error:
            fail(UNREACHABLE, str(error))


def _found(folder: Path | None, certificate: Path | None, home: Path | None) -> _Served:
    if home is not None:
        of = opened(home.absolute())
        named = {
            name: of.path / backend.folder
            for name, backend in of.settings().backend.items()
            if isinstance(backend, DirectorySettings)
            and (folder is None or (of.path / backend.folder).resolve() == folder.resolve())
        }
        if len(named) > 1:
            fail(
                USAGE, f"gateway.toml names more than one folder; say with --folder which: {', '.join(named)}"
            )
        for name, path in named.items():
            books = of.path / "backends" / name
            return _Served(folder=path, certificate=certificate or of.certificate, books=books)
    if folder is None or certificate is None:
        fail(USAGE, "needs a home with a back-end of kind directory, or --folder and --certificate")
    return _Served(folder=folder.absolute(), certificate=certificate, books=folder.absolute() / "customs")


async def _serve(exchange: Exchange, served: _Served) -> None:
    stop = asyncio.Event()
    for ending in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(ending, stop.set)
    with closing(ReferenceCustoms(served.books, served.certificate.read_text(), utc_now)) as customs:
        serving = Serving(exchange, customs)
        ready = {"ready": True, "folder": str(exchange.folder), "pid": os.getpid()}
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        await serving.run(stop)
