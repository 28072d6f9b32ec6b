"""`gateway messages hold|release|reject|replay`: what operators do to messages, beside a running node."""

import contextlib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

import typer

from adapters.assemble import utc_now
from adapters.home import Home
from adapters.operators.actor import actor
from adapters.operators.message_finding import WantedArgument, meant, read
from adapters.operators.output import NO, UNREACHABLE, HomeOption, JsonOption, fail, opened, say_json, told
from adapters.stores.database import Database, sqlite_engine
from adapters.stores.dismissing import reject as write_rejection
from adapters.stores.dismissing import stopped
from adapters.stores.operations import hold as write_hold
from adapters.stores.operations import release as write_release
from adapters.stores.operations import replay as write_replay
from adapters.stores.register import SqlRegister
from gateway.families import Families
from gateway.operations import Act, Impossible, dismissal
from gateway.pipeline import Rules
from gateway.ports import Superseded
from gateway.signing import XadesSigner
from gateway.states import State


def _said(reason: str) -> str:
    if not reason.strip():
        raise typer.BadParameter("it must say why")
    return reason


ReasonOption = Annotated[
    str, typer.Option(help="Why; stands in the trail.", show_default=False, callback=_said)
]

_TRIES: Final = 5  # a message that changes between reading and writing is read again


def hold(wanted: WantedArgument, home: HomeOption, reason: ReasonOption, as_json: JsonOption = False) -> None:
    """Stop a message that customs does not have yet: received, waiting or accepted.

    Its deliveries stop with it. Beside a running node, whichever is first counts, this or the judgement.

    Example: gateway messages hold TB20261102000001 --reason "sender asked" --home /srv/gateway
    """
    _done(Act.HOLD, wanted, home, reason, as_json)


def release(
    wanted: WantedArgument, home: HomeOption, reason: ReasonOption, as_json: JsonOption = False
) -> None:
    """Let a held message go on where it was stopped.

    One that was never accepted is judged, and may wait anew; one that was accepted is delivered under its
    submission key, after the back-end was asked whether it has it.

    Example: gateway messages release TB20261102000001 --reason "sender agreed" --home /srv/gateway
    """
    _done(Act.RELEASE, wanted, home, reason, as_json)


def replay(
    wanted: WantedArgument, home: HomeOption, reason: ReasonOption, as_json: JsonOption = False
) -> None:
    """Take a rejected or held message up again.

    A rejected one is judged again under today's rules, policy and register. A held one goes on as with
    `release`.

    Example: gateway messages replay TB20261102000001 --reason "certificate registered" --home /srv/gateway
    """
    _done(Act.REPLAY, wanted, home, reason, as_json)


def reject(
    wanted: WantedArgument,
    home: HomeOption,
    reason: Annotated[
        str, typer.Option(help="Why; the sender reads it.", show_default=False, callback=_said)
    ],
    as_json: JsonOption = False,
) -> None:
    """Refuse a held or waiting message; its sender gets the final receipt, with the reason.

    An agreement that it had used comes free, and its reference may be used again. Not possible while
    customs may have it.

    Example: gateway messages reject TB20261102000001 --reason "withdrawn by the sender" --home /srv/gateway
    """
    _done(Act.REJECT, wanted, home, reason, as_json)


def _done(act: Act, wanted: str, home: Path, reason: str, as_json: bool) -> None:
    with told():
        base = opened(home)
        message = read(base, lambda reader: meant(reader, wanted)).id
        database = Database(sqlite_engine(base.database))
        try:
            state = (
                _rejected(base, database, message, reason)
                if act is Act.REJECT
                else _moved(act, database, message, reason)
            )
        except Impossible as error:
            fail(NO, f"{message}: {error}")
        except Superseded:
            fail(UNREACHABLE, f"{message} changes all the time; try again")
        finally:
            database.close()
    if as_json:
        say_json({"id": message, "state": state})
    else:
        typer.echo(f"{message} is {state}")


def _moved(act: Act, database: Database, message: str, reason: str) -> State:
    who, now = actor(), utc_now()
    acts = {Act.HOLD: write_hold, Act.RELEASE: write_release, Act.REPLAY: write_replay}
    return database.submit(lambda to: acts[act](to, message, who, reason, now)).result()


def _rejected(home: Home, database: Database, message: str, reason: str) -> State:
    """Signs here, with the home's key, and commits the receipt together with the state: there is no moment
    at which the message is rejected and its sender has no receipt. Raises `Impossible`, and `Superseded`
    where the message never stood still."""
    rules = Rules(families=Families.load(files("schemas")), policy=home.policy(), routes=home.routes())
    signer = XadesSigner(home.signing_key.read_bytes(), home.certificate.read_text())
    register, who = SqlRegister(database.engine), actor()

    def attempt() -> State:
        now = utc_now()
        with database.engine.connect() as reader:
            seen = stopped(reader, message)
        said = dismissal(seen, reason, rules, register, signer, now)
        return database.submit(lambda to: write_rejection(to, said, who, reason, now)).result()

    for _ in range(_TRIES - 1):
        with contextlib.suppress(Superseded):
            return attempt()
    return attempt()
