"""`gateway tail`: follows the events of messages as they are committed."""

import contextlib
import io
import json
import os
import re
import select
import signal
import sys
from collections.abc import Iterator
from threading import Event as Flag
from typing import Annotated, Any, Final

import typer
from sqlalchemy import Connection

from adapters.cli.messages.commands import in_short
from adapters.cli.messages.lookup import find_message
from adapters.cli.output import HomeOption, JsonOption, reading
from adapters.cli.times import beginning, moment_of
from adapters.home.clock import utc_now
from adapters.store.read.event_log import EventFilter, end_of_log, events_after, sequence_before
from gateway.model.faults import printable
from gateway.model.states import State

_EVERY: Final = 0.3  # seconds between polls
_SHOWN: Final = ("at", "message", "account", "reference", "event", "state", "actor")


def place(text: str) -> str:
    return text if re.fullmatch("[0-9]{1,18}", text) else beginning(text)


def tail(
    home: HomeOption,
    account: Annotated[str | None, typer.Option(help="Only events of messages of this account.")] = None,
    party: Annotated[str | None, typer.Option(help="Only of this party (customs code).")] = None,
    event: Annotated[str | None, typer.Option(help="Only this event, as `messages trace` calls it.")] = None,
    state: Annotated[State | None, typer.Option(help="Only events that lead to this state.")] = None,
    message: Annotated[
        str | None, typer.Option(help="Only of this message: id, reference, SeqNo or entry number.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            parser=place,
            metavar="AGE|DAY|SEQUENCE",
            help="Begin this long ago (10m, 2h), at a day in China, or after this sequence number; 0 begins "
            "with the first event.",
        ),
    ] = None,
    no_follow: Annotated[
        bool, typer.Option("--no-follow", help="Show the events since then, and exit.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Follow the events of messages, one line each, until SIGINT or SIGTERM; both exit with 0.

    Shows events committed from now on; a node may be running already or be started later. With --json each
    line is an object.

    Example: gateway tail --account broker-aa --event refused --since 10m --home /srv/gateway
    """
    ended = Flag()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with reading(home) as reader:
        after = _from(reader, since)
        filter_ = EventFilter(
            account=account,
            party=party,
            event=event,
            state=state,
            message=None if message is None else find_message(reader, message).id,
        )
        _follow(reader, after, filter_, ended, as_json, ends=no_follow)


def _from(reader: Connection, since: str | None) -> int:
    if since is None:
        return end_of_log(reader)
    return int(since) if since.isdigit() else sequence_before(reader, moment_of(since, utc_now()))


def _follow(
    reader: Connection, after: int, filter_: EventFilter, ended: Flag, as_json: bool, *, ends: bool
) -> None:
    try:
        while not ended.is_set() and not _nobody_reads():
            end = end_of_log(reader)
            for each in _until(ended, events_after(reader, after, end, filter_)):
                sys.stdout.write(f"{json.dumps(each, ensure_ascii=False) if as_json else _line(each)}\n")
            sys.stdout.flush()
            if ends:
                return
            after = max(after, end)
            ended.wait(_EVERY)
    except BrokenPipeError:
        # The rest of the buffer is discarded, so that the process ends without an error about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _until(ended: Flag, events: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for each in events:
        if ended.is_set():
            return
        yield each


def _nobody_reads() -> bool:
    """Whether the reader closed the pipe; otherwise that would be noticed only at the next event."""
    with contextlib.suppress(io.UnsupportedOperation):
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(happened & select.POLLERR for _, happened in poll.poll(0))
    return False


def _line(event: dict[str, Any]) -> str:
    words = [str(event[name] or "-") for name in _SHOWN]
    return "  ".join(printable(word) for word in (*words, in_short(event["detail"])) if word)
