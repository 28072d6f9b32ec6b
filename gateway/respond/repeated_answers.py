"""Which answers are new: customs may send the same one again, and a node that died is given it again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.respond.ports import Filed


@dataclass(frozen=True, slots=True, kw_only=True)
class FiledBefore:
    """An answer that is in the store. `linked` is its declaration, None where none is known; `waits`: for its
    declaration."""

    id: str
    sha256: str
    linked: str | None
    waits: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is left of a chain, in its order: the new answers, and parked ones that turn out to repeat
    another, of which only the wait ends."""

    new: Sequence[Filed]
    repeated: Sequence[Filed]


def select_new(chain: Sequence[Filed], before: Iterable[FiledBefore]) -> Selection:
    """Leaves out the answers that are filed for the same declaration already, or come twice in the chain; an
    unmatched answer counts for any declaration. `before` are the answers in the store with the same bytes."""
    before = list(before)
    known = {(each.sha256, each.linked) for each in before}
    waiting = {each.id for each in before if each.waits}
    new: list[Filed] = []
    repeated: list[Filed] = []
    for filed in chain:
        sha256, linked = filed.answer.sha256, filed.linked
        if filed.parked is None:
            if {(sha256, linked), (sha256, None)} & known:
                continue
        elif filed.parked not in waiting:  # another chain has already found it
            continue
        elif linked is not None and (sha256, linked) in known:
            repeated.append(filed)
            continue
        known.add((sha256, linked))
        new.append(filed)
    return Selection(new=new, repeated=repeated)
