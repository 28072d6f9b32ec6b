"""`gateway messages hold|release|reject|replay --dry-run`: what would come of it, beside what is. Reads only.

Judged in this process by the very stages of the node, under today's rules, policy and register, at this
moment; a message that something else happens to before the act may come out otherwise.
"""

import json
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

import typer
from rich.console import Console
from rich.progress import track
from sqlalchemy import Connection, Row, select

from adapters.blobs.filesystem import FilesystemBlobs
from adapters.cli.exit_codes import NO
from adapters.cli.messages.filters import Filters
from adapters.cli.messages.request import chosen
from adapters.cli.output import cell, console, fail, opened, say_json, say_rows, told
from adapters.home.clock import utc_now
from adapters.home.home import Home
from adapters.store.read.message_status import standing
from adapters.store.rows import received_of
from adapters.store.tables.messages import deliveries, events, receipts
from adapters.store.write.operations import stopped
from adapters.store.write.receipts import has_already
from gateway.config.bad_settings import BadSettings
from gateway.formats.signing import XadesSigner
from gateway.judge.pipeline import Rules, judge
from gateway.judge.receipt import Verdict
from gateway.model.decision import Decision
from gateway.model.faults import Severity
from gateway.model.folders import Folder
from gateway.model.message import Receipt
from gateway.model.ports import Register
from gateway.model.states import DeliveryState, Event, State, advance
from gateway.operate.dismissal import Dismissal, dismissal
from gateway.operate.message_actions import Act, Impossible, Stage, event_of

Message = Row[*tuple[Any, ...]]

_VERDICT: Final = {
    Event.PASSED: "accepted",
    Event.KEPT: "accepted",
    Event.REPEATED: "accepted",
    Event.REFUSED: "rejected",
    Event.LACKS: "waiting",
}
_UNDER_WAY: Final = (DeliveryState.DELIVERED, DeliveryState.SENDING)
_COMPARED: Final = ("state", "verdict", "faults", "route", "backends")


def dry_run(
    act: Act, wanted: str | None, filters: Filters, stage: Stage | None, path: Path, as_json: bool
) -> None:
    """Says it of each message that is meant. Ends with 1 where none of it is possible, as the act would."""
    with told():
        home = opened(path)
        with home.reading() as reader, home.register() as register:
            those = chosen(reader, wanted, filters)
            trial = _Trial(home, register)
            bar = Console(stderr=True)
            ids = those.messages
            each = track(ids, "looking", console=bar, transient=True, disable=len(ids) < 2)
            shown = [_shown(reader, id_, act, stage, trial) for id_ in each]
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


class _Trial:
    """What a judgement or a rejection would write. Rules and key are read when the first is asked for."""

    def __init__(self, home: Home, register: Register) -> None:
        self._home = home
        self._register = register
        self._blobs = FilesystemBlobs(home.blobs)

    @cached_property
    def _rules(self) -> Rules:
        return self._home.rules()

    @cached_property
    def _signer(self) -> XadesSigner:
        return self._home.signer()

    def judgement(self, row: Message) -> Decision:
        blob = partial(self._blobs.open, row.sha256)
        return judge(received_of(row), blob, self._rules, self._register, self._signer, utc_now())

    def rejection(self, reader: Connection, message: str) -> Dismissal:
        seen = stopped(reader, message)
        return dismissal(seen, "", self._rules, self._register, self._signer, utc_now())


def _shown(reader: Connection, id_: str, act: Act, stage: Stage | None, trial: _Trial) -> dict[str, Any]:
    try:
        row, present = standing(reader, id_)
        event = event_of(act, present, stage)
    except Impossible as error:
        return {"id": id_, "possible": False, "why_not": str(error)}
    now = _present(reader, row)
    from_: Stage | None = None
    match event:
        case Event.STOPPED:
            then = {**now, "state": State.HELD}
        case Event.DISMISSED:
            then = _rejected(reader, trial.rejection(reader, id_))
        case Event.RESUMED:
            then = {**now, "state": State.ACCEPTED, "deliveries": _again(reader, id_)}
            from_ = Stage.DELIVERY
        case _:
            then = _judged(reader, row, trial)
            from_ = Stage.JUDGEMENT
    return {
        "id": id_,
        "possible": True,
        "why_not": None,
        "reference": row.reference,
        "from": from_,
        **{name: {"now": now[name], "then": then[name]} for name in _COMPARED},
        "added": [each for each in then["faults"] if each not in now["faults"]],
        "removed": [each for each in now["faults"] if each not in then["faults"]],
        "receipts": then.get("receipts", []),
        "waiting_for": then.get("waiting_for"),
        "until": then.get("until"),
        "deliveries": then.get("deliveries", []),
    }


