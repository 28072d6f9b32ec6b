"""The judgement of a message, from stored bytes to a decision: read this first.

Straight-line code over pure stages. It uses no clock, disk or network: `now`, the rules in force, the
register and the signer are arguments, and the caller opens the package. It runs in worker processes; what it
returns is committed by the node in one transaction.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from io import BytesIO
from typing import Final

from gateway.families.families import Families
from gateway.judge.agreement_use_notices import notices_of_freed, notices_of_use
from gateway.judge.apply_agreement_notice import relay
from gateway.judge.authorise import Authority, authorise, read_facts, sender
from gateway.judge.check_agency import chosen
from gateway.judge.join_attachments import (
    attachment_facts,
    await_declaration,
    await_documents,
    brings,
    join_attachments,
    judge_attachment,
    replaced,
)
from gateway.judge.outcome_by_kind import outcome_by_kind
from gateway.judge.receipt import ReceiptContext, Verdict, gateway_receipt, in_chosen_forms, refusal
from gateway.judge.route import route
from gateway.judge.sign import sign
from gateway.judge.unpack import unpack, unpack_pdf, warn_of_ignored
from gateway.judge.validate import recognise, validate
from gateway.judge.verify import verify
from gateway.model.agreements import AgreementUse, RegisteredAgreement
from gateway.model.china import CHINA, moment_zh
from gateway.model.decision import (
    AgreementOutcome,
    Decision,
    DeclarationOutcome,
    DocumentsOutcome,
    Finished,
    MustWait,
    RefusedByAgreement,
)
from gateway.model.faults import Fault, Finding, MessageRejected, Severity, finding
from gateway.model.message import Blob, Package, Part, Receipt, Received, SeparateAttachment
from gateway.model.parties import Party
from gateway.model.pending_receipt import PendingReceipt
from gateway.model.policy import Policy
from gateway.model.register import Register
from gateway.model.routes import Routes
from gateway.model.signers import Signer
from gateway.model.states import Event
from gateway.model.waits import text_in_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules in force: message families with their schemas and rules, policy, routes. Replaced as a
    whole."""

    families: Families
    policy: Policy
    routes: Routes


# A package of at most so many bytes is read once, into memory.
_SMALL: Final = 1024 * 1024

# The stages that may be timed, in the order of the pipeline.
STAGES: Final = (
    *("unpack", "validate", "verify", "authorise", "assess", "admit", "agency"),
    *("route", "sign", "receipt"),
)


def _unmarked(_stage: str) -> None:
    pass


def judge(
    received: Received,
    blob: Blob,
    rules: Rules,
    register: Register,
    signer: Signer,
    now: datetime,
    mark: Callable[[str], None] = _unmarked,
) -> Decision:
    """The decision on one message. Never raises `MessageRejected` or `MustWait`: these become decisions too.
    `mark` is called with the name of each stage (of `STAGES`) that was passed, so that the caller can time
    them; a stage that refuses is not marked."""
    decision = _judged(received, blob, rules, register, signer, now, mark)
    decision = replace(decision, name=received.arrival.name)
    if decision.event is not Event.REFUSED:
        return decision
    return replace(
        decision, receipts=decision.receipts + _notices_of_freed(decision, received, register, signer, now)
    )


