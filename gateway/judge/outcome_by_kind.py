"""What a message means beyond itself: here the kinds of messages are judged differently."""

from collections.abc import Callable

from gateway.judge.admit_paperless import admit_paperless, documents_there
from gateway.judge.apply_agreement_notice import apply_agreement_notice
from gateway.judge.assess_risk import assess_risk
from gateway.judge.authorise import Authority
from gateway.judge.check_agency import check_agency, covered_by
from gateway.judge.match_declaration import match_declaration
from gateway.judge.verify import Evidence
from gateway.model.agreements import Act
from gateway.model.decision import (
    AgreementOutcome,
    DeclarationOutcome,
    DocumentsOutcome,
    JudgedOutcome,
)
from gateway.model.message import Operation, Received
from gateway.model.parties import Party
from gateway.model.policy import Policy
from gateway.model.register import Register
from gateway.rules.documents_due import there


def outcome_by_kind(
    received: Received,
    evidence: Evidence,
    authority: Authority,
    party: Party,
    register: Register,
    policy: Policy,
    mark: Callable[[str], None],
) -> JudgedOutcome:
    """The outcome of a message that is sound and whose sender may send it. `mark` is called with the name
    of each stage as it ends. Raises `MessageRejected` and `MustWait`."""
    shown = evidence.type.listed("agreements", evidence.root)
    match evidence.type.kind:
        case "declaration":
            hint = assess_risk(received, authority, party, policy)
            mark("assess")
            if authority.facts.operation is Operation.SAVE:
                return DeclarationOutcome(hint=hint)  # not a declaration yet
            owed = admit_paperless(received, authority, party, policy)
            mark("admit")
            use = check_agency(received, authority, shown, party, register, policy)
            mark("agency")
            brings = documents_there(authority)
            return DeclarationOutcome(hint=hint, obligation=owed, use=use, brings=brings)
        case "agreement-notice":
            seen, change = apply_agreement_notice(evidence, received, register)
            ends = change is not None and change.act is Act.TERMINATED
            holds = ends and policy.agreement.revoked == "hold"
            return AgreementOutcome(seen=seen, change=change, holds=holds)
        case "documents":
            belongs_to = match_declaration(authority.facts, party, register)
            values = authority.facts.values
            covered = covered_by(shown, belongs_to, register, policy)
            brings = there(values.get("codes", ""), covered)
            return DocumentsOutcome(belongs_to=belongs_to, brings=brings)
        case _:
            return None
