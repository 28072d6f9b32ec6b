"""`gateway backends`: status of the back-ends; pause, resume and retry delivery to them."""

from typing import Annotated, Any

import typer

from adapters.backends.rest import Rest
from adapters.cli.exit_codes import NO
from adapters.cli.output import (
    HomeOption,
    JsonOption,
    LimitOption,
    Listing,
    ReasonOption,
    fail,
    opened,
    say_json,
    say_rows,
)
from adapters.home.actor import actor
from adapters.home.clock import utc_now
from adapters.home.home import Home
from adapters.store.write.destinations import (
    DestinationStatus,
    SqlBackendActs,
    Waiting,
    destination_statuses,
    waiting,
)
from gateway.model.faults import printable
from gateway.model.states import DeliveryState
from gateway.operate import backends as operate

app = typer.Typer(cls=Listing, help="The back-ends: status, pause, resume, retry.")

NameArgument = Annotated[
    str, typer.Argument(help="The back-end's name in gateway.toml.", metavar="NAME", show_default=False)
]


@app.command("list")
def list_(home: HomeOption, limit: LimitOption = 100, as_json: JsonOption = False) -> None:
    """List the back-ends with circuit breaker, pause, and number of waiting deliveries.

    A breaker is open while a back-end fails: from time to time one submission tests it; the rest wait.

    Example: gateway backends list --home /srv/gateway
    """
    with opened(home) as base:
        rows = _rows(base)
    columns = (
        *("name", "kind", "breaker", "since", "failures", "paused_by", "pause_reason"),
        *("pending", "unknown", "oldest_waiting", "note"),
    )
    say_rows(rows[-limit:] if limit else rows, columns, as_json=as_json)


@app.command()
def pause(name: NameArgument, home: HomeOption, reason: ReasonOption, as_json: JsonOption = False) -> None:
    """Stop delivering to a back-end; its answers are still received.

    Takes effect within a second on a running node. Deliveries in progress are completed. If a route names
    back-ends for failover, they get what waits. A back-end that is already paused keeps its first actor and
    reason, and the command exits with 0.

    Example: gateway backends pause customs --reason "announced maintenance" --home /srv/gateway
    """
    with opened(home) as base:
        _checked(base, name)
        with base.store() as database:
            changed = operate.pause(SqlBackendActs(database), name, actor(), reason, utc_now())
        _say(base, name, "paused" if changed else "paused already; nothing is changed", changed, as_json)


@app.command()
def resume(name: NameArgument, home: HomeOption, reason: ReasonOption, as_json: JsonOption = False) -> None:
    """End a pause: waiting deliveries are sent, the oldest of each account first.

    For a back-end that is not paused nothing changes, and the command exits with 0.

    Example: gateway backends resume customs --reason "maintenance is over" --home /srv/gateway
    """
    with opened(home) as base:
        _checked(base, name)
        with base.store() as database:
            changed = operate.resume(SqlBackendActs(database), name, actor(), reason, utc_now())
        _say(base, name, "resumed" if changed else "not paused; nothing is changed", changed, as_json)


@app.command("try")
def try_(name: NameArgument, home: HomeOption, reason: ReasonOption, as_json: JsonOption = False) -> None:
    """Retry a back-end at once, for instance after a repair, instead of waiting for the next retry.

    Takes effect within a second on a running node: one submission is sent first, the others once it was
    accepted. This overrides a Retry-After of the back-end, but not a pause.

    Example: gateway backends try customs --reason "its certificate is renewed" --home /srv/gateway
    """
    with opened(home) as base:
        _checked(base, name)
        rest = Rest(base.path / "backends" / name)
        with base.store() as database:
            operate.try_now(SqlBackendActs(database), rest, name, actor(), reason, utc_now())
        _say(base, name, "to be tried now", True, as_json)


def _say(home: Home, name: str, what: str, changed: bool, as_json: bool) -> None:
    (row,) = (each for each in _rows(home) if each["name"] == name)
    if as_json:
        say_json({**row, "changed": changed})
        return
    by = f" ({row['paused_by']}: {row['pause_reason']})" if row["paused_by"] and not changed else ""
    typer.echo(printable(f"{name} is {what}{by}"))


def _checked(home: Home, name: str) -> None:
    configured = home.settings().backend
    if name not in configured:
        names = ", ".join(configured) or "none"
        fail(NO, f"gateway.toml has no back-end of that name; it has: {names}")


def _rows(home: Home) -> list[dict[str, Any]]:
    """Back-ends in the order of `gateway.toml`, then removed ones for which deliveries still wait."""
    configured = home.settings().backend
    with home.reading() as reader:
        status, waits = destination_statuses(reader), waiting(reader)
    return [
        _row(name, configured[name].kind if name in configured else "", status, waits.get(name, {}))
        for name in dict.fromkeys((*configured, *sorted(waits)))
    ]


def _row(name: str, kind: str, status: DestinationStatus, waits: Waiting) -> dict[str, Any]:
    breaker, paused = status.get(name, (None, None))
    return {
        "name": name,
        "kind": kind,
        "breaker": "closed" if breaker is None else breaker.state.value,
        "since": None if breaker is None else breaker.since.isoformat(),
        "failures": 0 if breaker is None else breaker.failures,
        "probe_at": None if breaker is None or breaker.probe_at is None else breaker.probe_at.isoformat(),
        "paused_by": None if paused is None else paused.actor,
        "paused_at": None if paused is None else paused.at.isoformat(),
        "pause_reason": None if paused is None else paused.reason,
        "pending": waits.get(DeliveryState.PENDING, (0, None))[0],
        "unknown": waits.get(DeliveryState.UNKNOWN, (0, None))[0],
        "oldest_waiting": min((at.isoformat() for _number, at in waits.values()), default=None),
        "note": "" if breaker is None else breaker.note,
    }