def _judged(
    received: Received,
    blob: Blob,
    rules: Rules,
    register: Register,
    signer: Signer,
    now: datetime,
    mark: Callable[[str], None],
) -> Decision:
    families, policy = rules.families, rules.policy
    context = ReceiptContext()
    try:
        party, account = sender(received, register)
        context = ReceiptContext(party=party)
        arrival, limit = received.arrival, account.max_package
        blob = _read_once(blob) if arrival.size <= _SMALL else blob
        pdf = unpack_pdf(arrival.name, blob, arrival.sha256, arrival.size, policy.pdf, limit)
        if pdf is not None:
            context = _context(party, pdf)
            earlier = judge_attachment(received, pdf, party, register, families, policy)
            return _waits_for_declaration(received, pdf, earlier, party, rules, signer, now)
        package = unpack(arrival.name, blob, arrival.size, policy.package, policy.pdf, limit)
        mark("unpack")
        context = ReceiptContext(party=party, parts=package.parts, ignored=package.ignored)
        recognised = recognise(package, families, policy)
        package = join_attachments(recognised, package, received, party, register, policy, limit)
        context = replace(context, separate_attachments=package.separate_attachments)
        try:
            validated = validate(recognised, package, policy)
            mark("validate")
            evidence = verify(validated, package, party, now)
            mark("verify")
            authority = authorise(evidence, package, received, party, register, policy)
            mark("authorise")
        except MessageRejected:
            # Only a refusal uses the facts of a document whose signature is not verified.
            context = replace(context, facts=read_facts(recognised.type, recognised.root, package, party))
            raise
        context = replace(context, facts=authority.facts, linked=authority.linked)
        if authority.repeats is not None:
            return _repeated(received, authority, rules)
        outcome = outcome_by_kind(received, evidence, authority, party, register, policy, mark)
        copies = route(authority.facts, outcome, register, rules.routes)
        mark("route")
        await_documents(received, package, party, policy)
        submissions = sign(
            *(received, package, validated, evidence, authority, party, outcome, copies),
            *(families, policy, signer, now),
        )
        mark("sign")
    except RefusedByAgreement as refused:
        decision = _refused(received, context, refused.findings, rules, signer, now)
        return replace(decision, against=refused.seen)
    except MessageRejected as refused:
        return _refused(received, context, refused.findings, rules, signer, now)
    except MustWait as lacking:
        return _waits(received, context, lacking, rules, signer, now)
    shown = evidence.type.listed("agreements", evidence.root)
    use = outcome.use if isinstance(outcome, DeclarationOutcome) else None
    warnings = warn_of_ignored(package) + validated.warnings + authority.warnings + chosen(shown, use)
    receipt = gateway_receipt(received, Verdict.ACCEPTED, context, warnings, families, policy, signer, now)
    others = _notices_of_use(received, authority, use, register, signer, now)
    if isinstance(outcome, AgreementOutcome):
        others += relay(outcome.change, received, package, register, now)
    linked = outcome.belongs_to.id if isinstance(outcome, DocumentsOutcome) else authority.linked
    mark("receipt")
    return Decision(
        message=received.arrival.id,
        attempt=received.attempts,
        fence=received.fence,
        event=Event.PASSED if submissions else Event.ACCEPTED_NO_DELIVERY,
        findings=warnings,
        facts=authority.facts,
        receipts=in_chosen_forms([receipt], party) + others,
        submissions=submissions,
        holder=authority.holder,
        linked=linked,
        joined=_joined(received, package, party, rules, signer, now),
        outcome=outcome,
        trail=_trail(rules)
        | {"route": ", ".join(copy.route for copy in copies), "receipt": _digest(receipt)},
    )


def _read_once(blob: Blob) -> Blob:
    with blob() as stream:
        body = stream.read()
    return lambda: BytesIO(body)


def _notices_of_use(
    received: Received,
    authority: Authority,
    use: RegisteredAgreement | None,
    register: Register,
    signer: Signer,
    now: datetime,
) -> tuple[Receipt, ...]:
    """The association's receipts for the agreement that a declaration is accepted under."""
    if use is None:
        return ()
    used = AgreementUse(number=use.agreement.number, kind=use.agreement.kind)
    reference = authority.facts.key.reference
    return notices_of_use(used, received.arrival.id, reference, register, signer, now)


def _notices_of_freed(
    decision: Decision, received: Received, register: Register, signer: Signer, now: datetime
) -> tuple[Receipt, ...]:
    """The association's receipts for an agreement that is released: the declaration that had used it up was
    accepted before, is judged again, and is now refused."""
    if decision.facts is None:
        return ()
    shown = map(register.agreement, decision.facts.values.get("agreements", "").split())
    registered = next(
        (each for each in shown if each and each.agreement.used_by == received.arrival.id), None
    )
    if registered is None:
        return ()
    party = register.party_of(received.arrival.account)
    used = AgreementUse(number=registered.agreement.number, kind=registered.agreement.kind)
    reference = decision.facts.key.reference
    return notices_of_freed(used, received.arrival.id, reference, register, party, signer, now)


def too_costly(
    received: Received,
    limit: str,
    limit_zh: str,
    rules: Rules,
    register: Register,
    signer: Signer,
    now: datetime,
) -> Decision:
    """The decision on a message whose judgement always takes more memory or time than allowed."""
    context = ReceiptContext(party=register.party_of(received.arrival.account))
    why = finding(Fault.PACKAGE_TOO_COSTLY, detail=limit, detail_zh=limit_zh)
    return _refused(received, context, (why,), rules, signer, now)


def pending_receipt(
    pending: PendingReceipt, rules: Rules, register: Register, signer: Signer, now: datetime
) -> Receipt:
    """The receipt of a message that goes on later. For a held message it says that we have it, without
    internal details; for an accepted one, since when customs cannot be reached."""
    received = pending.received
    context = ReceiptContext(party=register.party_of(received.arrival.account), facts=pending.facts)
    verdict, findings = Verdict.HELD, list[Finding]()
    if pending.down_since is not None:
        verdict = Verdict.WAITING
        findings.append(
            finding(
                Fault.CUSTOMS_UNREACHABLE,
                detail=pending.down_since.astimezone(CHINA).isoformat(" ", "minutes"),
                detail_zh=moment_zh(pending.down_since),
                severity=Severity.WARNING,
            )
        )
    return gateway_receipt(received, verdict, context, findings, rules.families, rules.policy, signer, now)


