"""The documents that a declaration must bring, and when they are due (docs/reform.md, R3, R4)."""

from datetime import date
from typing import Final

from gateway.model.obligation import Obligation
from gateway.model.parties import TraderClass
from gateway.model.reform import Due, ReformPolicy, Traffic, in_force, sources, sources_zh

_AGENCY_AGREEMENT: Final = "10000001"  # the electronic one


def there(listed: str, under_agreement: bool) -> tuple[str, ...]:
    """The document classes that a message brings. `listed` are those that the message lists; the class of
    the electronic agency agreement counts only if the agreement that the message names covers the
    declaration."""
    return tuple(code for code in listed.split() if code != _AGENCY_AGREEMENT or under_agreement)


def obligation(
    traffic: Traffic, trader: TraderClass | None, keeps_papers: bool, policy: ReformPolicy, day: date
) -> Obligation:
    """The documents that a declaration owes. A paper entry owes no electronic ones, since its papers go to
    the counter."""
    if not traffic.paperless:
        return Obligation(due=Due.KEPT, documents=(), sources=())
    processing = traffic.trade_mode in policy.processing_modes
    demands = [
        row
        for row in in_force(policy.demand, day)
        if (not row.direction or traffic.direction in row.direction) and row.processing in (None, processing)
    ]
    rows = [
        row
        for row in in_force(policy.due, day)
        if trader in row.classes and row.keeps_papers in (None, keeps_papers)
    ]
    ruling = (*demands, *rows[:1])
    documents = dict.fromkeys(code for row in demands for code in row.documents)
    return Obligation(
        # A trader class that no row names has no privilege.
        due=rows[0].due if rows else Due.WITH,
        documents=tuple(documents),
        sources=tuple(sources([row]) for row in ruling),
        sources_zh=tuple(sources_zh([row]) for row in ruling),
    )
