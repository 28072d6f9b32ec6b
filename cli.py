"""The `gateway` command: it lists the commands and command groups, and loads only the one that is called."""

import gc
import traceback
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any, Final, NamedTuple, cast

import typer
from typer.core import TyperCommand, TyperGroup

from adapters.cli.exit_codes import INTERNAL


class CommandPlace(NamedTuple):
    """Where a command is defined, and its help in the list of commands."""

    module: str
    attribute: str
    help: str


COMMANDS: Final[Mapping[str, CommandPlace]] = {
    "init": CommandPlace(
        "adapters.cli.node",
        "init",
        "Create a home: configuration, keys, accounts, the register of parties, and samples to send.",
    ),
    "serve": CommandPlace(
        "adapters.cli.node",
        "serve",
        "Serve a home until SIGTERM or SIGINT; then finish the work in progress and exit with 0.",
    ),
    "demo": CommandPlace(
        "adapters.cli.demo.demo",
        "demo",
        "Demonstrate six declarations: start a gateway, send them over SFTP, print what came back.",
    ),
    "check": CommandPlace(
        "adapters.cli.check",
        "check",
        "Check a file as the gateway would, without sending it. Exits with 1 if it would be refused.",
    ),
    "doctor": CommandPlace(
        "adapters.cli.node",
        "doctor",
        "Check a home: configuration, keys, certificates, store, disk. Exits with 1 if something is wrong.",
    ),
    "reload": CommandPlace(
        "adapters.cli.reload",
        "reload",
        "Make the running node reload policy.toml, routes.toml, the host keys of the SFTP server, "
        "and the keys and certificates that gateway.toml names. All or nothing: if the node keeps "
        "what it had, the command gives the reason and exits with 1.",
    ),
    "backup": CommandPlace(
        "adapters.cli.backup",
        "backup",
        "Copy everything a home needs, even while its node runs, and print the time of the copy. It "
        "contains keys: keep it as secret as the home. Exits with 1 if packages that the home "
        "refers to are missing.",
    ),
    "restore": CommandPlace(
        "adapters.cli.backup",
        "restore",
        "Create a home from a backup, and print the time of the backup. Refused if the original "
        "home can be seen to be in service.",
    ),
    "tail": CommandPlace(
        "adapters.cli.tail",
        "tail",
        "Follow the events of messages, one line each, until SIGINT or SIGTERM; both exit with 0.",
    ),
    "messages": CommandPlace(
        "adapters.cli.messages.commands",
        "app",
        "Find, understand, hold, release, reject and replay messages.",
    ),
    "undertakings": CommandPlace(
        "adapters.cli.undertakings",
        "app",
        "Bulk requests, and requests that wait for a second person: approve, refuse, resume.",
    ),
    "deliveries": CommandPlace("adapters.cli.deliveries", "app", "Deliveries to customs and their outcome."),
    "backends": CommandPlace("adapters.cli.backends", "app", "The back-ends: status, pause, resume, retry."),
    "documents": CommandPlace("adapters.cli.documents", "app", "Documents that declarations owe."),
    "customs": CommandPlace(
        "adapters.sandbox.cli.customs",
        "app",
        "The customs sandbox: its queue, decisions, ledgers, and server.",
    ),
    "association": CommandPlace(
        "adapters.sandbox.cli.association",
        "app",
        "The brokers' association of the sandbox: the agreements submitted to it, and acts of their "
        "parties. A running node is notified at once, by a notice that the association signs.",
    ),
    "parties": CommandPlace(
        "adapters.cli.parties.commands",
        "app",
        "The parties: traders, brokers, association, customs, premises.",
    ),
    "agreements": CommandPlace(
        "adapters.cli.agreements",
        "app",
        "Agency mandates and agreements, as notified by the brokers' association. A declaration by "
        "a broker needs one that is in force and covers it: a long-term mandate, or an agreement "
        "for a single shipment, which the declaration names by number and uses up.",
    ),
    "receipts": CommandPlace("adapters.cli.receipts", "app", "List, verify and restore receipts."),
    "policy": CommandPlace(
        "adapters.cli.policy", "app", "The policy in force, and a trial of another one on past messages."
    ),
    "amqp": CommandPlace("adapters.cli.amqp_dead", "app", "The AMQP channel."),
    "audit": CommandPlace("adapters.cli.audit", "app", "Check that the store is unchanged."),
    "routes": CommandPlace("adapters.cli.routes", "app", "Routing of messages."),
    "dossier": CommandPlace(
        "adapters.cli.dossier.commands",
        "app",
        "The electronic dossier of an entry; every access is recorded.",
    ),
    "stats": CommandPlace(
        "adapters.cli.stats",
        "app",
        "Statistics of messages in progress (flow, the default) and of outcomes of declarations.",
    ),
    "alarms": CommandPlace("adapters.cli.alarms", "app", "Alarms, open and cleared."),
    "clock": CommandPlace("adapters.cli.clock", "app", "Recovery from a clock that is behind the log."),
}


def installed() -> list[str]:
    """Names of the available commands; those of the sandbox only if it is installed."""
    sandbox = find_spec("adapters.sandbox") is not None
    return [name for name, place in COMMANDS.items() if sandbox or ".sandbox." not in place.module]


def loaded(name: str) -> TyperGroup | TyperCommand:
    """Imports the module of a command and returns the command."""
    place = COMMANDS[name]
    written = getattr(import_module(place.module), place.attribute)
    alone = typer.Typer()
    if isinstance(written, typer.Typer):
        alone.add_typer(written, name=name)
    else:
        alone.command(name)(written)
    return cast(TyperGroup | TyperCommand, typer.main.get_group(alone).commands[name])


class _Commands(TyperGroup):
    """Lists commands by name and help without importing them; loads only the command that is called."""

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
    """Exits with 4 on an internal error, so that scripts can tell it from a "no"."""

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


def _say_version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version  # slow: it takes as long as listing all commands

        typer.echo(version("customs-edi-gateway"))
        raise typer.Exit


@app.callback()
def _gateway(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """The command in a process of its own."""
    # Nearly all that it creates stays to its end. To search that for garbage meanwhile, and again when the
    # interpreter ends, took a third of the CPU time of a command.
    gc.set_threshold(20_000, 10, 10)
    try:
        app()
    finally:
        gc.freeze()


if __name__ == "__main__":
    main()
