"""What a notice of the brokers' association makes of an agreement (FORMATS 4; REFORM R13, 6)."""

from gateway.agreements import Change, IllegalAct, OtherTerms, changed
from gateway.faults import Fault, Rejected, finding
from gateway.notices import read_notice
from gateway.parties import Party, Role
from gateway.ports import Register
from gateway.stages.verify import Evidence


def note(evidence: Evidence, party: Party, register: Register) -> Change | None:
    """The change; None where the notice tells what is known already. Raises `Rejected` for a sender that is
    not the association, for what cannot happen to the agreement any more, and for other terms."""
    if party.role is not Role.ASSOCIATION:
        raise Rejected(finding(Fault.NOT_ASSOCIATION, detail=party.role))
    notice = read_notice(evidence.root)
    try:
        return changed(register.agreement(notice.agreement.number), notice)
    except (IllegalAct, OtherTerms) as wrong:
        raise Rejected(
            finding(Fault.AGREEMENT_ACT, detail=str(wrong), value=notice.agreement.number)
        ) from wrong
