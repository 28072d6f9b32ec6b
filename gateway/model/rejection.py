"""A message that an operator rejects, and what its rejection writes."""

from dataclasses import dataclass

from gateway.model.agreements import AgreementUse
from gateway.model.faults import Finding
from gateway.model.message import Facts, Receipt, Received


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A message that is to be rejected, as the store has it; `revision` is for the commit that follows.

    `facts` are None where no judgement came far enough to read them; `uses` is the agreement that the message
    used up, if any.
    """

    received: Received
    facts: Facts | None
    linked: str | None
    uses: AgreementUse | None
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A rejection by an operator: everything that one commit writes."""

    message: str
    revision: int
    findings: tuple[Finding, ...]
    receipts: tuple[Receipt, ...]
    trail: dict[str, str]
