"""`gateway init`, `serve` and `doctor`: create a home, serve it, and check it."""

import asyncio
import gc
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from adapters.cli import chinese
from adapters.cli.doctor import examine
from adapters.cli.exit_codes import NO, USAGE
from adapters.cli.init.init import HomeExists, create_home
from adapters.cli.libraries import hear_libraries
from adapters.cli.output import (
    HomeOption,
    JsonOption,
    LangOption,
    Language,
    exit_codes,
    fail,
    opened,
    say_rows,
)
from adapters.home.clock import utc_now
from adapters.home.file_modes import private
from adapters.home.home import Home
from adapters.home.listeners import check_listeners
from adapters.home.named_files import check_named_files
from adapters.home.temporary import keep_temporary

if TYPE_CHECKING:
    from adapters.run.fork_server import ForkServer


def init(
    home: Annotated[Path, typer.Argument(help="The folder to create; it must be new or empty.")],
    sftp_port: Annotated[
        int | None,
        typer.Option("--sftp-port", min=0, max=65535, help="Port of the SFTP server; 0 picks a free one."),
    ] = None,
) -> None:
    """Create a home: configuration, keys, accounts, the register of parties, and samples to send.

    Example: gateway init /srv/gateway --sftp-port 2222
    """
    with exit_codes():
        try:
            made = create_home(home.absolute(), sftp_port, utc_now())
        except HomeExists as error:
            fail(USAGE, str(error))
    port = made.settings().sftp.port
    client = made.path / "clients" / "broker-aa"
    # Without IdentitiesOnly an agent offers its own keys first, and the server allows only three attempts.
    options = f"-i {client}/id_ed25519 -o IdentitiesOnly=yes -o UserKnownHostsFile={client}/known_hosts"
    typer.echo(f"{made.path} is ready. Next:")
    typer.echo(f"  gateway serve --home {made.path}")
    typer.echo(f"  sftp -P {port} {options} {client.name}@127.0.0.1")
    typer.echo(f"Samples to send: {made.path}/samples/<account>/")


def serve(home: HomeOption) -> None:
    """Serve a home until SIGTERM or SIGINT; then finish the work in progress and exit with 0.

    One JSON line on standard output says when it is ready and where it listens; logs go to standard error.

    Example: gateway serve --home /srv/gateway
    """
    with opened(home.absolute()) as base, base.locked(), private():
        keep_temporary(base.temporary)
        check_named_files(base)
        check_listeners(base.settings())
        log_to_stderr()
        # Imported late, so that other commands start without these libraries.
        from adapters.run import node  # noqa: F401  # what is loaded here is loaded for the workers, too
        from adapters.run.fork_server import ForkServer

        # The module that explains refusals is else imported when first needed, by every worker.
        with ForkServer(["gateway.families.schema_faults"]) as forks:
            asyncio.run(_serve(base, forks))


async def _serve(home: Home, forks: "ForkServer") -> None:
    from adapters.run.node import running

    stop = asyncio.Event()
    for ending in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(ending, stop.set)
    reloads: set[asyncio.Task[None]] = set()

    def reload() -> None:
        task = asyncio.ensure_future(node.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    # Before it is ready there is nothing to reload, and the signal must not end the process.
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: None)
    forks.call_when_ended(stop.set)
    async with running(home, forks) as node:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
        amqp = home.settings().amqp
        ready = {
            "ready": True,
            "sftp": _address(node.sftp),
            "amqp": None if amqp is None else f"{amqp.host}:{amqp.port}",
            "metrics": _address(node.metrics),
            "home": str(home.path),
            "pid": os.getpid(),
        }
        # What exists now stays: scanning it again for every few hundred new objects took a sixth of the
        # node's time (python -m bench amqp; the threshold is set in `cli.main`).
        gc.freeze()
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        await stop.wait()


def _address(listener: tuple[str, int] | None) -> str | None:
    return None if listener is None else f"{listener[0]}:{listener[1]}"


def log_to_stderr() -> None:
    hear_libraries()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


def doctor(
    home: HomeOption,
    lang: LangOption,
    whole: Annotated[
        bool, typer.Option("--whole", help="Read every page of the store, which may take long.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check a home: configuration, keys, certificates, store, disk. Exits with 1 if something is wrong.

    Example: gateway doctor --home /srv/gateway
    """
    with opened(home) as base:
        checks = examine(base, utc_now(), whole=whole)
    detail = "zh" if lang is Language.ZH else "detail"
    say_rows(checks, ("check", "ok", detail), as_json=as_json, lang=lang, words=chinese.DOCTOR)
    if not all(check["ok"] for check in checks):
        raise typer.Exit(NO)
