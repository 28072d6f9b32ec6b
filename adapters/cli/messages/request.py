"""An act requested on the command line: carried out at once on one message, or as a bulk request."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NoReturn

import typer
from sqlalchemy import Connection, select

from adapters.cli.exit_codes import NO, UNREACHABLE, USAGE, WAITS
from adapters.cli.messages.execute import Operating, operating, resume
from adapters.cli.messages.filters import Filters
from adapters.cli.messages.lookup import find_message
from adapters.cli.output import fail, opened, say_json
from adapters.home.actor import actor
from adapters.home.clock import utc_now
from adapters.store.read.message_search import count_messages, list_messages
from adapters.store.tables.messages import events
from adapters.store.write.bulk_requests import show_request
from gateway.model.faults import printable
from gateway.model.message import new_id
from gateway.model.policy import OperationsPolicy
from gateway.model.states import Event
from gateway.model.transition import Refusal
from gateway.operate.bulk_requests import (
    ItemOutcome,
    NothingChosen,
    OtherRequest,
    RequestStatus,
    RequestTerms,
    needs_approval,
)
from gateway.operate.message_actions import Impossible, MessageAct, ReplayStage

_OPERATORS: Final = (Event.REPLAYED, Event.RESUMED, Event.HELD, Event.DISMISSED)


@dataclass(frozen=True, slots=True)
class Ask:
    """The request as given by the options: for one message, or for all that match filters."""

    act: MessageAct
    message: str | None
    filters: Filters
    reason: str
    key: str | None
    stage: ReplayStage | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """Ids of the selected messages; `more` is the number that match the filters beyond the limit."""

    messages: Sequence[str]
    more: int = 0


def check_choice(message: str | None, filters: Filters) -> None:
    """Exits with 2 unless either a message or filters are given, and not both."""
    if message is None and not filters.criteria:
        fail(
            USAGE,
            "which messages? Give one (its id, reference, SeqNo or entry number), or filters: "
            "--state, --fault, --account and the others that messages list has",
        )
    if message is not None and filters.criteria:
        fail(USAGE, f"give one message or filters (--{', --'.join(filters.criteria)}), not both")


def chosen(reader: Connection, message: str | None, filters: Filters) -> Chosen:
    check_choice(message, filters)
    if message is not None:
        return Chosen([find_message(reader, message).id])
    by = filters.as_filter(utc_now())
    ids = [row["id"] for row in list_messages(reader, by, filters.limit)]
    if not filters.limit or len(ids) < filters.limit:
        return Chosen(ids)
    return Chosen(ids, count_messages(reader, by) - len(ids))


def request_act(ask: Ask, path: Path, as_json: bool) -> None:
    """Carries out the act, or records it for approval by a second person, and prints the result."""
    with opened(path) as home, operating(home) as on:
        policy = home.policy().operations
        before = utc_now()  # before selecting: changes during the selection count as later
        with on.reading() as reader:
            those = chosen(reader, ask.message, ask.filters)
        single = those.messages[0] if ask.message is not None else None
        by = (
            {"message": single}
            if single is not None
            else {**ask.filters.criteria, "limit": str(ask.filters.limit)}
        )
        request = RequestTerms(
            act=ask.act, stage=ask.stage, criteria=by, reason=ask.reason, actor=actor(), key=ask.key
        )
        if single is not None and ask.key is None and not needs_approval(ask.act, policy):
            _at_once(on, request, single, policy, as_json)
            return
        undertaking, is_new = _written(on, request, those.messages, before)
        try:
            finish(on, undertaking, as_json, single=single)
        finally:
            if those.more and is_new:
                key = "" if ask.key is None else " and another --request-key"
                typer.echo(
                    f"gateway: {those.more} more meet the filters and were left alone; to go on with them: "
                    f"the same command with --limit 0{key}",
                    err=True,
                )


def _at_once(
    on: Operating, request: RequestTerms, message: str, policy: OperationsPolicy, as_json: bool
) -> None:
    try:
        outcome = on.service.act(request, message, policy)
    except Impossible as error:
        fail(NO, f"{message}: {error}{_last_act(on, message)}")
    if isinstance(outcome, Refusal):
        never_still(message)
    _say_one(message, outcome.state, as_json)


def _say_one(message: str, state: str, as_json: bool) -> None:
    if as_json:
        say_json({"id": message, "state": state})
    else:
        typer.echo(f"{message} is {state}")


def never_still(message: str) -> NoReturn:
    fail(UNREACHABLE, f"{message} changes all the time; try again")


def _last_act(on: Operating, message: str) -> str:
    """The last act on the message and its actor, shown for instance when a command is entered twice."""
    query = select(events).where(events.c.message == message).order_by(events.c.sequence.desc()).limit(20)
    with on.reading() as reader:
        for row in reader.execute(query):
            if row.event in _OPERATORS:
                return printable(f"; it was {row.event} at {row.at:%Y-%m-%d %H:%M:%S} UTC by {row.actor}")
    return ""


def _written(
    on: Operating, request: RequestTerms, messages: Sequence[str], now: datetime
) -> tuple[str, bool]:
    """The id of the request, and whether it is new; otherwise one with the same request key exists."""
    id_ = new_id(now, os.urandom(10))
    policy = on.home.policy().operations
    try:
        written = on.service.write_request(id_, request, messages, policy, now)
    except NothingChosen:
        fail(NO, "no message meets the filters")
    except OtherRequest as error:
        fail(USAGE, printable(str(error)))
    return written, written == id_


def finish(on: Operating, undertaking: str, as_json: bool, *, single: str | None = None) -> None:
    """Continues a request as far as permitted, and prints its status. Exits with 1 if nothing in it was
    possible."""
    if (message := resume(on.service, undertaking)) is not None:
        never_still(message)
    with on.reading() as reader:
        shown = show_request(reader, undertaking)
    outcome = shown["items"][0]
    failed = shown["state"] == RequestStatus.DONE and shown[ItemOutcome.DONE] == 0
    if single is not None and outcome["outcome"] == ItemOutcome.DONE:
        _say_one(single, outcome["note"], as_json)
        return
    if single is not None and failed:
        fail(NO, f"{single}: {outcome['note']}{_last_act(on, single)}")
    if as_json:
        say_json(shown)
    else:
        typer.echo(in_words(shown))
    if failed:
        raise typer.Exit(NO)
    if shown["state"] == RequestStatus.ASKED:
        raise typer.Exit(WAITS)


def in_words(shown: dict[str, Any]) -> str:
    """The status of a request, and what may be done next."""
    id_, act = shown["id"], shown["act"]
    counted = f"{act}: {shown['done']} done, {shown['impossible']} not possible, {shown['open']} open"
    match shown["state"]:
        case RequestStatus.ASKED:
            return (
                f"{act} of {shown['messages']} waits for a second person; another user says: "
                f"gateway undertakings approve {id_}"
            )
        case RequestStatus.REFUSED:
            return f"{act} of {shown['messages']} was refused by {shown['decided_by']}"
        case RequestStatus.OPEN:
            return f"{counted}; go on with: gateway undertakings resume {id_}"
        case _:
            return f"{counted}; see: gateway undertakings show {id_}"
