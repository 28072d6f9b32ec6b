"""Filters that select messages: the options of `gateway messages list`, shared by the acts."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import wraps
from typing import Annotated, Any

import typer

from adapters.cli.output import LimitOption
from adapters.cli.times import SinceOption, UntilOption, age, bounds
from adapters.store.read.message_search import MessageFilter
from gateway.model.states import State


def office_code(text: str) -> str:
    if re.fullmatch("[0-9]{2}|[0-9]{4}", text) is None:
        raise typer.BadParameter("an office is four digits, a district the first two of them")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Criteria for messages; None does not restrict. Selects the newest `limit` of those that match all."""

    state: State | None
    party: str | None
    account: str | None
    office: str | None
    fault: str | None
    family: str | None
    type: str | None
    since: str | None
    until: datetime | None
    older: timedelta | None
    text: str | None
    overdue: bool | None
    limit: int

    @property
    def criteria(self) -> dict[str, str]:
        """The given criteria as strings; empty if there are none. An age stays an age, so that repeating the
        command gives the same criteria."""
        criteria = ((each.name, getattr(self, each.name)) for each in fields(self) if each.name != "limit")
        return {name: _word(value) for name, value in criteria if value is not None}

    def as_filter(self, now: datetime) -> MessageFilter:
        first, before = bounds(self.since, self.until)
        if self.older is not None:
            before = min(now - self.older, before or now)
        return MessageFilter(
            state=self.state,
            party=self.party,
            account=self.account,
            office=self.office,
            fault=self.fault,
            family=self.family,
            type=self.type,
            since=first,
            before=before,
            text=self.text,
            overdue=now if self.overdue else None,
        )


def _word(value: object) -> str:
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, timedelta):
        return f"{value // timedelta(minutes=1)}m"
    return str(value)


def _filters(
    state: Annotated[State | None, typer.Option(help="Only messages in this state.")] = None,
    party: Annotated[str | None, typer.Option(help="Only messages of this party (customs code).")] = None,
    account: Annotated[str | None, typer.Option(help="Only messages of this account.")] = None,
    office: Annotated[
        str | None,
        typer.Option(
            parser=office_code,
            metavar="CODE",
            help="Only messages for this customs office: 0202, or 02 for its district.",
        ),
    ] = None,
    fault: Annotated[
        str | None, typer.Option(help="Only refused, waiting and held messages with this fault or rule.")
    ] = None,
    family: Annotated[str | None, typer.Option(help="Only messages of this family.")] = None,
    type_: Annotated[str | None, typer.Option("--type", help="Only messages of this type.")] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    older: Annotated[
        timedelta | None,
        typer.Option(
            parser=age, metavar="AGE", help="Only those received at least this long ago: 30m, 2h, 3d."
        ),
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="First characters of a reference, file name, SeqNo or entry number.")
    ] = None,
    overdue: Annotated[
        bool | None,
        typer.Option(
            "--overdue", help="Only those that customs accepted and has not answered finally in time."
        ),
    ] = None,
    limit: LimitOption = 100,
) -> Filters:
    return Filters(
        state=state,
        party=party,
        account=account,
        office=office,
        fault=fault,
        family=family,
        type=type_,
        since=since,
        until=until,
        older=older,
        text=text,
        overdue=overdue,
        limit=limit,
    )


def filtered(command: Callable[..., None]) -> Callable[..., None]:
    """Replaces the parameter `filters` of a command by one option for each filter."""
    options = inspect.signature(_filters)
    own = inspect.signature(command)

    @wraps(command)
    def run(**parameters: Any) -> None:
        command(filters=_filters(**{name: parameters.pop(name) for name in options.parameters}), **parameters)

    shown = [each for each in own.parameters.values() if each.name != "filters"]
    every = [
        each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*shown, *options.parameters.values())
    ]
    run.__signature__ = own.replace(parameters=every)  # type: ignore[attr-defined]  # typer reads this
    run.__annotations__ = {each.name: each.annotation for each in every}
    return run
