"""`gateway routes`: shows where a message would be routed, and why."""

import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from adapters.cli.differing import warn_of_differing
from adapters.cli.exit_codes import NO
from adapters.cli.output import HomeOption, JsonOption, fail, opened, say_rows
from adapters.home.home import Home
from gateway.judge.route import second_office
from gateway.judge.unpack import unpack
from gateway.judge.validate import recognise
from gateway.model.faults import MessageRejected, printable
from gateway.model.routes import Routes

# These follow the declaration that they belong to, whatever the routes say.
_AS_THE_DECLARATION: Final = ("documents", "agreement-notice")

app = typer.Typer(no_args_is_help=True, help="Routing of messages.")


@app.command("try")
def try_(
    file: Annotated[
        Path, typer.Argument(help="A package (zip) or a bare XML document.", exists=True, dir_okay=False)
    ],
    home: HomeOption,
    as_json: JsonOption = False,
) -> None:
    """Show which routes are tried for a message, in order, and why each one matches or not. Exits with 1 if
    none matches. To learn whether the message is accepted at all, use `gateway check`.

    Example: gateway routes try declaration.zip --home /srv/gateway
    """
    with opened(home) as base:
        warn_of_differing(base)
        rows = list(_tried(file, base))
    say_rows(rows, ("order", "route", "backend", "takes_it", "why"), as_json=as_json)
    if rows and not any(row["takes_it"] for row in rows):
        raise typer.Exit(NO)


def _tried(file: Path, home: Home) -> Iterator[dict[str, Any]]:
    policy, families = home.policy(), home.families()
    size, any_size = file.stat().st_size, sys.maxsize  # sizes are checked by `gateway check`
    try:
        package = unpack(
            printable(file.name), partial(file.open, "rb"), size, policy.package, policy.pdf, any_size
        )
        recognised = recognise(package, families, policy)
    except MessageRejected as refused:
        fail(NO, f"{file.name} is no message that has a route: {refused.findings[0].en}")
    kind = recognised.type
    if kind.kind in _AS_THE_DECLARATION:
        typer.echo(f"gateway: a {kind.name} goes where its declaration went; no route is asked", err=True)
        return
    routes, values = home.routes(), kind.facts(recognised.root)
    yield from _looked_at(routes, kind.name, values)
    if other := second_office(kind.operation(values), values):
        yield from _looked_at(routes, kind.name, {**values, "office": other})


def _looked_at(routes: Routes, type_name: str, values: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    matched = False
    for order, route in enumerate(routes.route, 1):
        unmet = route.unmet(type_name, values)
        takes = not matched and not unmet
        if matched:
            why = "not looked at: one before takes it"
        elif takes:
            why = f"every condition holds for office {values.get('office', '-')}"
        else:
            why = ", ".join(f"{name} {value or '-'} is not among its own" for name, value in unmet)
        yield {"order": order, "route": route.name, "backend": route.backend, "takes_it": takes, "why": why}
        matched = matched or takes
