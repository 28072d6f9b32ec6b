"""Answers of customs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer of customs, as it came. `id` is the back-end's own, for `acknowledge`; `key` is that of the
    submission it answers, where the connection gives it (a correlation id, a file name); an empty one becomes
    None."""

    id: str
    name: str
    body: bytes
    key: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", self.key or None)
