"""`gateway stats`: counts of messages in progress and of the outcomes of declarations."""

from datetime import timedelta
from typing import Annotated, Final

import typer

from adapters.cli.output import (
    HomeOption,
    JsonOption,
    Listing,
    opened,
    reading,
    say_json,
    say_rows,
)
from adapters.cli.times import SinceOption, UntilOption, bounds
from adapters.home.clock import utc_now
from adapters.store.read.office_stats import office_statistics
from adapters.store.read.outcome_stats import counts_by_fault, counts_by_triage
from adapters.store.read.queue_stats import COUNTS, By, depths, rates, waits
from gateway.model.dossier import ReviewOutcome
from gateway.monitor.statistics_bands import OUTCOMES, bands

_LOOKED_AT: Final = timedelta(days=30)


class _Flowing(Listing):
    """`gateway stats` is `gateway stats flow`."""

    left_out = "flow"


app = typer.Typer(
    cls=_Flowing,
    help="Statistics of messages in progress (flow, the default) and of outcomes of declarations.",
)


@app.command("flow")
def flow_(
    home: HomeOption,
    by: Annotated[By | None, typer.Option(help="Count separately for each of these.")] = None,
    hours: Annotated[int, typer.Option(min=1, max=8760, help="Count this many of the last hours.")] = 24,
    since: SinceOption = None,
    until: UntilOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the messages in each state and since when; arrivals and verdicts by hour; and how long verdicts
    and acceptance by customs took. --since and --until count whole days instead of the last hours.

    A message counts once, by its first verdict; a replay adds nothing. Seconds are counted from receipt; half
    of the messages took no longer than the median, 95 of 100 no longer than p95.

    Example: gateway stats flow --by office --hours 3 --home /srv/gateway
    """
    now = utc_now()
    first, before = bounds(since, until)
    end = min(before or now, now)
    begin = first or end - timedelta(hours=hours)
    with reading(home) as reader:
        queues = [
            {
                "stage": each.stage,
                "of": each.owner or None,
                "count": each.count,
                "oldest": None if each.oldest is None else each.oldest.isoformat(),
                "seconds": round(each.age(now)),
            }
            for each in depths(reader)
        ]
        counted = rates(reader, begin, end, by)
        waited = waits(reader, begin, end)
    if as_json:
        say_json({"standing": queues, "hours": counted, "seconds": waited})
        return
    say_rows(queues, ("stage", "of", "count", "oldest", "seconds"), as_json=False)
    typer.echo()
    say_rows(counted, ("hour", *([by.value] if by else []), *COUNTS), as_json=False)
    typer.echo()
    say_rows(waited, ("until", "messages", "median", "p95"), as_json=False)


@app.command()
def findings(
    home: HomeOption,
    since: SinceOption = None,
    until: UntilOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show findings for tuning the risk parameters: outcomes of declarations by the triage row that decided,
    and the number of messages with each fault. Covers the last 30 days by default.

    "Released" counts declarations released without inspection; "clear" and "found" are results of re-reviews.

    Example: gateway stats findings --since 2026-11-01 --until 2026-11-30 --home /srv/gateway
    """
    first, before = bounds(since, until)
    period = (first or (before or utc_now()) - _LOOKED_AT, before)
    with opened(home) as base:
        families = base.families()
        with base.reading() as reader:
            triage = counts_by_triage(reader, *period, families)
            faults = counts_by_fault(reader, *period)
    if as_json:
        say_json({"triage": triage, "faults": faults})
        return
    outcomes = ("declared", "released", "inspected", "refused", "deleted", *ReviewOutcome)
    say_rows(triage, ("rule", "treated_as", "inspection", *outcomes), as_json=False)
    typer.echo()
    say_rows(faults, ("code", "rule", "severity", "messages"), as_json=False)


@app.command("bands")
def bands_(home: HomeOption, as_json: JsonOption = False) -> None:
    """Show the outcomes of the declarations of the last hours, by customs office, broker and trader class,
    and whether a share is outside the band set in section monitoring of policy.toml.

    Example: gateway stats bands --home /srv/gateway
    """
    now = utc_now()
    with opened(home) as base:
        policy = base.policy().monitoring
        since = now - timedelta(hours=policy.window_hours)
        families = base.families()
        with base.reading() as reader:
            shares = bands(office_statistics(reader, since, now, families), policy)
    rows = [
        {
            "by": band.by,
            "name": band.name or None,
            **band.counts,
            "shares": {
                name: {"share": each.value, "band": each.band, "judged_by": each.judged_by}
                for name, each in band.shares
            },
            "outside": [
                f"{name} {each.value:.1%} not in {each.band[0]:.1%} to {each.band[1]:.1%}"
                for name, each in band.shares
                if each.outside
            ],
        }
        for band in shares
    ]
    say_rows(rows, ("by", "name", *OUTCOMES, "outside"), as_json=as_json)
