"""`gateway alarms`: open and cleared alarms, and a test of the notifiers."""

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adapters.cli import chinese
from adapters.cli.exit_codes import NO
from adapters.cli.output import (
    HomeOption,
    JsonOption,
    LangOption,
    LimitOption,
    Listing,
    opened,
    reading,
    say_rows,
)
from adapters.cli.times import SinceOption, first_of
from adapters.home.clock import utc_now
from adapters.store.write.alarms import list_alarms
from gateway.monitor.alarms import Alarm, AlarmNotice, AlarmSeverity, NoticeKind

if TYPE_CHECKING:  # imported late otherwise: listing alarms needs no network code
    from adapters.monitor.alarm_notifiers import Notifier

app = typer.Typer(cls=Listing, help="Alarms, open and cleared.")


@app.command("list")
def list_(
    home: HomeOption,
    lang: LangOption,
    all_: Annotated[bool, typer.Option("--all", help="Include cleared alarms.")] = False,
    since: SinceOption = None,
    limit: LimitOption = 100,
    as_json: JsonOption = False,
) -> None:
    """List open alarms, newest last; a running node opens and clears them.

    Example: gateway alarms list --all --home /srv/gateway
    """
    first = first_of(since)
    with reading(home) as reader:
        rows = list_alarms(reader, all_=all_, since=first, limit=limit)
    columns = ("id", "severity", "key", lang.value, "opened_at", "told_by", "cleared_at")
    say_rows(rows, columns, as_json=as_json, lang=lang, words=chinese.ALARM)


@app.command("test")
def tell_test(home: HomeOption, lang: LangOption, as_json: JsonOption = False) -> None:
    """Send a test alarm through every notifier of gateway.toml, and show the results.

    Nothing is stored. Exits with 1 if a notifier failed. The node's log, which also receives alarms, is not
    tested.

    Example: gateway alarms test --home /srv/gateway
    """
    from adapters.monitor.alarm_notifiers import notifiers

    with opened(home) as base:
        others = [
            notifier for notifier in notifiers(base.settings().alarms, base.path) if notifier.name != "log"
        ]
    now = utc_now()
    rows = [asyncio.run(_tried(notifier, now)) for notifier in others]
    say_rows(rows, ("way", "taken", "why"), as_json=as_json, lang=lang)
    if not all(row["taken"] for row in rows):
        raise typer.Exit(NO)


async def _tried(notifier: "Notifier", now: datetime) -> dict[str, Any]:
    from adapters.monitor.alarm_notifiers import NotNotified

    alarm = Alarm(
        id=0,
        key="test",
        severity=AlarmSeverity.NOTICE,
        zh="这是一次测试，无须处理",
        en="this is a test; nothing is wrong",
        opened_at=now,
        seen_at=now,
    )
    why = ""
    try:
        await notifier.notify(AlarmNotice(news=NoticeKind.OPEN, alarms=(alarm,)), now)
    except NotNotified as error:
        why = str(error)
    except Exception as error:  # from the network or the server; its text may contain an address
        why = type(error).__name__
    return {"way": notifier.name, "taken": not why, "why": why}
