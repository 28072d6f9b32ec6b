"""Whether a declaration may go paperless: scope, class and contract of trader and broker (REFORM R5-R7)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from gateway.faults import Fault, Finding, finding
from gateway.parties import TraderClass
from gateway.reform import ReformPolicy, Traffic, in_force, sources


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Trader or broker as the rules see it on the day; one that is not registered has no class.
    `has_contract` is that with the declaration's district."""

    role: str
    code: str
    trader_class: TraderClass | None
    has_contract: bool


def why_not_paperless(
    traffic: Traffic, sides: tuple[Side, ...], policy: ReformPolicy, day: date
) -> Iterator[Finding]:
    """The rules that forbid a paperless entry, each with its announcement; none for a paper entry, which is
    passed on as such."""
    if not traffic.paperless:
        return
    scopes = in_force(policy.scope, day)
    phase = sources(scopes)
    if not any(scope.covers(traffic) for scope in scopes):
        yield finding(
            Fault.PAPERLESS_SCOPE,
            detail=f"{traffic.district} {traffic.direction} {traffic.transport}, {day}: {phase}",
        )
    eligible = in_force(policy.eligible, day)
    for side in sides:
        if not any(side.trader_class in row.classes for row in eligible):
            yield finding(
                Fault.PAPERLESS_CLASS,
                detail=f"{side.role} {side.code}: {side.trader_class or '-'}; {sources(eligible)}",
            )
        if not side.has_contract:
            # Every announcement of a phase asks for the contract (FORMATS 6).
            yield finding(
                Fault.PAPERLESS_CONTRACT, detail=f"{side.role} {side.code}: {traffic.district}; {phase}"
            )
