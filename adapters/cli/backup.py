"""`gateway backup` copies a home; `gateway restore` creates a home from the copy."""

from pathlib import Path
from typing import Annotated

import typer

from adapters.cli.exit_codes import NO
from adapters.cli.output import HomeOption, JsonOption, cell, console, exit_codes, fail, opened, say_json
from adapters.home.actor import actor
from adapters.home.backup import BadBackup, Moment, back_up
from adapters.home.clock import utc_now
from adapters.home.restore import restore as restored


def backup(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder to create; it must be new or empty.")
    ],
    home: HomeOption,
    as_json: JsonOption = False,
) -> None:
    """Copy everything a home needs, even while its node runs, and print the time of the copy. It contains
    keys: keep it as secret as the home. Exits with 1 if packages that the home refers to are missing.

    Example: gateway backup /backup/2026-11-30 --home /srv/gateway
    """
    with opened(home) as base:
        try:
            moment = back_up(base, folder.absolute(), utc_now())
        except BadBackup as error:
            fail(NO, str(error))
    _say(moment, f"{folder} is a copy of {home}", as_json)
    if moment.missing:
        raise typer.Exit(NO)


def restore(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder made by `gateway backup`.", exists=True)
    ],
    home: Annotated[Path, typer.Option("--home", help="The folder to create; it must be new or empty.")],
    as_json: JsonOption = False,
) -> None:
    """Create a home from a backup, and print the time of the backup. Refused if the original home can be seen
    to be in service.

    For submissions not settled by then, the back-end is asked whether it has them before they are sent. A
    back-end that cannot be asked (AMQP without `questions`) is named, and gets them again under the same key.
    What was acknowledged after the backup is unknown to the new home: its senders must send it again.

    Example: gateway restore /backup/2026-11-30 --home /srv/gateway-2
    """
    with exit_codes():
        try:
            moment = restored(folder.absolute(), home.absolute(), actor(), utc_now())
        except BadBackup as error:
            fail(NO, str(error))
    _say(moment, f"{home} is ready", as_json)


def _say(moment: Moment, done: str, as_json: bool) -> None:
    at = None if moment.at is None else moment.at.isoformat()
    if as_json:
        say_json(
            {
                "home": moment.home,
                "stands_at": at,
                "sequence": moment.sequence,
                "outside": list(moment.outside),
                "missing": list(moment.missing),
                "unasked": list(moment.unasked),
            }
        )
    else:
        console().print(cell(f"{done}; it stands at {at or 'its beginning'} (event {moment.sequence})"))
    for path in moment.outside:
        typer.echo(f"gateway: {path} is not in the home, and not in the copy: keep it yourself", err=True)
    for name in moment.unasked:
        typer.echo(
            f"gateway: {name} cannot be asked what it has (no `questions`): what was not settled is sent to "
            "it again under its key; pause it before `serve`, if its operators want to look first",
            err=True,
        )
    if moment.missing:
        shown = ", ".join(moment.missing[:5])
        typer.echo(f"gateway: {len(moment.missing)} packages are missing: {shown}", err=True)
