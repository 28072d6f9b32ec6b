"""Times as operators give them: an age, or a day in China."""

import re
from datetime import date, datetime, timedelta
from typing import Annotated, Final

import typer

from adapters.cli.exit_codes import USAGE
from adapters.cli.output import fail
from adapters.home.clock import utc_now
from gateway.model.china import CHINA

_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def age(text: str) -> timedelta:
    if re.fullmatch("[0-9]{1,5}[mhd]", text) is None:
        raise typer.BadParameter("an age is a number and m, h or d, as 30m, 2h or 3d")
    return int(text[:-1]) * _UNITS[text[-1]]


def beginning(text: str) -> str:
    """Checks an age or a day in China and returns it as given, so that the command can be repeated."""
    if re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text) is None:
        age(text)
        return text
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise typer.BadParameter(f"{text} is no day") from None


def moment_of(text: str, now: datetime) -> datetime:
    """The moment described by a text that `beginning` accepts."""
    if "-" not in text:
        return now - age(text)
    return datetime.fromisoformat(text).replace(tzinfo=CHINA)


SinceOption = Annotated[
    str | None,
    typer.Option(
        parser=beginning,
        metavar="AGE|DAY",
        help="Nothing older than this age (30m, 2h, 3d), or than the start of this day in China.",
    ),
]
UntilOption = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d"], help="Only what was received on or before this day in China."),
]


def first_of(since: str | None) -> datetime | None:
    """The moment given by a `SinceOption`."""
    return None if since is None else moment_of(since, utc_now())


def bounds(since: str | None, until: datetime | None) -> tuple[datetime | None, datetime | None]:
    """From the start of `since` (inclusive) to the end of `until` (exclusive); days are days in China. Exits
    with 2 if the period ends before it begins."""
    first = first_of(since)
    before = None if until is None else until.replace(tzinfo=CHINA) + timedelta(days=1)
    if first is not None and before is not None and before <= first:
        fail(USAGE, f"--until: {until:%Y-%m-%d} is before --since {since}")
    return first, before
