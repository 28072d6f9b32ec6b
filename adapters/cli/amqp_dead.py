"""`gateway amqp dead`: list, show, return or drop dead letters of the AMQP channel or of a back-end."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from adapters.cli.exit_codes import NO, UNREACHABLE, USAGE
from adapters.cli.output import (
    HomeOption,
    JsonOption,
    LimitOption,
    Listing,
    ReasonOption,
    exit_codes,
    fail,
    opened,
    say_fields,
    say_json,
    say_rows,
)
from adapters.home.actor import actor
from adapters.home.clock import utc_now
from adapters.store.write.in_force import NodeEvent, note
from gateway.config.connections import AmqpBackendSettings, BrokerSettings
from gateway.model.faults import printable

if TYPE_CHECKING:  # imported late otherwise, so that other commands start without the library
    from adapters.transport.amqp.aside import DeadLetterQueue, DeadLetterView

app = typer.Typer(no_args_is_help=True, help="The AMQP channel.")
dead = typer.Typer(cls=Listing, help="Dead letters: list, show, return, drop.")
app.add_typer(dead, name="dead")

DeadLetterArgument = Annotated[
    str, typer.Argument(metavar="MESSAGE", help="Id as listed, or the sender's message id.")
]
BackendOption = Annotated[
    str | None,
    typer.Option("--backend", help="Dead letters of this AMQP back-end instead of gateway.dead."),
]
UserOption = Annotated[
    str | None, typer.Option("--user", help="Log-in at the broker, instead of the one in gateway.toml.")
]
PasswordOption = Annotated[
    Path | None, typer.Option("--password-file", help="File with the password of --user.", exists=True)
]
_SHOWN: Final = ("id", "message_id", "user", "size", "reason", "name")
_T = TypeVar("_T")


@dead.command("list")
def list_(
    home: HomeOption,
    backend: BackendOption = None,
    user: UserOption = None,
    password_file: PasswordOption = None,
    limit: LimitOption = 100,
    as_json: JsonOption = False,
) -> None:
    """List dead letters with sender and reason, newest last. The queue and its order stay as they are.

    Example: gateway amqp dead list --home /srv/gateway
    """
    from adapters.transport.amqp.aside import MOST

    async def look(_: "DeadLetterQueue", view: "DeadLetterView") -> list[dict[str, Any]]:
        return view.facts

    rows = _browsed(_aside(home, backend, user, password_file), None, look)
    say_rows(rows[-limit:] if limit else rows, _SHOWN, as_json=as_json)
    if len(rows) == MOST:
        typer.echo(f"gateway: there are more than these; the oldest {MOST} were looked at", err=True)


@dead.command()
def show(
    letter: DeadLetterArgument,
    home: HomeOption,
    backend: BackendOption = None,
    user: UserOption = None,
    password_file: PasswordOption = None,
    raw: Annotated[bool, typer.Option("--raw", help="Print only its bytes.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show one dead letter with its properties and headers, or only its bytes.

    Example: gateway amqp dead show 3f2a9c01b7de --home /srv/gateway
    """

    async def look(_: "DeadLetterQueue", view: "DeadLetterView") -> tuple[dict[str, Any], bytes]:
        (one,) = view.those
        headers = {printable(str(name)): str(value) for name, value in one.headers.items()}
        return {**_facts(view), "content_type": one.content_type, "headers": headers}, one.body

    facts, body = _browsed(_aside(home, backend, user, password_file), letter, look)
    if raw:
        sys.stdout.buffer.write(body)
    elif as_json:
        say_json(facts)
    else:
        say_fields(facts)


@dead.command("return")
def return_(
    letter: DeadLetterArgument,
    home: HomeOption,
    reason: ReasonOption,
    backend: BackendOption = None,
    user: UserOption = None,
    password_file: PasswordOption = None,
    as_json: JsonOption = False,
) -> None:
    """Return one to its original queue in its sender's name; it is removed once the broker has confirmed. The
    log-in must be allowed to publish for other users (the broker's tag `impersonator`).

    Example: gateway amqp dead return 3f2a9c01b7de --reason "registered now" --home /srv/gateway
    """
    from adapters.transport.amqp.aside import put_back

    async def back(queue: "DeadLetterQueue", view: "DeadLetterView") -> dict[str, Any]:
        facts = _facts(view)

        async def written() -> None:
            _write(home, NodeEvent.GIVEN_BACK, queue, facts, reason)

        await put_back(queue, view, written)
        return facts

    queue = _aside(home, backend, user, password_file)
    _say(_browsed(queue, letter, back), f"given back to {queue.exchange or queue.key}", as_json)


