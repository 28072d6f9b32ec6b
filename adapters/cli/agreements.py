"""`gateway agreements`: agency mandates and agreements between traders and brokers."""

from typing import Annotated

import typer

from adapters.cli import chinese
from adapters.cli.exit_codes import NO
from adapters.cli.output import (
    HomeOption,
    JsonOption,
    LangOption,
    Language,
    LimitOption,
    Listing,
    fail,
    reading,
    say_fields,
    say_json,
    say_rows,
)
from adapters.store.read.agreements import list_agreements, show_agreement, trace_agreement
from adapters.store.read.parties import registered
from gateway.model.agreements import AgreementKind, AgreementState
from gateway.model.parties import named

app = typer.Typer(
    cls=Listing,
    help="Agency mandates and agreements, as notified by the brokers' association. A declaration by a "
    "broker needs one that is in force and covers it: a long-term mandate, or an agreement for a single "
    "shipment, which the declaration names by number and uses up.",
)

NumberArgument = Annotated[str, typer.Argument(help="Its number (ConsignNo).")]


@app.command("list")
def list_(
    home: HomeOption,
    lang: LangOption,
    state: Annotated[AgreementState | None, typer.Option(help="Only those in this state.")] = None,
    kind: Annotated[AgreementKind | None, typer.Option(help="Only those of this kind.")] = None,
    trader: Annotated[str, typer.Option(help="Only this trader's: a code of it, or its account.")] = "",
    broker: Annotated[str, typer.Option(help="Only this broker's: a code of it, or its account.")] = "",
    limit: LimitOption = 100,
    as_json: JsonOption = False,
) -> None:
    """List mandates and agreements, newest last. An empty term does not restrict.

    Example: gateway agreements list --broker broker-aa --state in_force --home /srv/gateway
    """

    options = {"state": state, "kind": kind, "trader": trader, "broker": broker}
    filters = {name: str(value) for name, value in options.items() if value}
    with reading(home) as reader:
        for side in {"trader", "broker"} & filters.keys():
            party = named(registered(reader), filters[side])
            # The association may name parties that are not registered here.
            filters[side] = filters[side] if party is None else party.code
        rows = list_agreements(reader, filters, limit)
    columns = ("number", "kind", "trader", "broker", "state", "valid_from", "valid_until", "used_by")
    say_rows(rows, columns, as_json=as_json, lang=lang, words=chinese.AGREEMENT)


@app.command()
def show(number: NumberArgument, home: HomeOption, lang: LangOption, as_json: JsonOption = False) -> None:
    """Show one: its terms, state, last notice, and the declarations accepted under it.

    `notice` names the association's last message about it and the SHA-256 of its package below `blobs/`. A
    notice without a message id was registered when the home was created.

    Example: gateway agreements show 195200016172325 --home /srv/gateway
    """
    with reading(home) as reader:
        shown = show_agreement(reader, number)
    if shown is None:
        fail(NO, f"no agreement is known by {number}")
    if as_json:
        say_json(shown)
        return
    fields = {name: value or None for name, value in shown.items() if name not in ("notice", "messages")}
    fields |= {f"notice_{name}": value or None for name, value in shown["notice"].items()}
    say_fields(fields, lang=lang, words=chinese.AGREEMENT)
    if shown["messages"]:
        typer.echo("\n依此受理的报文" if lang is Language.ZH else "\naccepted under it")
        columns = ("id", "reference", "state", "customs_status", "received_at")
        say_rows(shown["messages"], columns, as_json=False, lang=lang, words=chinese.MESSAGE)


@app.command()
def trace(number: NumberArgument, home: HomeOption, lang: LangOption, as_json: JsonOption = False) -> None:
    """List what happened to one, oldest first: when, by whom, in which message, and why.

    For an act of the association the message is its notice; for "used" and "freed" it is the declaration.

    Example: gateway agreements trace 195200016172325 --home /srv/gateway
    """
    with reading(home) as reader:
        acts = trace_agreement(reader, number)
    if not acts:
        fail(NO, f"no agreement is known by {number}")
    columns = ("at", "act", "actor", "state", "message", "reason")
    say_rows(acts, columns, as_json=as_json, lang=lang, words=chinese.AGREEMENT)
