"""`gateway undertakings`: bulk requests, and requests that need approval by a second person."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from adapters.cli.exit_codes import NO
from adapters.cli.output import (
    HomeOption,
    JsonOption,
    LimitOption,
    Listing,
    fail,
    opened,
    reading,
    say_fields,
    say_json,
    say_rows,
)
from adapters.cli.times import SinceOption, first_of
from adapters.home.actor import actor
from adapters.home.clock import utc_now
from adapters.store.read.operator_acts import acts_since
from adapters.store.write.bulk_requests import find_request, list_requests, show_request
from gateway.model.faults import printable
from gateway.monitor.alarm_conditions import ACTS_OF
from gateway.operate.bulk_requests import RequestStatus
from gateway.operate.message_actions import Impossible

app = typer.Typer(
    cls=Listing,
    help="Bulk requests, and requests that wait for a second person: approve, refuse, resume.",
)

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the request.")]
_T = TypeVar("_T")


@app.command("list")
def list_(
    home: HomeOption,
    state: Annotated[RequestStatus | None, typer.Option(help="Only those in this state.")] = None,
    since: SinceOption = None,
    limit: LimitOption = 100,
    as_json: JsonOption = False,
) -> None:
    """List operators' requests with their progress, newest last. Standard error shows how many messages each
    person acted on in the last 24 hours, including single ones.

    Example: gateway undertakings list --state asked --home /srv/gateway
    """
    with reading(home) as reader:
        rows = list_requests(reader, state, limit, first_of(since))
        acts = acts_since(reader, utc_now() - ACTS_OF)
    columns = ("created_at", "id", "act", "stage", "state", "actor", "messages", "open", "done", "impossible")
    say_rows(rows, (*columns, "reason"), as_json=as_json)
    if acts:
        counted = ", ".join(f"{who} {number}" for who, number in acts.items())
        typer.echo(printable(f"gateway: messages acted on in the last 24 hours: {counted}", 1000), err=True)


@app.command()
def show(id_: IdArgument, home: HomeOption, as_json: JsonOption = False) -> None:
    """Show one request with all its messages and the result for each.

    Example: gateway undertakings show 01JD0000000000000000000000 --home /srv/gateway
    """
    with reading(home) as reader:
        shown = _or_exit(id_, lambda: show_request(reader, id_))
    if as_json:
        say_json(shown)
        return
    fields = {name: value for name, value in shown.items() if name not in ("items", "wanted")}
    by = " ".join(f"{name}={value}" for name, value in shown["wanted"].items())
    say_fields(fields | {"chosen by": by})
    typer.echo()
    say_rows(shown["items"], ("message", "outcome", "at", "note"), as_json=False)


@app.command()
def approve(id_: IdArgument, home: HomeOption, as_json: JsonOption = False) -> None:
    """Approve another user's request and carry it out. Exits with 1 for one's own request.

    Example: gateway undertakings approve 01JD0000000000000000000000 --home /srv/gateway
    """
    _decided(id_, home, RequestStatus.OPEN, "", as_json)


@app.command()
def refuse(
    id_: IdArgument,
    home: HomeOption,
    reason: Annotated[str, typer.Option(help="Reason; kept with the request.", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Refuse a request: nothing in it is carried out.

    Example: gateway undertakings refuse 01JD0000000000000000000000 --reason "not today" --home /srv/gateway
    """
    _decided(id_, home, RequestStatus.REFUSED, reason, as_json)


@app.command()
def resume(id_: IdArgument, home: HomeOption, as_json: JsonOption = False) -> None:
    """Resume a request that was interrupted; nothing is done twice.

    Example: gateway undertakings resume 01JD0000000000000000000000 --home /srv/gateway
    """
    from adapters.cli.messages.execute import operating
    from adapters.cli.messages.request import finish

    with opened(home) as base, operating(base) as on:
        with on.reading() as reader:
            _or_exit(id_, lambda: find_request(reader, id_))
        finish(on, id_, as_json)


def _decided(id_: str, home: Path, decision: RequestStatus, words: str, as_json: bool) -> None:
    from adapters.cli.messages.execute import operating
    from adapters.cli.messages.request import finish

    with opened(home) as base, operating(base) as on:
        try:
            _or_exit(id_, lambda: on.service.decide(id_, actor(), decision, words))
        except Impossible as error:
            fail(NO, f"{id_}: {error}")
        finish(on, id_, as_json)


def _or_exit(id_: str, ask: Callable[[], _T]) -> _T:
    try:
        return ask()
    except KeyError:
        fail(NO, f"no undertaking is known by {printable(id_)}")