def _present(reader: Connection, row: Message) -> dict[str, Any]:
    final = select(receipts.c.verdict).where(
        receipts.c.message == row.id, receipts.c.final, ~receipts.c.superseded
    )
    passed = select(events.c.detail).where(events.c.message == row.id, events.c.event == Event.PASSED)
    detail = reader.execute(passed.order_by(events.c.sequence.desc()).limit(1)).scalar()
    sent = select(deliveries.c.destination).where(deliveries.c.message == row.id).order_by(deliveries.c.id)
    return {
        "state": row.state,
        "verdict": reader.execute(final).scalar(),
        "faults": _named((each["severity"], each["code"], each["rule"]) for each in row.findings),
        "route": json.loads(detail).get("route") if detail else None,
        "backends": list(reader.execute(sent).scalars()),
    }


def _again(reader: Connection, id_: str) -> list[dict[str, str]]:
    """The deliveries that the back-end is asked about, and that are sent where it has them not."""
    own = select(deliveries).where(deliveries.c.message == id_, deliveries.c.state.not_in(_UNDER_WAY))
    return [
        {"destination": each.destination, "key": each.key, "state": each.state}
        for each in reader.execute(own.order_by(deliveries.c.id))
    ]


def _rejected(reader: Connection, said: Dismissal) -> dict[str, Any]:
    return {
        "state": State.REJECTED,
        "verdict": Verdict.REJECTED,
        "faults": _named((each.severity, each.code, each.rule) for each in said.findings),
        "route": None,
        "backends": [],
        "receipts": _new(reader, said.message, said.receipts),
    }


def _judged(reader: Connection, row: Message, trial: _Trial) -> dict[str, Any]:
    try:
        decision = trial.judgement(row)
    except BadSettings:
        raise  # nothing of the message: the home's own files cannot be used
    except Exception as error:  # of our own: the node would hold the message, and says as little
        return {
            "state": State.HELD,
            "verdict": None,
            "faults": [],
            "route": None,
            "backends": [],
            "waiting_for": f"a failure of our own is mended: {type(error).__name__}",
        }
    lack = decision.lack
    return {
        "state": advance(State.RECEIVED, decision.event),
        "verdict": _VERDICT[decision.event],
        "faults": _named((each.severity, each.code, each.rule) for each in decision.findings),
        "route": decision.trail.get("route"),
        "backends": [each.destination for each in decision.submissions],
        "receipts": _given(reader, row, decision),
        "waiting_for": None if lack is None else lack.thing,
        "until": None if lack is None else lack.until.isoformat(),
    }


def _given(reader: Connection, row: Message, decision: Decision) -> list[dict[str, Any]]:
    """The receipts that would be given: of a verdict that its sender has already, none again."""
    if decision.event is Event.REPEATED:
        own = (receipts.c.message == decision.linked, receipts.c.account == row.account)
        again = select(receipts).where(*own, receipts.c.folder == Folder.INBOX, ~receipts.c.superseded)
        return [_receipt(each) for each in reader.execute(again.order_by(receipts.c.id))]
    return _new(reader, row.id, decision.receipts)


def _new(reader: Connection, id_: str, given: Sequence[Receipt]) -> list[dict[str, Any]]:
    return [] if has_already(reader, id_, given) else [_receipt(each) for each in given]


def _receipt(given: Any) -> dict[str, Any]:
    return {
        "account": given.account,
        "kind": given.kind,
        "verdict": given.verdict or None,
        "final": given.final,
    }


def _named(findings: Any) -> list[str]:
    return sorted({rule or code for severity, code, rule in findings if severity == Severity.ERROR})


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
    now, then = _said(pair["now"]), _said(pair["then"])
    return now if now == then else f"{now} → {then}"


def _said(value: Any) -> str:
    return (", ".join(value) if isinstance(value, list) else str(value or "")) or "-"


def _print(shown: dict[str, Any]) -> None:
    printer = console()
    printer.print(cell(f"{shown['id']}: dry run, nothing is changed"))
    if not shown["possible"]:
        printer.print(cell(f"not possible: {shown['why_not']}"))
        return
    rows: Sequence[dict[str, Any]] = [
        {"": name, "now": _said(shown[name]["now"]), "then": _said(shown[name]["then"])} for name in _COMPARED
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
