"""`gateway stats`: what became of declarations, as counts."""

from importlib.resources import files

import typer

from adapters.operators.dossier import SinceOption, UntilOption, bounds
from adapters.operators.output import HomeOption, JsonOption, opened, say_json, say_rows, told
from adapters.operators.party_keys import read
from adapters.stores.figures import counts_by_fault, counts_by_triage
from gateway.dossier import ReviewOutcome
from gateway.families import Families

app = typer.Typer(no_args_is_help=True, help="What became of declarations, as counts.")


@app.callback()
def _stats() -> None:
    # Without this typer would make the one command there is the group itself.
    pass


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
