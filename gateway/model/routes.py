"""The routes of an installation: which back-end takes which message."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field


class Route(BaseModel):
    """One entry of `routes.toml`. A condition lists shell patterns, one of which must match; a condition
    that is left out matches anything."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="shown to operators")
    backend: str = Field(description="which back-end takes it")
    failover: tuple[str, ...] = Field(
        (), description="back-ends that take it while that one is down, the first one first"
    )
    office: tuple[str, ...] = Field((), description="customs office of declaration")
    direction: tuple[str, ...] = Field((), description="I import, E export")
    transport: tuple[str, ...] = Field((), description="transport mode code")
    type: tuple[str, ...] = Field((), description="message type, as the family's profile names it")

    def unmet(self, type_name: str, values: Mapping[str, str]) -> list[tuple[str, str]]:
        """The conditions that are not met, each with the message's value; none where the route covers the
        message."""
        conditions = (
            ("office", self.office, values.get("office", "")),
            ("direction", self.direction, values.get("direction", "")),
            ("transport", self.transport, values.get("transport", "")),
            ("type", self.type, type_name),
        )
        return [
            (name, value)
            for name, patterns, value in conditions
            if patterns and not any(fnmatchcase(value, pattern) for pattern in patterns)
        ]


class Routes(BaseModel):
    """`config/routes.toml`: the first route that covers a message takes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    route: tuple[Route, ...] = ()

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        return cls.model_validate(data)
