"""`gateway clock`: the way out of a log that a fast clock has written."""

import typer

from adapters.cli.exit_codes import NO
from adapters.cli.messages.actions import ReasonOption
from adapters.cli.output import HomeOption, JsonOption, exit_codes, fail, opened, say_json
from adapters.home.actor import actor
from adapters.home.clock import utc_now
from adapters.store.read.standing import accept_clock

app = typer.Typer(no_args_is_help=True, help="The clock, where it stands behind the log.")


@app.command()
def accept(home: HomeOption, reason: ReasonOption, as_json: JsonOption = False) -> None:
    """Take the clock as it is, though the log has later times.

    A node whose clock stands more than 60 seconds before the newest event takes and keeps what is sent, and
    judges nothing. Where the clock is wrong, set it right: the node goes on by itself. Where the clock is
    right now and was fast before, this lets the node go on; who said so and why stands in the log.

    Example: gateway clock accept --reason "the clock was an hour fast until 10:20" --home /srv/gateway
    """
    who, now = actor(), utc_now()
    with exit_codes(), opened(home).store() as database:
        was = database.submit(lambda to: accept_clock(to, who, reason, now)).result()
    if not was:
        fail(NO, "the clock is not behind the log; nothing is changed")
    if as_json:
        say_json({"accepted": now.isoformat(), "was": was})
    else:
        typer.echo(f"the clock is taken as it is; {was}")
