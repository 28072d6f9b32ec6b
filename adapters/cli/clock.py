"""`gateway clock`: recovery from a log that was written while the clock was fast."""

import typer

from adapters.cli.exit_codes import NO
from adapters.cli.output import HomeOption, JsonOption, ReasonOption, fail, opened, say_json
from adapters.home.actor import actor
from adapters.home.clock import utc_now
from adapters.store.read.store_status import accept_clock

app = typer.Typer(no_args_is_help=True, help="Recovery from a clock that is behind the log.")


@app.command()
def accept(home: HomeOption, reason: ReasonOption, as_json: JsonOption = False) -> None:
    """Accept the present clock although the log has later times.

    A node whose clock is more than 60 seconds behind the newest event receives and stores messages, but
    judges none. If the clock is wrong, correct it: the node continues by itself. If the clock is right now
    and was fast before, this command lets the node continue; actor and reason are written to the log.

    Example: gateway clock accept --reason "the clock was an hour fast until 10:20" --home /srv/gateway
    """
    who, now = actor(), utc_now()
    with opened(home) as base, base.store() as database:
        was = database.submit(lambda to: accept_clock(to, who, reason, now)).result()
    if not was:
        fail(NO, "the clock is not behind the log; nothing is changed")
    if as_json:
        say_json({"accepted": now.isoformat(), "was": was})
    else:
        typer.echo(f"the clock is taken as it is; {was}")
