"""Named places at which tests end the process: before a function begins, or after it has ended."""

from collections.abc import Callable
from typing import Any, TypeVar

_F = TypeVar("_F", bound=Callable[..., Any])


def _as_it_is(_name: str, function: _F) -> _F:
    return function


# A test that ends the process replaces this before it imports anything else of the product.
wrap: Callable[[str, Callable[..., Any]], Callable[..., Any]] = _as_it_is


def crash_point(name: str) -> Callable[[_F], _F]:
    def mark(function: _F) -> _F:
        return wrap(name, function)  # type: ignore[return-value]

    return mark
