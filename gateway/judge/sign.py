"""The submission envelope for customs: it has the digest of every part, and is signed by the gateway."""

import unicodedata
from datetime import datetime

from gateway.families.families import Families
from gateway.formats.submission import build_envelope, inner_name
from gateway.judge.authorise import Authority
from gateway.judge.route import RoutedCopy
from gateway.judge.validate import ValidatedDocument
from gateway.judge.verify import Evidence
from gateway.model.agreements import RegisteredAgreement
from gateway.model.decision import AgreementOutcome, DeclarationOutcome, DocumentsOutcome, JudgedOutcome
from gateway.model.message import Enclosure, EnclosureKind, Package, Received, Submission
from gateway.model.parties import Party
from gateway.model.policy import Policy
from gateway.model.signers import Signer


def sign(
    received: Received,
    package: Package,
    validated: ValidatedDocument,
    evidence: Evidence,
    authority: Authority,
    party: Party,
    outcome: JudgedOutcome,
    copies: tuple[RoutedCopy, ...],
    families: Families,
    policy: Policy,
    signer: Signer,
    now: datetime,
) -> tuple[Submission, ...]:
    """The submissions of an accepted message, one for each routed copy. Their keys are the message's id, and
    the id with the second office; they stay the same however often they are sent."""
    declared = outcome if isinstance(outcome, DeclarationOutcome) else DeclarationOutcome()
    enclosures = _enclosures(package, declared.use)
    arrival = received.arrival
    linked = outcome.belongs_to.id if isinstance(outcome, DocumentsOutcome) else authority.linked
    return tuple(
        Submission(
            key=f"{arrival.id}-{copy.office}" if copy.office else arrival.id,
            destination=copy.backend,
            envelope=signer.sign(
                build_envelope(
                    received=received,
                    package=package,
                    facts=authority.facts,
                    sender=party,
                    findings=validated.warnings + authority.warnings,
                    version=evidence.type.version,
                    rules=families.digest,
                    policy=policy.digest,
                    created_at=now,
                    certificate=None if evidence.signature is None else evidence.signature.fingerprint,
                    linked=linked,
                    hint=declared.hint,
                    office=copy.office,
                    enclosures=enclosures,
                    agreement=declared.use,
                )
            ),
            package_sha256=arrival.sha256,
            package_name=arrival.name,
            package_size=arrival.size,
            enclosures=enclosures,
            about=_about(arrival.id, authority, outcome),
            alternatives=copy.alternatives,
        )
        for copy in copies
    )


def _about(message: str, authority: Authority, outcome: JudgedOutcome) -> str:
    """The message that began the declaration: a message that corrects, updates or follows one takes it
    over."""
    if isinstance(outcome, DocumentsOutcome):
        return outcome.belongs_to.about
    if isinstance(outcome, AgreementOutcome) or authority.earlier is None:
        return message
    return authority.earlier.about


def _enclosures(package: Package, use: RegisteredAgreement | None) -> tuple[Enclosure, ...]:
    """Parts that came in other messages and go with this one: separate PDFs, under the names that the
    document lists, and the association's last notice of the agreement."""
    suffix = "zip" if use is None or not use.name.lower().endswith(".xml") else "xml"
    notice = f"agreement-notice.{suffix}"
    names = {_spelling(inner_name(package.document_name)), notice}
    enclosures = []
    for each in package.separate_attachments:
        name = each.part.name
        if _spelling(name) in names:  # the same name in another case, or the document's own
            name = f"{each.message.arrival.id}.pdf"
        names.add(_spelling(name))
        enclosures.append(
            Enclosure(
                kind=EnclosureKind.ATTACHMENT,
                name=name,
                sha256=each.part.sha256,
                size=each.part.size,
                message=each.message.arrival.id,
            )
        )
    if use is not None:
        enclosures.append(
            Enclosure(
                kind=EnclosureKind.AGREEMENT,
                name=notice,
                sha256=use.sha256,
                size=use.size,
                message=use.message,
            )
        )
    return tuple(enclosures)


def _spelling(name: str) -> str:
    """The form in which two names must differ to be two files on any system (see `archive`)."""
    return unicodedata.normalize("NFC", name).casefold()
