"""Policy for the bands of outcome shares of declarations; outside a band a warning opens (docs/reform.md,
R17)."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BandPolicy(_Section):
    """The lowest and the highest share that raise no warning."""

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
