"""A customs that takes the connection and says nothing more, ever."""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import select

from adapters.store.tables.messages import deliveries
from tests.support.declarations import Declaration
from tests.support.rendering import render
from tests.support.served import Gateway

_STOPS_WITHIN = 25.0


@contextmanager
def silent() -> Iterator[int]:
    """The port of a server whose system takes connections and all that is sent; nobody reads it."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


def states(gateway: Gateway) -> list[str]:
    with gateway.reading() as store:
        return list(store.execute(select(deliveries.c.state)).scalars())


def test_a_node_stops_in_time_and_leaves_deliveries_in_progress_to_the_next(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    settings = gateway.home.path / "gateway.toml"
    with silent() as port:
        backend = f'kind = "http"\nurl = "http://127.0.0.1:{port}"\nseconds = 600'
        text = re.sub(r'^kind = "reference".*$', backend, settings.read_text("utf-8"), flags=re.MULTILINE)
        settings.write_text(text, "utf-8")
        with gateway:
            gateway.send("broker-aa", "HANGS.xml", render(Declaration(reference="HANGS")))
            gateway.until(lambda: states(gateway) == ["sending"])
            began = time.monotonic()
            assert gateway.stop() == 0
            assert time.monotonic() - began < _STOPS_WITHIN
            assert states(gateway) == ["sending"]
