"""Restores a home from a backup: everything is as at the backup; back-ends are asked what happened since."""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import update

from adapters.home.backup import (
    CONTENTS,
    FORM,
    BadBackup,
    Moment,
    copied,
    filled,
    is_package,
    stands_at,
    walked,
)
from adapters.home.home import Home, HomeLocked
from adapters.store.claims import queue_for_sending
from adapters.store.database import Transaction
from adapters.store.migrate import migrate
from adapters.store.tables.messages import deliveries
from adapters.store.write.in_force import NodeEvent, note
from gateway.config.connections import AmqpBackendSettings
from gateway.model.states import DeliveryState

_NOT_SETTLED = (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.UNKNOWN)


class _Contents(BaseModel):
    model_config = ConfigDict(strict=True)

    form: int
    made_at: str
    home: str
    outside: list[str]
    files: dict[str, str]


def restore(backup: Path, to: Path, actor: str, now: datetime) -> Moment:
    """Creates a home in a folder that is new or empty, or leaves it empty on failure. Writes an event.

    A submission that was not settled at that moment may have been settled since: the back-end is asked before
    it is sent again. If it cannot be asked, the submission is sent under the same key, which has no second
    effect there (`gateway.deliver.ports.Backend`), and may be neither rejected nor moved to another back-end.

    Raises `BadBackup`, and `HomeLocked` while a node serves the home that was backed up.
    """
    contents = _contents(backup)
    came_from = Home(Path(contents.home))
    if came_from.served_by() is not None:
        raise HomeLocked(f"a gateway serves {came_from.path}, of which this is a copy: stop it first")
    with filled(to):
        names = [name for name in walked(backup) if name != CONTENTS]
        if gone := sorted(contents.files.keys() - set(names)):
            raise BadBackup(f"{backup} has not: {', '.join(gone[:5])}")
        # Copied last: without it the folder is no home, so an incomplete one is never served.
        names.sort(key=lambda name: name == "gateway.toml")
        for name in names:
            digest = Path(name).name if is_package(name) else contents.files.get(name)
            if copied(backup / name, to / name) != digest:
                raise BadBackup(f"{backup / name} is not as it was copied")
        moment = stands_at(to, contents.home, contents.outside)
        migrate(to / "gateway.db")
        moment = replace(moment, unasked=_unasked(Home(to)))
        _say(to, moment, contents, actor, now)
        return moment


def _unasked(home: Home) -> tuple[str, ...]:
    backends = home.settings().backend.items()
    return tuple(
        name
        for name, backend in backends
        if isinstance(backend, AmqpBackendSettings) and not backend.questions
    )


def _contents(backup: Path) -> _Contents:
    try:
        contents = _Contents.model_validate(json.loads((backup / CONTENTS).read_bytes()))
    except FileNotFoundError:
        raise BadBackup(
            f"{backup} has no {CONTENTS}: it is no backup, or one that was not finished"
        ) from None
    except (ValueError, ValidationError):
        raise BadBackup(f"{backup / CONTENTS} cannot be read") from None
    if contents.form != FORM:
        raise BadBackup(f"{backup} is of another form ({contents.form}) than this release knows ({FORM})")
    return contents


def _say(to: Path, moment: Moment, contents: _Contents, actor: str, now: datetime) -> None:
    detail: dict[str, Any] = {"of": moment.home, "made_at": contents.made_at, "stood_at": moment.sequence}
    if moment.unasked:
        detail["unasked"] = moment.unasked

    def change(transaction: Transaction) -> None:
        maybe_sent = {"unsure": True, "alternatives": []}
        open_ = update(deliveries).where(deliveries.c.state.in_(_NOT_SETTLED))
        to_ask = transaction.connection.execute(
            open_.values(state=DeliveryState.UNKNOWN, **maybe_sent).returning(deliveries.c.id)
        ).scalars()
        queue_for_sending(transaction, unknown := to_ask.all(), now)
        on_hold = update(deliveries).where(deliveries.c.state == DeliveryState.HELD)
        transaction.connection.execute(on_hold.values(**maybe_sent))
        note(transaction, NodeEvent.RESTORED, actor, now, **detail, asked_about=len(unknown))

    with Home(to).store() as database:
        database.submit(change).result()
