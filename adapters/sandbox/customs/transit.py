"""Transit (转关; docs/reform.md, R10): which declarations move between two offices, and in which order.

The public lists have no CHANNEL for the steps of a transit; `TrD`, `TrA` and `TrW` are the sandbox's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from adapters.sandbox.customs.courses import Notice

# With this prefix each step waits for a decision by hand.
BY_HAND: Final = "TRANSIT-HAND-"

_ADVANCE: Final = ("3", "5")  # codes/edi_id.csv: north and south, advance; so is relation 1, decl_trn_rel.csv

_DEPARTED: Final = Notice("TrD", "转关货物放行，准予起运")
_ARRIVED: Final = Notice("TrA", "转关货物运抵")
_WRITTEN_OFF: Final = Notice("TrW", "转关单已核销")


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """The journey of goods in transit: imports go from the office of entry to the office of declaration,
    exports from there to the office of exit. `reviewed_first`: the review comes before the departure."""

    imports: bool
    reviewed_first: bool
    by_hand: bool

    def departed(self) -> Notice:
        return _at(_DEPARTED, border=self.imports)

    def arrived(self) -> Notice:
        return _at(_ARRIVED, border=not self.imports)

    def let_go(self, notice: Notice) -> Notice:
        """The notice of release, by the office where the goods have arrived."""
        return _at(notice, border=not self.imports)

    def written_off(self) -> Notice:
        return _at(_WRITTEN_OFF, border=not self.imports)


def _at(notice: Notice, *, border: bool) -> Notice:
    return Notice(notice.channel, notice.note, at_border=border)


def has_form(facts: Mapping[str, str]) -> bool:
    """Whether the declaration has a transit form."""
    return facts.get("transit") == "1"


def journey_of(reference: str, facts: Mapping[str, str]) -> Journey | None:
    """The journey of a declaration; None where the goods stay with one office.

    The declaration is reviewed before the departure in advance transit and at export, where the goods are at
    the office of declaration; in direct transit of imports it is reviewed after the arrival.
    """
    border = facts.get("ie_port", "")
    if not (has_form(facts) and border and border != facts.get("office")):
        return None
    advance = facts.get("transit_relation") == "1" or facts.get("edi_id", "") in _ADVANCE
    imports = facts.get("direction") == "I"
    return Journey(
        imports=imports,
        reviewed_first=advance or not imports,
        by_hand=reference.startswith(BY_HAND),
    )
