"""The risk hint that goes to customs with a declaration (docs/reform.md, R8)."""

from dataclasses import dataclass

from gateway.model.reform import Risk


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """`risk` is from the table; `treated_as` differs only for the randomly drawn share of the unknown
    ones."""

    risk: Risk
    treated_as: Risk
    inspection: str
    reasons: tuple[str, ...]
