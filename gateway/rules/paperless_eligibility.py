"""Whether a declaration may go paperless (docs/reform.md, R5-R7): scope, class and contract of trader and
broker."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from gateway.model.china import day_zh
from gateway.model.faults import Fault, Finding, finding
from gateway.model.parties import CLASSES_ZH, Role, TraderClass
from gateway.model.reform import ReformPolicy, Traffic, in_force, sources, sources_zh
from gateway.model.trade_words import DIRECTIONS_ZH, TRANSPORTS_ZH, called


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperlessSide:
    """Trader or broker on the day of receipt. `trader_class` is None where the party is not registered;
    `has_contract` is about the contract with the declaration's district."""

    role: str
    code: str
    trader_class: TraderClass | None
    has_contract: bool


def why_not_paperless(
    traffic: Traffic, sides: tuple[PaperlessSide, ...], policy: ReformPolicy, day: date
) -> Iterator[Finding]:
    """A finding for each rule that forbids a paperless entry, with its announcement; none for a paper entry,
    which is passed on as paper."""
    if not traffic.paperless:
        return
    scopes = in_force(policy.scope, day)
    phase, phase_zh = sources(scopes), sources_zh(scopes)
    if not any(scope.covers(traffic) for scope in scopes):
        yield finding(
            Fault.PAPERLESS_SCOPE,
            detail=f"{traffic.district} {traffic.direction} {traffic.transport}, {day}: {phase}",
            detail_zh=f"关区 {traffic.district}、"
            f"{DIRECTIONS_ZH.get(traffic.direction, traffic.direction)}、"
            f"{called(TRANSPORTS_ZH, traffic.transport, '运输方式')}，{day_zh(day)}；依据：{phase_zh}",
        )
    eligible = in_force(policy.eligible, day)
    for side in sides:
        if not any(side.trader_class in row.classes for row in eligible):
            yield finding(
                Fault.PAPERLESS_CLASS,
                detail=f"{side.role} {side.code}: {_class_of(side)}; {sources(eligible)}",
                detail_zh=f"{_named_zh(side)}：{_class_of_zh(side)}；依据：{sources_zh(eligible)}",
            )
        if not side.has_contract:
            # Every announcement of a phase asks for the contract.
            yield finding(
                Fault.PAPERLESS_CONTRACT,
                detail=f"{side.role} {side.code}: {traffic.district}; {phase}",
                detail_zh=f"{_named_zh(side)}：关区 {traffic.district}；依据：{phase_zh}",
            )


def _named_zh(side: PaperlessSide) -> str:
    return f"{'境内收发货人' if side.role == Role.TRADER else '申报单位'} {side.code}"


def _class_of(side: PaperlessSide) -> str:
    return "no class registered" if side.trader_class is None else f"class {side.trader_class}"


def _class_of_zh(side: PaperlessSide) -> str:
    if side.trader_class is None:
        return "网关未登记其企业管理类别，请联系网关值班人员"
    return CLASSES_ZH[side.trader_class]