def _repeated(received: Received, authority: Authority, rules: Rules) -> Decision:
    return Decision(
        message=received.arrival.id,
        attempt=received.attempts,
        fence=received.fence,
        event=Event.REPEATED,
        facts=authority.facts,
        linked=authority.repeats,
        trail=_trail(rules),
    )


def _waits(
    received: Received,
    context: ReceiptContext,
    must_wait: MustWait,
    rules: Rules,
    signer: Signer,
    now: datetime,
) -> Decision:
    """The decision to wait, or to refuse where the time for that is over."""
    if received.overdue:
        awaited = text_in_words(received.overdue)
        late = finding(Fault.WAIT_EXPIRED, detail=awaited.en, detail_zh=awaited.zh)
        return _refused(received, context, (late, *must_wait.shown), rules, signer, now)
    receipt = gateway_receipt(
        received, Verdict.WAITING, context, must_wait.shown, rules.families, rules.policy, signer, now
    )
    return Decision(
        message=received.arrival.id,
        attempt=received.attempts,
        fence=received.fence,
        event=Event.WAITING,
        findings=must_wait.shown,
        facts=context.facts,
        receipts=in_chosen_forms([receipt], context.party),
        linked=context.linked,
        wait=must_wait.wait,
        trail=_trail(rules) | {"receipt": _digest(receipt)},
    )


def _waits_for_declaration(
    received: Received,
    pdf: Part,
    earlier: SeparateAttachment | None,
    party: Party,
    rules: Rules,
    signer: Signer,
    now: datetime,
) -> Decision:
    """The decision on a PDF that was sent on its own; it ends a waiting one of the same name."""
    must_wait = await_declaration(received, pdf, party, rules.policy)
    decision = _waits(received, _context(party, pdf), must_wait, rules, signer, now)
    if decision.wait is None:  # the time to wait is over
        return decision
    ended = []
    if earlier is not None:
        why = (replaced(pdf.name, received),)
        # Receipts of files with one name differ by their time.
        then = now + timedelta(microseconds=1)
        end = _refused(earlier.message, _context(party, earlier.part), why, rules, signer, then)
        ended.append(
            Finished(
                message=end.message, name=earlier.part.name, receipts=end.receipts, findings=end.findings
            )
        )
    return replace(decision, brings=brings(pdf, party), replaced=tuple(ended))


def _joined(
    received: Received, package: Package, party: Party, rules: Rules, signer: Signer, now: datetime
) -> tuple[Finished, ...]:
    """The PDFs that came separately and are accepted with the document that lists them."""
    joined = []
    new = (each for each in package.separate_attachments if not each.joined)
    for number, each in enumerate(new, 1):
        context = replace(_context(party, each.part), linked=received.arrival.id)
        then = now + timedelta(microseconds=number)  # `a.xml` may list `a`, and names differ by it
        receipt = gateway_receipt(
            each.message, Verdict.ACCEPTED, context, (), rules.families, rules.policy, signer, then
        )
        joined.append(Finished(message=each.message.arrival.id, name=each.part.name, receipts=(receipt,)))
    return tuple(joined)


def _context(party: Party, pdf: Part) -> ReceiptContext:
    return ReceiptContext(party=party, parts=(pdf,), facts=attachment_facts(pdf, party))


def _refused(
    received: Received,
    context: ReceiptContext,
    findings: Sequence[Finding],
    rules: Rules,
    signer: Signer,
    now: datetime,
) -> Decision:
    receipt = gateway_receipt(
        received, Verdict.REJECTED, context, findings, rules.families, rules.policy, signer, now
    )
    answers = refusal(received, context, findings, rules.families, now)
    return Decision(
        message=received.arrival.id,
        attempt=received.attempts,
        fence=received.fence,
        event=Event.REFUSED,
        findings=tuple(findings),
        facts=context.facts,
        receipts=in_chosen_forms([receipt, *answers], context.party),
        linked=context.linked,
        trail=_trail(rules) | {"receipt": _digest(receipt)},
    )


def _trail(rules: Rules) -> dict[str, str]:
    return {"rules": rules.families.digest, "policy": rules.policy.digest}


def _digest(receipt: Receipt) -> str:
    return hashlib.sha256(receipt.body).hexdigest()
