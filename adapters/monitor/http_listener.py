"""`/metrics`, `/healthz` and `/readyz` over HTTP, for anybody who can reach the address: numbers and names of
queues, back-ends and parties' codes, and nothing from a message."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import structlog
from aiohttp import web
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from adapters.monitor.gauges import Gauges
from adapters.monitor.health import Check, Health
from adapters.monitor.metrics import Metrics
from adapters.monitor.snapshot import SnapshotReader
from gateway.config.monitoring import MetricsSettings

log = structlog.get_logger()

_LOOK_WITHIN: Final = 5.0
_CLOSE_WITHIN: Final = 2.0
_ASKED_WITHIN: Final = 60.0  # seconds for a request, or the next one; aiohttp would wait an hour


class _Pages:
    def __init__(self, metrics: Metrics, gauges: Gauges, reader: SnapshotReader, health: Health) -> None:
        self._metrics = metrics
        self._gauges = gauges
        self._reader = reader
        self._health = health

    async def metrics(self, _request: web.Request) -> web.Response:
        try:
            self._gauges.snapshot = await asyncio.wait_for(self._reader.snapshot(), _LOOK_WITHIN)
        except Exception as error:
            log.error("no look at the store", error=type(error).__name__)
            self._gauges.snapshot = None  # counters of the process are shown nevertheless
        body = generate_latest(self._metrics.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(self, _request: web.Request) -> web.Response:
        return _health_response(await self._health.live())

    async def readyz(self, _request: web.Request) -> web.Response:
        return _health_response(await self._health.ready())


def _health_response(checks: Sequence[Check]) -> web.Response:
    well = all(check.ok for check in checks)
    shown = [{"check": check.name, "ok": check.ok, "why": check.why} for check in checks]
    return web.json_response({"ok": well, "checks": shown}, status=200 if well else 503)


@asynccontextmanager
async def listening(
    settings: MetricsSettings, metrics: Metrics, gauges: Gauges, reader: SnapshotReader, health: Health
) -> AsyncIterator[tuple[str, int]]:
    """Answers while the context is open, at the address that it returns. Raises `OSError` if that is in
    use."""
    pages = _Pages(metrics, gauges, reader, health)
    application = web.Application()
    routes: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {
        "/metrics": pages.metrics,
        "/healthz": pages.healthz,
        "/readyz": pages.readyz,
    }
    for path, page in routes.items():
        application.router.add_get(path, page)
    runner = web.AppRunner(
        application, access_log=None, shutdown_timeout=_CLOSE_WITHIN, keepalive_timeout=_ASKED_WITHIN
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port)
        await site.start()
        host, port, *_of_ipv6 = runner.addresses[0]
        yield str(host), int(port)
    finally:
        await runner.cleanup()
