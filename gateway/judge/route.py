"""Routing by facts of the message; no matching route is a fault, there is no default."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.model.decision import AgreementOutcome, DocumentsOutcome, JudgedOutcome
from gateway.model.faults import Fault, MessageRejected, finding
from gateway.model.message import Facts, Operation
from gateway.model.register import Register
from gateway.model.routes import Route, Routes

_SHOWN: Final = {"office": "申报地海关", "direction": "进出口标志", "transport": "运输方式"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedCopy:
    """Where one copy goes. `office` is the second customs office that it is for, else empty. `alternatives`
    may take it in place of `backend`; a message about a declaration that another back-end has goes there."""

    route: str
    backend: str
    alternatives: tuple[str, ...] = ()
    office: str = ""


def route(facts: Facts, outcome: JudgedOutcome, register: Register, routes: Routes) -> tuple[RoutedCopy, ...]:
    """The destinations of the message, one entry for each copy.

    Goods in transit are declared at one office and enter or leave at another, and both must know (R10). Later
    documents go where their declaration went. A notice of the association goes to the back-ends that have
    a declaration under the agreement, and nowhere if there are none or the notice says nothing new. Raises
    `MessageRejected` where no route fits.
    """
    values = facts.values
    if isinstance(outcome, DocumentsOutcome):
        return (RoutedCopy(route="as the declaration", backend=outcome.belongs_to.destination),)
    if isinstance(outcome, AgreementOutcome):
        shown = () if outcome.change is None else register.shown(outcome.change.after.number)
        return tuple(RoutedCopy(route="as the declarations under it", backend=backend) for backend in shown)
    route = first(facts.key.type, values, routes)
    copies = [RoutedCopy(route=route.name, backend=route.backend, alternatives=route.failover)]
    if other := second_office(facts.operation, values):
        route = first(facts.key.type, values | {"office": other}, routes)
        copies.append(
            RoutedCopy(route=route.name, backend=route.backend, alternatives=route.failover, office=other)
        )
    return tuple(copies)


def second_office(operation: Operation | None, values: Mapping[str, str]) -> str:
    """The other office that must know of goods in transit; empty where there is none."""
    in_transit = operation is Operation.DECLARE and values.get("transit") == "1"
    other = values.get("ie_port", "")
    return other if in_transit and other != values.get("office") else ""


def first(type_name: str, values: Mapping[str, str], routes: Routes) -> Route:
    """The first route that covers such a message; raises `MessageRejected` where none does."""
    for candidate in routes.route:
        if not candidate.unmet(type_name, values):
            return candidate
    conditions = [(name, zh, values.get(name, "-")) for name, zh in _SHOWN.items()]
    raise MessageRejected(
        finding(
            Fault.NO_ROUTE,
            detail=", ".join(f"{name} {value}" for name, _zh, value in conditions),
            detail_zh="，".join(f"{zh} {value}" for _name, zh, value in conditions),
        )
    )
