"""The latest snapshot of the node, as metrics."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from adapters.monitor.metrics import Metrics, ages
from gateway.monitor.alarms import AlarmSeverity
from gateway.monitor.snapshot import SystemSnapshot
from gateway.monitor.statistics_bands import Band

_STATES: Final = ("closed", "open", "probing")
_MOST: Final = 200  # offices, and brokers: a declaration may name any office


class Gauges(Collector):
    """Metrics of the last snapshot that was set."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.snapshot: SystemSnapshot | None = None
        self.bands: tuple[Band, ...] = ()
        metrics.registry.register(self)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        if self.snapshot is not None:
            yield from self._of_sight(self.snapshot)
        yield from self._of_bands()

    def _of_sight(self, snapshot: SystemSnapshot) -> Iterator[GaugeMetricFamily]:
        yield _family(
            "queue_depth",
            "How many stand at a stage, for a destination or account where it has several",
            ("stage", "of"),
            (((queue.stage, queue.owner), queue.count) for queue in snapshot.queues),
        )
        yield _family(
            "queue_oldest_seconds",
            "Age of the oldest there, 0 where there is none",
            ("stage", "of"),
            (((queue.stage, queue.owner), queue.age) for queue in snapshot.queues),
        )
        yield _family(
            "backend_breaker",
            "1 for the state that the breaker of a back-end is in",
            ("backend", "state"),
            (
                ((backend.name, state), backend.breaker == state)
                for backend in snapshot.backends
                for state in _STATES
            ),
        )
        yield _family(
            "backend_paused",
            "1 where an operator paused a back-end",
            ("backend",),
            (((backend.name,), backend.paused_at is not None) for backend in snapshot.backends),
        )
        day = timedelta(days=1)
        yield _family(
            "certificate_days_left",
            "Days to the end of a certificate: our own, and the last one of a party where it ends soon",
            ("kind", "owner"),
            (
                ((ending.kind, ending.owner), (ending.ends - snapshot.at) / day)
                for ending in snapshot.expiries
                if ending.ends is not None
            ),
        )
        yield _family("answers_held", "Answers that belong to no message", (), (((), snapshot.held_answers),))
        yield _family(
            "disk_free_bytes", "Free on the disk of the home", (), (((), float(snapshot.free_bytes)),)
        )
        yield _family("disk_free_ratio", "Share of that disk that is free", (), (((), snapshot.free),))
        if snapshot.link is not None:
            yield _family(
                "amqp_connected", "1 with a broker to talk to", (), (((), snapshot.link.connected),)
            )
            yield _family("amqp_put_aside", "In gateway.dead", (), (((), float(snapshot.link.put_aside)),))
            yield _family(
                "amqp_blocked", "1 while the broker takes nothing", (), (((), snapshot.link.blocked),)
            )
        yield _family(
            "backend_deaf",
            "1 for a back-end whose answers cannot be fetched",
            ("backend",),
            (((backend.name,), backend.name in snapshot.deaf) for backend in snapshot.backends),
        )
        yield _family(
            "partner_visited",
            "1 while a partner's folders can be visited",
            ("partner",),
            (((host.name,), host.failing_since is None) for host in snapshot.hosts),
        )
        yield _family(
            "alarms_open",
            "Open alarms (gateway alarms list)",
            ("severity",),
            (((severity.value,), snapshot.open_alarms.count(severity)) for severity in AlarmSeverity),
        )
        yield _family(
            "loop_age_seconds",
            "Since a loop of the node began its last round",
            ("loop",),
            (((loop,), age) for loop, age in ages(self._metrics.ticks, snapshot.at).items()),
        )

    def _of_bands(self) -> Iterator[GaugeMetricFamily]:
        bands = list(_busiest(self.bands))
        yield _family(
            "declarations_window",
            "Declarations of the monitoring window by what became of them",
            ("by", "name", "outcome"),
            (((band.by, band.name, outcome), n) for band in bands for outcome, n in band.counts.items()),
        )
        yield _family(
            "declarations_share",
            "Share of those declarations that monitoring watches",
            ("by", "name", "share"),
            (((band.by, band.name, name), each.value) for band in bands for name, each in band.shares),
        )
        yield _family(
            "declarations_outside_band",
            "1 where that share is outside its band",
            ("by", "name", "share"),
            (((band.by, band.name, name), each.outside) for band in bands for name, each in band.shares),
        )


def _busiest(bands: Iterable[Band]) -> Iterator[Band]:
    """Of each kind the `_MOST` with the most declarations."""
    seen = Counter[str]()
    for band in sorted(bands, key=lambda each: -sum(each.counts.values())):
        seen[band.by] += 1
        if seen[band.by] <= _MOST:
            yield band


def _family(
    name: str, text: str, labels: tuple[str, ...], samples: Iterable[tuple[tuple[str, ...], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"gateway_{name}", text, labels=labels)
    for values, value in samples:
        family.add_metric(values, float(value))
    return family
