"""`gateway messages hold|release|reject|replay --dry-run`: the result beside the present state.

The act is carried out and rolled back: judged in this process by the stages of the node, under the present
rules, policy and register. The result may differ if something else happens to the message before the act.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import typer
from rich.console import Console
from rich.progress import track

from adapters.cli.exit_codes import NO
from adapters.cli.messages.execute import operating
from adapters.cli.messages.filters import Filters
from adapters.cli.messages.request import chosen, never_still
from adapters.cli.output import cell, console, fail, opened, say_json, say_rows
from adapters.home.actor import actor
from gateway.model.states import State
from gateway.model.transition import Refusal
from gateway.operate.dry_run import Trial
from gateway.operate.message_actions import Impossible, MessageAct, ReplayStage
from gateway.operate.service import OperatorService

_COMPARED: Final = ("state", "verdict", "faults", "route", "backends")


def dry_run(
    act: MessageAct,
    message: str | None,
    filters: Filters,
    stage: ReplayStage | None,
    path: Path,
    as_json: bool,
) -> None:
    """Prints the result for each selected message. Exits with 1 if none is possible, as the act would."""
    with opened(path) as base, operating(base) as on:
        with on.reading() as reader:
            those = chosen(reader, message, filters)
        ids = those.messages
        each = track(ids, "looking", console=Console(stderr=True), transient=True, disable=len(ids) < 2)
        shown = [_shown(on.service, id_, act, stage) for id_ in each]
    if not shown:
        fail(NO, "no message meets the filters")
    if as_json:
        say_json(shown)
    elif len(shown) == 1:
        _print(shown[0])
    else:
        columns = ("id", "reference", "from", *_COMPARED, "why_not")
        say_rows([_in_a_row(each) for each in shown], columns, as_json=False)
    if those.more:
        typer.echo(
            f"gateway: the newest {len(shown)} of {len(shown) + those.more} that meet the filters; "
            "--limit 0 takes all of them",
            err=True,
        )
    if not any(each["possible"] for each in shown):
        raise typer.Exit(NO)


def _shown(service: OperatorService, id_: str, act: MessageAct, stage: ReplayStage | None) -> dict[str, Any]:
    try:
        trial = service.dry_run(act, stage, id_, actor())
    except Impossible as error:
        return {"id": id_, "possible": False, "why_not": str(error)}
    if isinstance(trial, Refusal):
        never_still(id_)
    now, then = trial.before, trial.after
    return {
        "id": id_,
        "possible": True,
        "why_not": None,
        "reference": now.reference,
        "from": trial.stage,
        **{name: {"now": getattr(now, name), "then": getattr(then, name)} for name in _COMPARED},
        "added": [each for each in then.faults if each not in now.faults],
        "removed": [each for each in now.faults if each not in then.faults],
        "receipts": [asdict(each) for each in trial.receipts],
        "waiting_for": _waits_for(trial),
        "until": None if then.until is None else then.until.isoformat(),
        "deliveries": [asdict(each) for each in trial.deliveries],
    }


def _waits_for(trial: Trial) -> str | None:
    if trial.stage is ReplayStage.JUDGEMENT and trial.after.state is State.HELD:
        return f"a failure of our own is mended: {trial.after.reason}"
    return trial.after.waiting_for


def _in_a_row(shown: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": shown["id"],
        "reference": shown.get("reference"),
        "from": shown.get("from"),
        **{name: _change(shown.get(name)) for name in _COMPARED},
        "why_not": shown["why_not"],
    }


def _change(pair: dict[str, Any] | None) -> str:
    if pair is None:
        return ""
    now, then = _as_text(pair["now"]), _as_text(pair["then"])
    return now if now == then else f"{now} → {then}"


def _as_text(value: Any) -> str:
    return (", ".join(value) if isinstance(value, list) else str(value or "")) or "-"


def _print(shown: dict[str, Any]) -> None:
    printer = console()
    printer.print(cell(f"{shown['id']}: dry run, nothing is changed"))
    if not shown["possible"]:
        printer.print(cell(f"not possible: {shown['why_not']}"))
        return
    rows: Sequence[dict[str, Any]] = [
        {"": name, "now": _as_text(shown[name]["now"]), "then": _as_text(shown[name]["then"])}
        for name in _COMPARED
    ]
    say_rows(rows, ("", "now", "then"), as_json=False)
    if shown["waiting_for"]:
        printer.print(cell(f"waits for {shown['waiting_for']} until {shown['until']}"))
    for each in shown["deliveries"]:
        printer.print(cell(f"asked about, and sent if it is not there: {each['destination']} {each['key']}"))
    for each in shown["receipts"]:
        final = ", final" if each["final"] else ""
        printer.print(cell(f"receipt to {each['account']}: {each['kind']} {each['verdict'] or ''}{final}"))
    if not shown["receipts"]:
        printer.print(cell("no receipt"))
