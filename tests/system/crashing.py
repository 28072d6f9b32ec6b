"""`gateway serve` that kills itself where a file says so: no hook in the product, functions are wrapped.

    python -m tests.system.crashing PLAN serve --home HOME

It may as well be `customs serve`.

While there is no file PLAN it serves as ever. Else that holds one line, either of

    node MODULE:NAME before|after NTH       ends the node at the NTH call from then on, and removes PLAN
    worker FILE dies|hangs|ends-node TIMES  the first TIMES judgements of that file end so

Where there is a file PLAN.ahead, the node's clock is so many seconds ahead.
"""

import functools
import importlib
import inspect
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import cli
from adapters import assemble, worker
from gateway.message import Received
from gateway.pipeline import judge as judge_really

PLACES: Final = (
    "adapters.blobs.filesystem:FileSpool.keep",
    "adapters.stores.messages:SqlMessages.add",
    "adapters.stores.messages:SqlMessages.decide",
    "adapters.stores.messages:_add",
    "adapters.stores.messages:_claim",
    "adapters.stores.messages:_decide",
    "adapters.stores.outbox:SqlOutbox.settle",
    "adapters.stores.outbox:SqlOutbox._claim",
    "adapters.stores.outbox:_settle",
    "adapters.stores.outbox:SqlOutbox.divert",
    "adapters.stores.diverting:_divert",
    "adapters.stores.answers:SqlAnswers.file",
    "adapters.stores.postings:SqlPostings.posted",
    "adapters.stores.answers:_file",
    "adapters.backends.reference.customs:ReferenceCustoms.submit",
    "adapters.backends.reference.customs:ReferenceCustoms.acknowledge",
    "adapters.backends.reference.ledger:Ledger.take",
    "adapters.backends.reference.serving:move",
    "adapters.backends.reference.serving:put",
    "adapters.backends.folders:FolderBackend.acknowledge",
    "adapters.files.local:LocalFiles.write",
    "adapters.files.local:LocalFiles.move",
    "adapters.files.sftp:SftpFiles.write",
    "adapters.files.sftp:SftpFiles.move",
)
_NODE: Final = "CRASHING_NODE"
serve_worker_really = worker._serve


def _plan() -> list[str]:
    try:
        return Path(sys.argv[1]).read_text().split()
    except FileNotFoundError:
        return []


def _wrap(place: str) -> None:
    module, _, path = place.partition(":")
    *owners, name = path.split(".")
    owner = functools.reduce(getattr, owners, importlib.import_module(module))
    setattr(owner, name, _Killing(place).over(getattr(owner, name)))


class _Killing:
    def __init__(self, place: str) -> None:
        self._place = place
        self._calls = 0

    def over(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            due = self._due()
            if due == "before":
                _end()
            result = function(*arguments, **named)
            if due == "after":
                _end()
            return result

        async def wrapped_async(*arguments: Any, **named: Any) -> Any:
            due = self._due()
            if due == "before":
                _end()
            result = await function(*arguments, **named)
            if due == "after":
                _end()
            return result

        return wrapped_async if inspect.iscoroutinefunction(function) else wrapped

    def _due(self) -> str:
        plan = _plan()
        if plan[:2] != ["node", self._place]:
            return ""
        self._calls += 1
        return plan[2] if self._calls == int(plan[3]) else ""


def _end() -> None:
    Path(sys.argv[1]).unlink()
    os.kill(os.getpid(), signal.SIGKILL)


def serve_worker(*given: Any) -> None:
    """The life of a worker in which one file meets what the plan says."""
    vars(worker).update(judge=_judge)
    serve_worker_really(*given)


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


if __name__ == "__main__":
    for each in PLACES:
        _wrap(each)
    vars(worker).update(_serve=serve_worker)
    vars(assemble).update(utc_now=_ahead)
    os.environ[_NODE] = str(os.getpid())
    cli.app(sys.argv[2:])
