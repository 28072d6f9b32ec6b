"""`gateway stats`: what became of declarations, as counts."""

from datetime import timedelta
from importlib.resources import files

import typer

from adapters.assemble import utc_now
from adapters.operators.dossier import SinceOption, UntilOption, bounds
from adapters.operators.output import HomeOption, JsonOption, opened, say_json, say_rows, told
from adapters.operators.party_keys import read
from adapters.stores.bands import figures
from adapters.stores.figures import counts_by_fault, counts_by_triage
from gateway.dossier import ReviewOutcome
from gateway.families import Families
from gateway.monitoring import OUTCOMES, bands

app = typer.Typer(no_args_is_help=True, help="What became of declarations, as counts.")


@app.command()
def findings(
    home: HomeOption,
    since: SinceOption = None,
    until: UntilOption = None,
    as_json: JsonOption = False,
) -> None:
    """Findings fed back to the risk parameters: what became of declarations, by the triage row that decided,
    and in how many messages the gateway found each fault.

    Released are those that were not inspected; clear and found are what re-reviews came to.

    Example: gateway stats findings --since 2026-11-01 --until 2026-11-30 --home /srv/gateway
    """
    period = bounds(since, until)
    with told():
        base = opened(home)
        families = Families.load(files("schemas"))
        triage = read(base, lambda reader: counts_by_triage(reader, *period, families))
        faults = read(base, lambda reader: counts_by_fault(reader, *period))
    if as_json:
        say_json({"triage": triage, "faults": faults})
        return
    outcomes = ("declared", "released", "inspected", "refused", "deleted", *ReviewOutcome)
    say_rows(triage, ("rule", "treated_as", "inspection", *outcomes), as_json=False)
    typer.echo()
    say_rows(faults, ("code", "rule", "severity", "messages"), as_json=False)


@app.command("bands")
def bands_(home: HomeOption, as_json: JsonOption = False) -> None:
    """What became of the declarations of the last hours, by customs office, broker and trader class, and
    whether a share is outside the band that policy.toml [monitoring] sets (REFORM R17).

    Example: gateway stats bands --home /srv/gateway
    """
    now = utc_now()
    with told():
        base = opened(home)
        policy = base.policy().monitoring
        since = now - timedelta(hours=policy.window_hours)
        families = Families.load(files("schemas"))
        found = bands(read(base, lambda reader: figures(reader, since, now, families)), policy)
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
        for band in found
    ]
    say_rows(rows, ("by", "name", *OUTCOMES, "outside"), as_json=as_json)
