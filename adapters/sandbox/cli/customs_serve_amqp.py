"""`gateway customs serve --amqp`: the customs sandbox behind an AMQP broker."""

import asyncio
import json
import os
import signal
import sys
from contextlib import closing
from pathlib import Path

from adapters.cli.exit_codes import UNREACHABLE, USAGE
from adapters.cli.node import log_to_stderr
from adapters.cli.output import fail
from adapters.home.clock import utc_now
from adapters.home.file_modes import private
from adapters.home.home import Home
from adapters.home.named_files import check_named_files
from adapters.sandbox.customs.customs import ReferenceCustoms
from adapters.sandbox.customs.serving import ServedElsewhere, alone
from adapters.sandbox.customs.serving_amqp import AmqpServing
from gateway.config.connections import AmqpBackendSettings


def serve_amqp(home: Home, certificate: Path | None) -> None:
    """Serves until SIGTERM or SIGINT, with the log-in and queues of the home's back-end. Ready once the
    broker has accepted the log-in, however long that takes."""
    named = {
        name: settings
        for name, settings in home.settings().backend.items()
        if isinstance(settings, AmqpBackendSettings)
    }
    if len(named) != 1:
        fail(USAGE, f"gateway.toml must name one back-end of kind amqp; it names {len(named)}")
    ((name, settings),) = named.items()
    check_named_files(home, f"backend.{name}.")
    books = home.path / "backends" / name
    try:
        with private():
            books.mkdir(parents=True, exist_ok=True)
            with alone(books):
                log_to_stderr()
                asyncio.run(
                    _serve(home, name, settings, (certificate or home.certificate).read_text(), books)
                )
    except ServedElsewhere as error:
        fail(UNREACHABLE, str(error))


async def _serve(home: Home, name: str, settings: AmqpBackendSettings, certificate: str, books: Path) -> None:
    stop = asyncio.Event()
    for ending in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(ending, stop.set)
    with closing(ReferenceCustoms(books, certificate, utc_now)) as customs:
        serving = AmqpServing(settings, home.path, f"customs of {name}", customs)
        async with asyncio.TaskGroup() as work:
            work.create_task(serving.run(stop))
            announcing = work.create_task(_say_ready(serving, f"{settings.host}:{settings.port}"))
            await stop.wait()
            announcing.cancel()


async def _say_ready(serving: AmqpServing, broker: str) -> None:
    await serving.until_connected()
    sys.stdout.write(json.dumps({"ready": True, "amqp": broker, "pid": os.getpid()}) + "\n")
    sys.stdout.flush()
