"""`gateway serve` that kills itself where a file says so: its crash points (`run.crash_points`) are wrapped.

    python -m tests.system.crashing PLAN serve --home HOME

It may as well be `customs serve`.

While there is no file PLAN it serves as ever. Else that holds one line, either of

    node NAME before|after NTH              ends the node at the NTH call of this crash point from then on,
                                            and removes PLAN
    worker FILE dies|hangs|ends-node TIMES  the first TIMES judgements of that file end so

Where there is a file PLAN.ahead, the node's clock is so many seconds ahead.
"""

import inspect
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from gateway.run import crash_points

_NODE: Final = "CRASHING_NODE"


def _plan() -> list[str]:
    try:
        return Path(sys.argv[1]).read_text().split()
    except FileNotFoundError:
        return []


class _Killing:
    def __init__(self, place: str) -> None:
        self._place = place
        self._calls = 0

    def over(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            due = self._due()
            if due == "before":
                _end()
            with self._counted(due):
                result = function(*arguments, **named)
            if due == "after":
                _end()
            return result

        async def wrapped_async(*arguments: Any, **named: Any) -> Any:
            due = self._due()
            if due == "before":
                _end()
            with self._counted(due):
                result = await function(*arguments, **named)
            if due == "after":
                _end()
            return result

        return wrapped_async if inspect.iscoroutinefunction(function) else wrapped

    @contextmanager
    def _counted(self, due: str) -> Iterator[None]:
        """A call that raises, as one that came too late does, is not the one after which the node dies."""
        try:
            yield
        except BaseException:
            self._calls -= due == "after"
            raise

    def _due(self) -> str:
        plan = _plan()
        if plan[:2] != ["node", self._place]:
            return ""
        self._calls += 1
        return plan[2] if self._calls == int(plan[3]) else ""


def _end() -> None:
    Path(sys.argv[1]).unlink()
    os.kill(os.getpid(), signal.SIGKILL)


# Before anything that has crash points is imported.
crash_points.wrap = lambda name, function: _Killing(name).over(function)

import cli  # noqa: E402
from adapters.run import node, worker  # noqa: E402
from gateway.judge.pipeline import judge as judge_really  # noqa: E402
from gateway.model.message import Received  # noqa: E402

serve_worker_really = worker._serve


def serve_worker(*arguments: Any) -> None:
    """The life of a worker in which one file meets what the plan says."""
    vars(worker).update(judge=_judge)
    serve_worker_really(*arguments)


def _judge(received: Received, *arguments: Any) -> Any:
    plan = _plan()
    if plan[:2] == ["worker", received.arrival.name] and received.attempts <= int(plan[3]):
        if plan[2] == "hangs":
            time.sleep(3600)
        os.kill(os.getpid() if plan[2] == "dies" else int(os.environ[_NODE]), signal.SIGKILL)
    return judge_really(received, *arguments)


def _ahead() -> datetime:
    try:
        seconds = int(Path(sys.argv[1]).with_suffix(".ahead").read_text())
    except FileNotFoundError:
        seconds = 0
    return datetime.now(UTC) + timedelta(seconds=seconds)


def main() -> None:
    vars(worker).update(_serve=serve_worker)
    vars(node).update(utc_now=_ahead)
    os.environ[_NODE] = str(os.getpid())
    cli.app(sys.argv[2:])


if __name__ == "__main__":
    main()
