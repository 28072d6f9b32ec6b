"""`gateway deliveries`: deliveries to customs; a single one can be held, released and sent again."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from adapters.cli.exit_codes import NO
from adapters.cli.messages.lookup import find_message
from adapters.cli.output import (
    HomeOption,
    JsonOption,
    LimitOption,
    Listing,
    ReasonOption,
    fail,
    opened,
    reading,
    say_fields,
    say_json,
    say_rows,
)
from adapters.cli.times import SinceOption, age, first_of
from adapters.home.actor import actor
from adapters.home.clock import utc_now
from adapters.store.read.delivery_detail import list_deliveries, show_delivery
from gateway.model.states import DeliveryState
from gateway.operate.bulk_requests import NeedsApproval
from gateway.operate.delivery_actions import DeliveryAct
from gateway.operate.message_actions import Impossible

app = typer.Typer(
    cls=Listing,
    help="Deliveries to customs and their outcome.",
)

IdArgument = Annotated[int, typer.Argument(metavar="ID", help="Number of the delivery as listed.")]


@app.command("list")
def list_(
    home: HomeOption,
    state: Annotated[DeliveryState | None, typer.Option(help="Only deliveries in this state.")] = None,
    message: Annotated[
        str | None, typer.Option(help="Only those of this message: its id, reference, SeqNo or entry number.")
    ] = None,
    destination: Annotated[str | None, typer.Option(help="Only those to this back-end.")] = None,
    account: Annotated[str | None, typer.Option(help="Only those of messages of this account.")] = None,
    older: Annotated[
        timedelta | None,
        typer.Option(
            parser=age, metavar="AGE", help="Only those created at least this long ago: 30m, 2h, 3d."
        ),
    ] = None,
    since: SinceOption = None,
    limit: LimitOption = 100,
    as_json: JsonOption = False,
) -> None:
    """List deliveries to back-ends, newest last. All given filters must match.

    Example: gateway deliveries list --state unknown --destination customs --home /srv/gateway
    """
    before = None if older is None else utc_now() - older
    filters = {"state": state, "destination": destination, "account": account}

    with reading(home) as reader:
        own = None if message is None else find_message(reader, message).id
        first = first_of(since)
        rows = list_deliveries(reader, message=own, **filters, before=before, since=first, limit=limit)
    columns = ("id", "message", "destination", "state", "attempts", "changed_at", "next_at", "note")
    say_rows(rows, columns, as_json=as_json)


@app.command()
def show(id_: IdArgument, home: HomeOption, as_json: JsonOption = False) -> None:
    """Show one delivery and its history.

    Example: gateway deliveries show 17 --home /srv/gateway
    """
    with reading(home) as reader:
        shown = show_delivery(reader, id_)
    if shown is None:
        fail(NO, f"no delivery has the number {id_}")
    if as_json:
        say_json(shown)
        return
    say_fields({name: value for name, value in shown.items() if name != "events"})
    typer.echo()
    say_rows(shown["events"], ("at", "event", "actor", "state", "note"), as_json=False)


@app.command()
def hold(id_: IdArgument, home: HomeOption, reason: ReasonOption, as_json: JsonOption = False) -> None:
    """Hold one delivery of a message while its others continue. For its last one use: gateway messages hold.

    Example: gateway deliveries hold 17 --reason "that office asks us to wait" --home /srv/gateway
    """
    _done(DeliveryAct.HOLD, id_, home, reason, as_json)


@app.command()
def release(id_: IdArgument, home: HomeOption, reason: ReasonOption, as_json: JsonOption = False) -> None:
    """Release a held delivery, after asking the back-end whether it already has it.

    Example: gateway deliveries release 17 --reason "the office is back" --home /srv/gateway
    """
    _done(DeliveryAct.RELEASE, id_, home, reason, as_json)


@app.command()
def replay(id_: IdArgument, home: HomeOption, reason: ReasonOption, as_json: JsonOption = False) -> None:
    """Send a held or refused delivery again under the same key, after asking the back-end whether it already
    has it; also a delivered one that customs lost, as long as there is no final answer.

    Example: gateway deliveries replay 17 --reason "customs lost it, says their desk" --home /srv/gateway
    """
    _done(DeliveryAct.REPLAY, id_, home, reason, as_json)


def _done(act: DeliveryAct, id_: int, path: Path, reason: str, as_json: bool) -> None:
    from adapters.cli.messages.execute import operating

    with opened(path) as home:
        policy = home.policy().operations
        try:
            with operating(home) as on:
                delivery, message = on.service.act_on_delivery(act, id_, actor(), reason, policy)
        except NeedsApproval:
            no_replay = "; what is delivered has no replay then" if act is DeliveryAct.REPLAY else ""
            fail(NO, f"the policy has a second person for {act}; use: gateway messages {act}{no_replay}")
        except Impossible as error:
            fail(NO, f"{id_}: {error}")
        except KeyError:
            fail(NO, f"no delivery has the number {id_}")
    if as_json:
        say_json({"id": id_, "state": delivery, "message_state": message})
    else:
        typer.echo(f"{id_} is {delivery}, its message {message}")
