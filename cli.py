"""The `gateway` command: joins the command groups of `adapters/cli`."""

import traceback
from importlib.metadata import version
from typing import Annotated, Any

import typer

from adapters.cli import (
    agreements,
    alarms,
    amqp_dead,
    audit,
    backends,
    backup,
    check,
    clock,
    deliveries,
    documents,
    node,
    output,
    policy,
    receipts,
    reload,
    routes,
    stats,
    tail,
    undertakings,
)
from adapters.cli.demo import demo
from adapters.cli.dossier import commands
from adapters.cli.messages import commands as messages
from adapters.cli.parties import commands as parties
from adapters.sandbox.cli import association, customs, customs_serve


class _Command(typer.Typer):
    """Ends with 4 where we fail ourselves, so that scripts can tell it from a "no" (CONTRACT.md)."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except Exception:
            traceback.print_exc()
            raise SystemExit(output.INTERNAL) from None


app = _Command(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="EDI gateway for paperless customs clearance: declarations in, signed receipts back.",
    epilog="First steps: gateway init HOME, gateway serve --home HOME; or all at once: gateway demo",
)


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(version("customs-edi-gateway"))
        raise typer.Exit


@app.callback()
def _gateway(
    _version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the release and end.")
    ] = False,
) -> None:
    pass


app.command()(node.init)
app.command()(node.serve)
app.command()(demo.demo)
app.command()(check.check)
app.command()(node.doctor)
app.command()(reload.reload)
app.command()(backup.backup)
app.command()(backup.restore)
app.command()(tail.tail)
app.add_typer(messages.app, name="messages")
app.add_typer(undertakings.app, name="undertakings")
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(backends.app, name="backends")
app.add_typer(documents.app, name="documents")
customs.app.command()(customs_serve.serve)
app.add_typer(customs.app, name="customs")
app.add_typer(association.app, name="association")
app.add_typer(parties.app, name="parties")
app.add_typer(agreements.app, name="agreements")
app.add_typer(receipts.app, name="receipts")
app.add_typer(policy.app, name="policy")
app.add_typer(amqp_dead.app, name="amqp")
app.add_typer(audit.app, name="audit")
app.add_typer(routes.app, name="routes")
app.add_typer(commands.app, name="dossier")
app.add_typer(stats.app, name="stats")
app.add_typer(alarms.app, name="alarms")
app.add_typer(clock.app, name="clock")

if __name__ == "__main__":
    app()
