"""The `gateway` command: names its command groups, and loads the one that is called."""

import traceback
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any, Final, NamedTuple, cast

import typer
from typer.core import TyperCommand, TyperGroup

from adapters.cli.exit_codes import INTERNAL


class Place(NamedTuple):
    """Where a command is written, and its help in the list of all."""

    module: str
    attribute: str
    help: str


COMMANDS: Final[Mapping[str, Place]] = {
    "init": Place(
        "adapters.cli.node",
        "init",
        "Make a home: configuration, keys, accounts, the register of parties, and samples to send.",
    ),
    "serve": Place(
        "adapters.cli.node",
        "serve",
        "Serve a home until SIGTERM or SIGINT; both finish the work in hand and end with 0.",
    ),
    "demo": Place(
        "adapters.cli.demo.demo",
        "demo",
        "Tell the story of six declarations: start a gateway, send them over SFTP, print what came back.",
    ),
    "check": Place(
        "adapters.cli.check",
        "check",
        "Say what the gateway would say of a file, without sending it. Ends with 1 where it "
        "would be refused.",
    ),
    "doctor": Place(
        "adapters.cli.node",
        "doctor",
        "Look a home over: configuration, keys, certificates, store, disk. Ends with 1 where "
        "something is wrong.",
    ),
    "reload": Place(
        "adapters.cli.reload",
        "reload",
        "Have the running node take policy.toml, routes.toml, the host keys of the SFTP "
        "server, and the keys and certificates that gateway.toml names. All of it or nothing: "
        "ends with 1, and says why, where the node goes on with what it had.",
    ),
    "backup": Place(
        "adapters.cli.backup",
        "backup",
        "Copy all that a home needs, while its node runs, and say the moment that the copy "
        "stands at. Keys are in it: keep it as secret as the home. Ends with 1 where packages "
        "are missing that the home refers to.",
    ),
    "restore": Place(
        "adapters.cli.backup",
        "restore",
        "Make a home of a backup, and say the moment that it stands at. Refused while the "
        "home that it came from is served, where that can be seen.",
    ),
    "tail": Place(
        "adapters.cli.tail",
        "tail",
        "Follow what happens to messages, one line for each event, until SIGINT or SIGTERM; both end with 0.",
    ),
    "messages": Place(
        "adapters.cli.messages.commands",
        "app",
        "Find, understand, hold, release, reject and replay messages.",
    ),
    "undertakings": Place(
        "adapters.cli.undertakings",
        "app",
        "Acts on many messages, and those that wait for a second person: approve, refuse, resume.",
    ),
    "deliveries": Place(
        "adapters.cli.deliveries", "app", "What is on its way to customs, and what became of it."
    ),
    "backends": Place(
        "adapters.cli.backends", "app", "The back-ends: how they stand, and whether they are sent to."
    ),
    "documents": Place("adapters.cli.documents", "app", "Documents that declarations owe."),
    "customs": Place(
        "adapters.sandbox.cli.customs", "app", "The customs sandbox: what waits there, and what it knows."
    ),
    "association": Place(
        "adapters.sandbox.cli.association",
        "app",
        "The brokers' association that is shipped: the agreements that it was asked to "
        "import, and what their sides do with them. A running node hears of it at once, by a "
        "notice that the association signs.",
    ),
    "parties": Place(
        "adapters.cli.parties.commands",
        "app",
        "Who takes part: traders, brokers, association, customs, premises.",
    ),
    "agreements": Place(
        "adapters.cli.agreements",
        "app",
        "Agency mandates and agreements, as the brokers' association tells of them. A "
        "declaration by a broker needs one that is in force and covers it: a long-term "
        "mandate, or an agreement for this one shipment that it shows by number and uses up.",
    ),
    "receipts": Place(
        "adapters.cli.receipts", "app", "Where receipts are, and whether one is what the gateway gave."
    ),
    "policy": Place(
        "adapters.cli.policy", "app", "What the gateway judges by, and what another policy would say."
    ),
    "amqp": Place("adapters.cli.amqp_dead", "app", "The AMQP channel."),
    "audit": Place("adapters.cli.audit", "app", "Whether the store is as it was written."),
    "routes": Place("adapters.cli.routes", "app", "Where messages go, and why."),
    "dossier": Place(
        "adapters.cli.dossier.commands", "app", "The electronic dossier of an entry; every reading is noted."
    ),
    "stats": Place(
        "adapters.cli.stats",
        "app",
        "How messages flow now (flow, which may be left out), and what became of declarations.",
    ),
    "alarms": Place("adapters.cli.alarms", "app", "Alarms: what is wrong now, and what was."),
    "clock": Place("adapters.cli.clock", "app", "The clock, where it stands behind the log."),
}


def installed() -> list[str]:
    """The commands that there are: those of the sandbox where that is installed."""
    sandbox = find_spec("adapters.sandbox") is not None
    return [name for name, place in COMMANDS.items() if sandbox or ".sandbox." not in place.module]


def loaded(name: str) -> TyperGroup | TyperCommand:
    """The command of this name, with what it needs."""
    place = COMMANDS[name]
    written = getattr(import_module(place.module), place.attribute)
    alone = typer.Typer()
    if isinstance(written, typer.Typer):
        alone.add_typer(written, name=name)
    else:
        alone.command(name)(written)
    return cast(TyperGroup | TyperCommand, typer.main.get_group(alone).commands[name])


class _Commands(TyperGroup):
    """Where commands are listed, their names and help are enough; the one that is called is loaded."""

    def list_commands(self, ctx: Any) -> list[str]:
        return installed()

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        place = COMMANDS.get(cmd_name)
        return None if place is None else TyperCommand(cmd_name, help=place.help)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] in COMMANDS and args[0] not in installed():
            ctx.fail(f"{args[0]} is a command of the sandbox, which is not installed")
        name, command, rest = super().resolve_command(ctx, args)
        return name, None if name is None or command is None else loaded(name), rest


class _Command(typer.Typer):
    """Ends with 4 where we fail ourselves, so that scripts can tell it from a "no" (CONTRACT.md)."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except Exception:
            traceback.print_exc()
            raise SystemExit(INTERNAL) from None


app = _Command(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="EDI gateway for paperless customs clearance: declarations in, signed receipts back.",
    epilog="First steps: gateway init HOME, gateway serve --home HOME; or all at once: gateway demo",
)


def _say_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version  # only here: it takes as long as the list of commands

        typer.echo(version("customs-edi-gateway"))
        raise typer.Exit


@app.callback()
def _gateway(
    _version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the release and end.")
    ] = False,
) -> None:
    pass


if __name__ == "__main__":
    app()
