"""The order of receipt: it decides who gets what only one message can have, and which version of a message
counts (docs/for-brokers.md, "Agency agreements"). Whichever is judged first makes no difference."""

from collections.abc import Iterable, Sequence

from gateway.model.message import Version


def comes_first(place: int, claimants: Iterable[int]) -> bool:
    """Whether a message may take what only one can have. `claimants` are the places, in the order of receipt,
    of the messages that were woken by it, or gave up waiting for it, and are not decided yet; `place` is that
    of the message, which may be one of them."""
    return all(place <= claimant for claimant in claimants)


def replaced_by(versions: Iterable[Version], content: str) -> Version | None:
    """The version that replaces a message with this content: a later one with other content."""
    return next((each for each in versions if each.later and each.content != content), None)


def repeated_from(versions: Sequence[Version], content: str) -> Version | None:
    """The version that a message with this content repeats: the one before it, if that has the same content.
    An older one with the same content was replaced in between. `versions` are in the order of receipt."""
    before = [each for each in versions if not each.later]
    return before[-1] if before and before[-1].content == content else None


def is_decided_by_another(versions: Sequence[Version], content: str) -> bool:
    """Whether another version decides a message with this content, by replacing it or as its original."""
    return replaced_by(versions, content) is not None or repeated_from(versions, content) is not None
