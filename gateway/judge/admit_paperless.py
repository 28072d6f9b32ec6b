"""Whether a declaration may go the way it chose, and with what documents (docs/reform.md, R3-R7)."""

from datetime import date

from gateway.judge.authorise import Authority
from gateway.model.china import china_date
from gateway.model.faults import Fault, Finding, MessageRejected, finding
from gateway.model.message import Received
from gateway.model.obligation import Obligation
from gateway.model.parties import Party, Role, district_of
from gateway.model.policy import Policy
from gateway.model.reform import Due, Traffic
from gateway.rules.documents_due import obligation, there
from gateway.rules.paperless_eligibility import PaperlessSide, why_not_paperless


def admit_paperless(received: Received, authority: Authority, party: Party, policy: Policy) -> Obligation:
    """Returns the documents that the declaration owes. Raises `MessageRejected` with every reason why it may
    not go paperless and every missing document that is due with it; the day of receipt decides."""
    values, reform = authority.facts.values, policy.reform
    day = china_date(received.arrival.received_at)
    traffic = Traffic.from_facts(values, reform)
    district = district_of(values.get("office", ""))
    named = values.get("trader_code") or values.get("trader_scc", "-")
    sides = [_side(Role.TRADER, authority.trader, named, district, day)]
    if authority.brokered:
        sides.append(_side(Role.BROKER, party, party.code, district, day))
    findings = list(why_not_paperless(traffic, tuple(sides), reform, day))
    trader = authority.trader
    owed = obligation(
        traffic,
        None if trader is None else trader.class_on(day),
        trader is not None and trader.keeps_papers_on(day),
        reform,
        day,
    )
    if owed.due is Due.WITH:
        findings += _missing(owed, documents_there(authority), policy)
    if findings:
        raise MessageRejected(findings)
    return owed


def documents_there(authority: Authority) -> tuple[str, ...]:
    """The document classes that come with a declaration. `check_agency`, the next stage, rejects a
    declaration that its agreement does not cover; a trader that declares for itself shows no agreement."""
    return there(authority.facts.values.get("documents", ""), authority.brokered)


def _side(role: Role, party: Party | None, named: str, district: str, day: date) -> PaperlessSide:
    if party is None:
        return PaperlessSide(role=role, code=named, trader_class=None, has_contract=False)
    return PaperlessSide(
        role=role,
        code=party.code,
        trader_class=party.class_on(day),
        has_contract=party.has_contract(district, day),
    )


def _missing(owed: Obligation, present: tuple[str, ...], policy: Policy) -> list[Finding]:
    findings = []
    for code in owed.missing(present):
        name = policy.reform.documents.get(code)
        zh, en = (code, "") if name is None else (f"{name.zh}（{code}）", f" {name.en}")
        findings.append(
            finding(
                Fault.DOCUMENTS_DUE,
                detail=f"{code}{en}; {'; '.join(owed.sources)}",
                detail_zh=f"{zh}。请补入随附单据后重发。依据：{'；'.join(owed.sources_zh)}。",
            )
        )
    return findings
