"""Figures by customs office, broker and trader class, and the bands outside of which a warning opens
(docs/reform.md, R17)."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.model.band_policy import MonitoringPolicy
from gateway.monitor.alarms import AlarmSeverity, Condition

OUTCOMES: Final = ("accepted", "rejected", "inspected", "refused", "released")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """The number of declarations by outcome, for one office, broker (customs code) and trader class."""

    office: str
    broker: str
    trader_class: str
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedShare:
    """A share (0 to 1) with its band. `judged_by` says whether there are enough declarations to judge it."""

    value: float
    band: tuple[float, float]
    judged_by: bool

    @property
    def outside(self) -> bool:
        return self.judged_by and not self.band[0] <= self.value <= self.band[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """The outcomes of the declarations of one office, broker or trader class."""

    by: str
    name: str
    counts: Mapping[str, int]
    shares: tuple[tuple[str, WatchedShare], ...]


# The outcomes that together are the whole of each share.
_OF: Final = {
    "rejected": ("accepted", "rejected"),
    "refused": ("accepted",),
    "inspected": ("accepted",),
}
_ZH: Final = {
    "office": "关区",
    "broker": "报关企业",
    "trader_class": "企业管理类别",
    "rejected": "网关拒收",
    "refused": "海关退单",
    "inspected": "查验",
}
_EN: Final = {
    "office": "customs office",
    "broker": "broker",
    "trader_class": "trader class",
    "rejected": "rejected here",
    "refused": "refused by customs",
    "inspected": "inspected",
}


def bands(figures: Iterable[Figure], policy: MonitoringPolicy) -> tuple[Band, ...]:
    """The figures summed by office, then by broker, then by trader class, each sorted by name."""
    totals: dict[tuple[str, str], Counter[str]] = {}
    for figure in figures:
        for by in ("office", "broker", "trader_class"):
            name = getattr(figure, by)
            totals.setdefault((by, name), Counter()).update(figure.counts)
    order = ("office", "broker", "trader_class")
    return tuple(
        Band(
            by=by,
            name=name,
            counts={outcome: counts[outcome] for outcome in OUTCOMES},
            shares=tuple((share, _watched(by, name, share, counts, policy)) for share in _OF),
        )
        for (by, name), counts in sorted(
            totals.items(), key=lambda each: (order.index(each[0][0]), each[0][1])
        )
    )


def _watched(by: str, name: str, share: str, counts: Counter[str], policy: MonitoringPolicy) -> WatchedShare:
    whole = sum(counts[each] for each in _OF[share])
    value = counts[share] / whole if whole else 0.0
    return WatchedShare(value=value, band=policy.band(by, name, share), judged_by=whole >= policy.minimum)


def warnings(bands: Iterable[Band]) -> list[Condition]:
    """One condition for each share that is outside its band."""
    met = []
    for band in bands:
        for share, watched in band.shares:
            if watched.outside:
                low, high = watched.band
                met.append(
                    Condition(
                        key=f"band:{band.by}:{band.name}:{share}"[:128],
                        severity=AlarmSeverity.WARNING,
                        zh=f"{_ZH[band.by]} {band.name or '-'} 的{_ZH[share]}率为 {watched.value:.1%}，"
                        f"超出 {low:.1%} 至 {high:.1%} 的范围，请查看",
                        en=f"{_EN[band.by]} {band.name or '-'}: {watched.value:.1%} {_EN[share]}, "
                        f"outside {low:.1%} to {high:.1%}",
                    )
                )
    return met
