"""What the metrics of a node make of names that stand in messages."""

from prometheus_client import generate_latest

from adapters.monitor.gauges import Gauges
from adapters.monitor.metrics import Metrics
from gateway.monitor.statistics_bands import Band


def _band(by: str, name: str, accepted: int) -> Band:
    return Band(by=by, name=name, counts={"accepted": accepted}, shares=())


def test_there_are_as_many_series_of_offices_as_are_of_use_however_many_are_named() -> None:
    metrics = Metrics()
    gauges = Gauges(metrics)
    gauges.bands = (
        *(_band("office", f"{number:04}", 1) for number in range(5000)),
        _band("office", "9999", 2),
        _band("broker", '02\n"}', 1),
    )
    lines = generate_latest(metrics.registry).decode().splitlines()
    series = [line for line in lines if line.startswith("gateway_declarations_window{")]
    assert len([line for line in series if 'by="office"' in line]) == 200
    assert any('name="9999"' in line for line in series)
    assert [line for line in series if 'by="broker"' in line] == [
        'gateway_declarations_window{by="broker",name="02\\n\\"}",outcome="accepted"} 1.0'
    ]
