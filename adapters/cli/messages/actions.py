"""`gateway messages hold|release|reject|replay`: acts of operators on messages, beside a running node.

Their code is imported when they are called, since `gateway messages list` is in the same group and needs no
judgement.
"""

from pathlib import Path
from typing import Annotated

import typer

from adapters.cli.messages.filters import Filters, filtered
from adapters.cli.output import HomeOption, JsonOption, opened, said_why
from gateway.operate.message_actions import MessageAct, ReplayStage

MessageArgument = Annotated[
    str | None,
    typer.Argument(
        help="Message id (ours, or its sender's over AMQP), reference, SeqNo or entry number; the newest of "
        "several that is not a repetition. Or use filters instead.",
        show_default=False,
    ),
]
ReasonOrDryOption = Annotated[
    str | None,
    typer.Option(help="Reason; kept in the trace. Required without --dry-run.", show_default=False),
]
DryRunOption = Annotated[
    bool,
    typer.Option("--dry-run", help="Show what would happen, beside the present state; change nothing."),
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--request-key",
        help="Your key for this request, at most 64 characters; the same key has no second effect.",
        parser=lambda text: _key(text),
        metavar="KEY",
    ),
]


def _key(text: str) -> str:
    if not text.strip() or len(text) > 64 or not text.isprintable():
        raise typer.BadParameter("a request key has 1 to 64 printable characters")
    return text


def _acted(
    act: MessageAct,
    message: str | None,
    filters: Filters,
    reason: str | None,
    dry_run: bool,
    key: str | None,
    home: Path,
    as_json: bool,
    stage: ReplayStage | None = None,
) -> None:
    from adapters.cli.differing import warn_of_differing
    from adapters.cli.messages import dry_run as trial
    from adapters.cli.messages.request import Ask, check_choice, request_act

    check_choice(message, filters)  # first, so that this is the error if neither is given
    with opened(home) as base:
        warn_of_differing(base)
    if dry_run:
        trial.dry_run(act, message, filters, stage, home, as_json)
    else:
        request_act(Ask(act, message, filters, said_why(reason or ""), key, stage), home, as_json)


@filtered
def hold(
    filters: Filters,
    home: HomeOption,
    message: MessageArgument = None,
    reason: ReasonOrDryOption = None,
    dry_run: DryRunOption = False,
    request_key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold a message that customs does not have yet: received, waiting, accepted. Or all that match filters.

    Its deliveries are held too. If a running node is judging the message, whichever is first takes effect.

    Example: gateway messages hold TB20261102000001 --reason "sender asked" --home /srv/gateway
    """
    _acted(MessageAct.HOLD, message, filters, reason, dry_run, request_key, home, as_json)


@filtered
def release(
    filters: Filters,
    home: HomeOption,
    message: MessageArgument = None,
    reason: ReasonOrDryOption = None,
    dry_run: DryRunOption = False,
    request_key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Release a held message; it continues where it was held. Or all that match filters.

    If it was never accepted it is judged, and may have to wait again; if it was accepted it is delivered
    under its submission key, after the back-end was asked whether it has it.

    Example: gateway messages release TB20261102000001 --reason "sender agreed" --home /srv/gateway
    """
    _acted(MessageAct.RELEASE, message, filters, reason, dry_run, request_key, home, as_json)


@filtered
def replay(
    filters: Filters,
    home: HomeOption,
    message: MessageArgument = None,
    stage: Annotated[
        ReplayStage | None,
        typer.Option(
            "--from",
            help="judgement: judge it again under today's rules. delivery: send it again under its key, "
            "after asking the back-end whether it has it. By default a rejected message is judged, and a "
            "held one that was accepted is sent.",
        ),
    ] = None,
    reason: ReasonOrDryOption = None,
    dry_run: DryRunOption = False,
    request_key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge or send a rejected or held message again, or all that match filters.

    Example: gateway messages replay TB20261102000001 --reason "certificate registered" --home /srv/gateway
    """
    _acted(MessageAct.REPLAY, message, filters, reason, dry_run, request_key, home, as_json, stage)


@filtered
def reject(
    filters: Filters,
    home: HomeOption,
    message: MessageArgument = None,
    reason: Annotated[
        str | None,
        typer.Option(help="Reason; the sender reads it. Required without --dry-run.", show_default=False),
    ] = None,
    dry_run: DryRunOption = False,
    request_key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Reject a held or waiting message; its sender gets the final receipt with the reason. Or all that match
    filters.

    An agreement that it had used is released, and its reference may be used again. Not possible while customs
    may have it.

    Example: gateway messages reject TB20261102000001 --reason "withdrawn by the sender" --home /srv/gateway
    """
    _acted(MessageAct.REJECT, message, filters, reason, dry_run, request_key, home, as_json)