@dead.command()
def drop(
    letter: DeadLetterArgument,
    home: HomeOption,
    reason: ReasonOption,
    to: Annotated[
        Path, typer.Option("--to", help="New file that its bytes are saved to first.", show_default=False)
    ],
    backend: BackendOption = None,
    user: UserOption = None,
    password_file: PasswordOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove one for good, after its bytes are saved to a file. Its sender is not notified.

    Example: gateway amqp dead drop 3f2a9c01b7de --to kept.zip --reason "sent again" --home /srv/gateway
    """

    async def out(queue: "DeadLetterQueue", view: "DeadLetterView") -> dict[str, Any]:
        (one,), facts = view.those, _facts(view)
        try:
            with open(to, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                file.write(one.body)
                file.flush()
                os.fsync(file.fileno())
        except FileExistsError:
            fail(USAGE, f"{to} is there already")
        _write(home, NodeEvent.DROPPED, queue, facts, reason)
        await one.ack()
        return facts

    facts = _browsed(_aside(home, backend, user, password_file), letter, out)
    _say(facts, f"taken out; its bytes are in {to}", as_json)


def _aside(path: Path, backend: str | None, user: str | None, password: Path | None) -> "DeadLetterQueue":
    with opened(path) as home:
        settings = home.settings()
    if (user is None) != (password is None):
        fail(USAGE, "--user and --password-file are given together")

    def at(broker: BrokerSettings, queue: str, exchange: str, key: str) -> "DeadLetterQueue":
        from adapters.transport.amqp.aside import DeadLetterQueue

        return DeadLetterQueue(
            broker=broker,
            home=home.path,
            user=user or broker.user,
            password=password or home.path / broker.password_file,
            queue=queue,
            exchange=exchange,
            key=key,
        )

    if backend is None:
        if settings.amqp is None:
            fail(USAGE, "gateway.toml has no [amqp]")
        return at(settings.amqp, "gateway.dead", "gateway.in", "gateway.dead")
    named = settings.backend.get(backend)
    if not isinstance(named, AmqpBackendSettings):
        fail(USAGE, printable(f"gateway.toml has no [backend.{backend}] of kind amqp"))
    return at(named, f"{named.answers}.dead", "", named.answers)


def _browsed(
    queue: "DeadLetterQueue",
    letter: str | None,
    ask: Callable[["DeadLetterQueue", "DeadLetterView"], Coroutine[Any, Any, _T]],
) -> _T:
    from aio_pika.exceptions import AMQPError

    from adapters.transport.amqp.aside import browse

    async def asking() -> _T:
        async with browse(queue, letter) as view:
            if letter is not None and not view.those:
                fail(NO, printable(f"nothing that was put aside is known by {letter}"))
            if len(view.those) > 1:
                fail(NO, printable(f"several have the message id {letter}; give the id of one, as listed"))
            return await ask(queue, view)

    with exit_codes():
        try:
            return asyncio.run(asking())
        except (AMQPError, ConnectionError, TimeoutError) as error:
            fail(UNREACHABLE, printable(f"{queue.queue}: {type(error).__name__} {error}"))


def _facts(view: "DeadLetterView") -> dict[str, Any]:
    from adapters.transport.amqp.aside import facts_of

    return facts_of(view.those[0])


def _write(
    path: Path, event: NodeEvent, queue: "DeadLetterQueue", facts: dict[str, Any], reason: str
) -> None:
    """Logs the act before the message leaves the queue: after a crash in between it is still there."""
    who, now = actor(), utc_now()
    told_of = {name: printable(str(facts[name] or ""), 80) for name in ("message_id", "user", "reason")}
    detail = {"of": told_of, "size": facts["size"], "sha256": facts["sha256"], "queue": queue.queue}
    with opened(path) as home, home.store() as database:
        database.submit(lambda to: note(to, event, who, now, reason=reason, **detail)).result()


def _say(facts: dict[str, Any], done: str, as_json: bool) -> None:
    if as_json:
        say_json(facts)
    else:
        typer.echo(printable(f"{facts['id']} ({facts['message_id'] or 'no message id'}): {done}", 1000))
