"""Outcomes of work in threads, brought to the tasks that wait for them.

The loop is woken once for all that is done meanwhile: waking it for each outcome, as the standard library's
futures do, costs more than most queries.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any


class Outcomes:
    """The outcomes for the tasks of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._done: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()
        self._woken = False

    def new(self) -> "Outcome":
        """To be called in the loop."""
        return Outcome(self, self.loop.create_future())

    def several(self, count: int) -> "tuple[asyncio.Future[list[Any]], list[PartialOutcome]]":
        """One future for the outcomes of several pieces of work, in their order: results, or the exceptions
        that were raised. To be called in the loop; `count` is at least 1."""
        whole = _Several(self, self.loop.create_future(), [None] * count, count)
        return whole.future, [PartialOutcome(whole, place) for place in range(count)]

    def put(self, future: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
        """From any thread."""
        self._done.append((future, result, error))
        if self._woken:
            return  # the loop has not looked yet, and takes this one too
        self._woken = True
        try:
            self.loop.call_soon_threadsafe(self._hand_over)
        except RuntimeError:
            self._woken = False
            self._done.clear()  # the loop is closed: nobody waits any more

    def _hand_over(self) -> None:
        self._woken = False  # first: what is put from now on wakes the loop again
        while self._done:
            future, result, error = self._done.popleft()
            if future.done():
                continue  # its task was cancelled
            if error is None:
                future.set_result(result)
            elif isinstance(
                error, StopIteration
            ):  # no future takes one: it would end the generator of a task
                future.set_exception(RuntimeError("StopIteration"))
            else:
                future.set_exception(error)


class Outcome:
    """What a task waits for, with those methods of `concurrent.futures.Future` that whoever does the work
    calls."""

    def __init__(self, outcomes: Outcomes, future: "asyncio.Future[Any]") -> None:
        self._outcomes = outcomes
        self.future = future

    def set_running_or_notify_cancel(self) -> bool:
        return not self.future.cancelled()

    def set_result(self, result: Any) -> None:
        self._outcomes.put(self.future, result, None)

    def set_exception(self, error: BaseException) -> None:
        self._outcomes.put(self.future, None, error)


@dataclass(slots=True)
class _Several:
    outcomes: Outcomes
    future: "asyncio.Future[list[Any]]"
    results: list[Any]
    missing: int


class PartialOutcome:
    """One of several (`Outcomes.several`), with the same methods. All are given by one thread."""

    def __init__(self, whole: _Several, place: int) -> None:
        self._whole = whole
        self._place = place

    def set_running_or_notify_cancel(self) -> bool:
        return not self._whole.future.cancelled()

    def set_result(self, result: Any) -> None:
        whole = self._whole
        whole.results[self._place] = result
        whole.missing -= 1
        if not whole.missing:
            whole.outcomes.put(whole.future, whole.results, None)

    def set_exception(self, error: BaseException) -> None:
        self.set_result(error)
