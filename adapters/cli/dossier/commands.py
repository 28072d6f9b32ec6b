"""`gateway dossier`: show and export the dossier of an entry; draw and record re-reviews after release."""

from contextlib import nullcontext
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import typer

from adapters.blobs.packages import Packages
from adapters.cli.dossier.export import export_to
from adapters.cli.dossier.text import say, words
from adapters.cli.exit_codes import UNREACHABLE, USAGE
from adapters.cli.output import (
    HomeOption,
    JsonOption,
    LimitOption,
    No,
    fail,
    opened,
    say_json,
    say_rows,
)
from adapters.cli.times import SinceOption, UntilOption, bounds
from adapters.home.actor import actor
from adapters.home.clock import utc_now
from adapters.home.home import Home
from adapters.store.read.dossiers import dossier_of_entry, dossier_of_message, recorded_body
from adapters.store.read.message_detail import find_messages
from adapters.store.read.outcome_stats import Declared, outcomes, released
from adapters.store.write.dossier_access_log import list_readings, list_reviews, note_reading, put_review
from gateway.dossier.index import Export
from gateway.dossier.sampling import count_of, drawn, lot
from gateway.model.china import china_date
from gateway.model.dossier import Dossier, DossierReading, Review, ReviewOutcome
from gateway.model.faults import printable
from gateway.model.parties import TraderClass

app = typer.Typer(no_args_is_help=True, help="The electronic dossier of an entry; every access is recorded.")

EntryArgument = Annotated[
    str, typer.Argument(help="Entry number, or SeqNo, reference or message id of its declaration.")
]
ReasonOption = Annotated[str, typer.Option(help="Reason for the access; it is recorded.", show_default=False)]


@app.command()
def show(entry: EntryArgument, home: HomeOption, reason: ReasonOption, as_json: JsonOption = False) -> None:
    """Show what a dossier contains, what is missing, what was requested, and who has read it.

    Example: gateway dossier show 022020261000000001 --reason "complaint 17" --home /srv/gateway
    """
    why = _reason(reason)
    with opened(home) as base:
        dossier = _dossier_of(base, entry)
        _note(base, _reading(dossier, "", why))
        with base.reading() as reader:
            shown = words(dossier) | {
                "reviews": list_reviews(reader, dossier.names),
                "readings": list_readings(reader, dossier.names, 0),
            }
    if as_json:
        say_json(shown)
    else:
        say(shown)


@app.command()
def export(
    entry: EntryArgument,
    to: Annotated[Path, typer.Option(help="The zip to write; it must not exist.", show_default=False)],
    home: HomeOption,
    reason: ReasonOption,
    as_json: JsonOption = False,
) -> None:
    """Export a dossier as a zip with all its parts and a signed index.xml.

    `gateway receipts verify index.xml` checks the signature; the index has the SHA-256 of every part.

    Example: gateway dossier export 022020261000000001 --to entry.zip --reason audit --home /srv/gateway
    """
    why = _reason(reason)
    with opened(home) as base:
        if to.exists():
            fail(USAGE, f"{to} is there already")
        if not to.parent.is_dir():  # before the access is recorded
            fail(UNREACHABLE, f"{to.parent}: No such folder")
        dossier = _dossier_of(base, entry)
        signer = base.signer()
        reading = _reading(dossier, "export", why)
        _note(base, reading)
        made = Export(at=reading.at, actor=reading.actor, reason=why)
        with base.reading() as reader:
            packages = Packages.of(base, lambda: nullcontext(reader))
            export_to(to, dossier, made, signer, packages.open, lambda row: recorded_body(reader, row))
    if as_json:
        say_json({"dossier": dossier.name, "file": str(to), "parts": len(dossier.leaves)})
    else:
        typer.echo(f"{to}: {len(dossier.leaves)} parts of {dossier.name}, and a signed index.xml")


