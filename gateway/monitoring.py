"""Figures by customs office, broker and trader class, and bands beyond which a warning opens (REFORM R17)."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.alarms import Condition, Severity

Share = Annotated[float, Field(ge=0, le=1)]

OUTCOMES: Final = ("accepted", "rejected", "inspected", "refused", "released")


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BandPolicy(_Section):
    """Lowest and highest share that is let pass without a warning."""

    rejected: tuple[Share, Share] | None = Field(None, description="of those judged: rejected by the gateway")
    refused: tuple[Share, Share] | None = Field(None, description="of those accepted: refused by customs")
    inspected: tuple[Share, Share] | None = Field(None, description="of those accepted: inspected by customs")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for band in (self.rejected, self.refused, self.inspected):
            if band is not None and band[0] > band[1]:
                raise ValueError("a band goes from its lowest to its highest share")
        return self


class MonitoringPolicy(_Section):
    window_hours: float = Field(24, gt=0, le=24 * 31, description="hours back that figures are taken over")
    minimum: int = Field(20, ge=1, description="declarations judged below which no share is judged by")
    minutes: float = Field(5, ge=0.01, le=1440, description="between two takings")
    rejected: tuple[Share, Share] = Field(
        (0.0, 0.5), description="band of the share rejected by the gateway, of those judged"
    )
    refused: tuple[Share, Share] = Field(
        (0.0, 0.3), description="band of the share refused by customs, of those accepted"
    )
    inspected: tuple[Share, Share] = Field(
        (0.0, 0.3), description="band of the share inspected by customs, of those accepted"
    )
    office: dict[str, BandPolicy] = Field(
        default_factory=dict, description="bands of a customs office of its own, by its code"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for band in (self.rejected, self.refused, self.inspected):
            if band[0] > band[1]:
                raise ValueError("a band goes from its lowest to its highest share")
        return self

    def band(self, by: str, name: str, share: str) -> tuple[float, float]:
        """The band of `share` that holds for this office, broker or class."""
        general: tuple[float, float] = getattr(self, share)
        own: tuple[float, float] | None = (
            getattr(self.office[name], share) if by == "office" and name in self.office else None
        )
        return general if own is None else own


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Declarations of one office, broker (customs code) and trader class, by what became of them."""

    office: str
    broker: str
    trader_class: str
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One share beside its band. `judged_by` says whether there are enough declarations for it to count."""

    value: float
    band: tuple[float, float]
    judged_by: bool

    @property
    def outside(self) -> bool:
        return self.judged_by and not self.band[0] <= self.value <= self.band[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """What became of the declarations of one office, broker or trader class."""

    by: str
    name: str
    counts: Mapping[str, int]
    shares: tuple[tuple[str, Watched], ...]


# Of what each share is a share.
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
    """The figures by office, then by broker, then by trader class, each by name."""
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


def _watched(by: str, name: str, share: str, counts: Counter[str], policy: MonitoringPolicy) -> Watched:
    whole = sum(counts[each] for each in _OF[share])
    value = counts[share] / whole if whole else 0.0
    return Watched(value=value, band=policy.band(by, name, share), judged_by=whole >= policy.minimum)


def warnings(found: Iterable[Band]) -> list[Condition]:
    """One for each share that is outside its band."""
    met = []
    for band in found:
        for share, watched in band.shares:
            if watched.outside:
                low, high = watched.band
                met.append(
                    Condition(
                        key=f"band:{band.by}:{band.name}:{share}"[:128],
                        severity=Severity.WARNING,
                        zh=f"{_ZH[band.by]} {band.name or '-'} 的{_ZH[share]}率为 {watched.value:.1%}，"
                        f"超出 {low:.1%} 至 {high:.1%} 的范围，请查看",
                        en=f"{_EN[band.by]} {band.name or '-'}: {watched.value:.1%} {_EN[share]}, "
                        f"outside {low:.1%} to {high:.1%}",
                    )
                )
    return met
