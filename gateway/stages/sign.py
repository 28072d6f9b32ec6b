"""What customs will hold in its hands: the submission envelope with every digest, signed by the gateway."""

from datetime import datetime

from gateway.families import Families
from gateway.message import Package, Received, Submission
from gateway.parties import Party
from gateway.policy import Policy
from gateway.ports import Signer
from gateway.stages.authorise import Authority
from gateway.stages.route import Route
from gateway.stages.validate import Validated
from gateway.stages.verify import Evidence
from gateway.submission import build_envelope
from gateway.triage import Hint


def sign(
    received: Received,
    package: Package,
    validated: Validated,
    evidence: Evidence,
    authority: Authority,
    party: Party,
    route: Route,
    hint: Hint,
    families: Families,
    policy: Policy,
    signer: Signer,
    now: datetime,
) -> Submission:
    """The submission of an accepted message. Its key is the message's id, however often it is sent."""
    envelope = build_envelope(
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
        linked=authority.linked,
        hint=hint,
    )
    return Submission(
        key=received.arrival.id,
        destination=route.backend,
        envelope=signer.sign(envelope),
        package_sha256=received.arrival.sha256,
        package_name=received.arrival.name,
        package_size=received.arrival.size,
    )