@app.command()
def sample(
    home: HomeOption,
    seed: Annotated[
        str, typer.Option(help="Seed that decides which entries are drawn; publish it afterwards.")
    ],
    share: Annotated[str | None, typer.Option(help="Share of the entries, such as 0.05; rounded up.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Number of entries.")] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    office: Annotated[
        str, typer.Option(help="Customs office of declaration; a shell pattern such as 02*.")
    ] = "*",
    trader_class: Annotated[
        TraderClass | None, typer.Option(help="Class of the trader on the day of receipt.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Draw released entries for re-review. The same seed and entries always give the same sample: the entries
    with the lowest SHA-256 over seed, line break and entry number.

    Example: gateway dossier sample --seed 2026-11 --share 0.05 --since 2026-11-01 --home /srv/gateway
    """
    if (share is None) == (count is None):
        fail(USAGE, "give either --share or --count")
    with opened(home) as base:
        with base.reading() as reader:
            listed = released(reader, *bounds(since, until))
        classes = _classes(base, listed)
        fit = {
            each.entry: each
            for each in listed
            if fnmatchcase(each.facts.get("office", ""), office)
            and trader_class in (None, classes[each.entry])
        }
        try:
            number = count or count_of(share or "", len(fit))
        except ValueError as wrong:
            fail(USAGE, f"--share: {wrong}")
        entries = drawn(seed, fit, number)
        with base.reading() as reader:
            reviewed = outcomes(reader, entries)
    rows = [
        {
            "entry": entry,
            "reference": fit[entry].reference,
            "trader": fit[entry].facts.get("trader_code"),
            "class": classes[entry],
            "office": fit[entry].facts.get("office"),
            "received_at": fit[entry].received_at.isoformat(),
            "customs_status": fit[entry].customs_status,
            "reviewed": reviewed.get(entry),
            "lot": lot(seed, entry),
        }
        for entry in entries
    ]
    columns = ("entry", "reference", "trader", "class", "office", "received_at", "customs_status", "reviewed")
    say_rows(rows, columns, as_json=as_json)


@app.command()
def review(
    entry: EntryArgument,
    home: HomeOption,
    outcome: Annotated[ReviewOutcome, typer.Option(help="Whether something was found.", show_default=False)],
    note: Annotated[str, typer.Option(help="What was looked at, and what was found.", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Record the outcome of a re-review after release; `gateway stats findings` counts it by triage rule.

    Example: gateway dossier review 022020261000000001 --outcome found --note "weight"
    """
    if not note.strip():
        fail(USAGE, "--note must say something")
    with opened(home) as base:
        dossier = _dossier_of(base, entry)
        done = Review(
            at=utc_now(),
            actor=actor(),
            entry=dossier.name,
            message=dossier.declaration.id,
            outcome=outcome,
            note=printable(note, 1000),
        )
        with base.store() as database:
            database.submit(lambda transaction: put_review(transaction, done)).result()
    if as_json:
        say_json({"dossier": done.entry, "outcome": done.outcome, "note": done.note})
    else:
        typer.echo(f"{done.entry}: {done.outcome}")


@app.command()
def readings(
    home: HomeOption,
    entry: Annotated[str | None, typer.Argument(help="Only those of this dossier.")] = None,
    limit: LimitOption = 100,
    as_json: JsonOption = False,
) -> None:
    """List who read which dossier, when and why, including accesses over SFTP.

    Example: gateway dossier readings 022020261000000001 --home /srv/gateway
    """
    with opened(home) as base:
        names = None if entry is None else _dossier_of(base, entry).names
        with base.reading() as reader:
            rows = list_readings(reader, names, limit)
    say_rows(rows, ("at", "actor", "entry", "part", "purpose"), as_json=as_json)


def _reason(text: str) -> str:
    if not text.strip():
        fail(USAGE, "--reason must say why")
    return printable(text.strip(), 1000)


def _reading(dossier: Dossier, part: str, reason: str) -> DossierReading:
    return DossierReading(
        at=utc_now(),
        actor=actor(),
        entry=dossier.name,
        message=dossier.declaration.id,
        part=part,
        purpose=reason,
    )


def _note(home: Home, reading: DossierReading) -> None:
    with home.store() as database:
        database.submit(lambda transaction: note_reading(transaction, reading)).result()


def _dossier_of(home: Home, number: str) -> Dossier:
    families = home.families()
    with home.reading() as reader:
        dossier = dossier_of_entry(reader, number, families)
        if dossier is not None:
            return dossier
        for row in find_messages(reader, number):
            # Documents sent later are linked to their declaration.
            for message in (row.id, row.linked):
                dossier = message and dossier_of_message(reader, message, families)
                if dossier:
                    return dossier
    raise No(f"no accepted declaration is known by {number}")


def _classes(home: Home, entries: list[Declared]) -> dict[str, TraderClass | None]:
    classes = {}
    with home.register() as register:
        for each in entries:
            trader = register.party_called(each.facts.get("trader_code", ""))
            day = china_date(each.received_at)
            classes[each.entry] = None if trader is None else trader.class_on(day)
    return classes
