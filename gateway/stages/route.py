"""Where it goes: routes by facts of the message; no match is a fault, never a default."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from gateway.faults import Fault, Rejected, finding
from gateway.message import Facts


class Route(BaseModel):
    """One entry of `routes.toml`. A condition lists shell patterns, one of which must fit; one that is left
    out fits anything."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="shown to operators")
    backend: str = Field(description="which back-end takes it")
    office: tuple[str, ...] = Field((), description="customs office of declaration")
    direction: tuple[str, ...] = Field((), description="I import, E export")
    transport: tuple[str, ...] = Field((), description="transport mode code")
    type: tuple[str, ...] = Field((), description="message type, as the family's profile names it")

    def covers(self, type_name: str, values: Mapping[str, str]) -> bool:
        asked = (
            (self.office, values.get("office", "")),
            (self.direction, values.get("direction", "")),
            (self.transport, values.get("transport", "")),
            (self.type, type_name),
        )
        return all(
            not patterns or any(fnmatchcase(value, pattern) for pattern in patterns)
            for patterns, value in asked
        )


class Routes(BaseModel):
    """`config/routes.toml`: the first route that covers a message takes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    route: tuple[Route, ...] = ()

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        return cls.model_validate(data)


def route(facts: Facts, routes: Routes) -> Route:
    for candidate in routes.route:
        if candidate.covers(facts.key.type, facts.values):
            return candidate
    shown = ("office", "direction", "transport")
    detail = ", ".join(f"{name} {facts.values.get(name, '-')}" for name in shown)
    raise Rejected(finding(Fault.NO_ROUTE, detail=detail))
